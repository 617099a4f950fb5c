"""Which processes train together: those of a user's cluster, as TF_CONFIG has it, or free ports of this machine.

    TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
    TF_CONFIG='{"cluster": {"chief": ["10.0.0.1:2222"], "worker": ["10.0.0.2:2222"], "ps": ["10.0.0.3:2222"]},
                "task": {"type": "chief", "index": 0}}'

The cluster is the same text for all of its processes; the task says which of them the reader is. The chief runs the
pipeline; under multi_worker, worker 0 is the chief where none is named.
"""

import json
import os
import random
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError, nearest, raise_all

KINDS = ("chief", "worker", "ps")
_LOOPBACK = "127.0.0.1"
_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
_SHOWN = 300
_LOWEST = 15000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True)
class Member:
    """One process of a cluster: what it does, and the how-manieth of those that do it."""

    kind: str
    index: int

    def __str__(self) -> str:
        return f"{self.kind} {self.index}"


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
      addresses: kind -> host:port of each member.
    """

    addresses: Mapping[str, tuple[str, ...]]

    @property
    def members(self) -> tuple[Member, ...]:
        """All, the chief first: in the order of their ranks."""
        return tuple(Member(kind, index) for kind in KINDS for index in range(len(self.addresses.get(kind, ()))))

    @property
    def chief(self) -> Member:
        """The member that runs the pipeline."""
        return self.members[0]

    @property
    def trainers(self) -> tuple[Member, ...]:
        """Those that compute under multi_worker, the chief among them, in the order of their ranks."""
        return tuple(member for member in self.members if member.kind != "ps")

    def port(self, member: Member) -> int:
        """Where a member listens."""
        return int(self.addresses[member.kind][member.index].rpartition(":")[2])

    def config(self, member: Member) -> str:
        """TF_CONFIG of a member."""
        cluster = {kind: list(self.addresses[kind]) for kind in KINDS if self.addresses.get(kind)}
        return json.dumps({"cluster": cluster, "task": {"type": member.kind, "index": member.index}})


def given(strategy: str, environment: Mapping[str, str] = os.environ) -> tuple[Cluster, Member] | None:
    """The cluster of TF_CONFIG and the member that this process is; None where there is no TF_CONFIG.

    Raises:
      UsageError: it is not what TF_CONFIG must be, or not what the strategy needs; all that is wrong is listed.
    """
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        return None
    cluster, member = _parsed(text)
    _refuse(text, _unfit(strategy, cluster))
    return cluster, member


def _unfit(strategy: str, cluster: Cluster) -> list[str]:
    """Why a strategy can't train on a cluster."""
    counts = {kind: len(cluster.addresses.get(kind, ())) for kind in KINDS}
    problems = []
    if strategy == "parameter_server":
        if counts["chief"] != 1:
            problems.append(f"parameter_server needs one chief. Received: {counts['chief']}")
        problems += [
            f"parameter_server needs a {kind}. Received: none" for kind in ("worker", "ps") if not counts[kind]
        ]
    else:
        if counts["ps"]:
            problems.append("multi_worker has no ps. Next: --strategy parameter_server, or leave them out")
        if counts["chief"] > 1:
            problems.append(f"multi_worker has one chief at the most. Received: {counts['chief']}")
        if not counts["worker"]:
            problems.append("multi_worker needs a worker. Received: none")
    return problems


def helping(environment: Mapping[str, str] = os.environ) -> tuple[Cluster, Member]:
    """The cluster of TF_CONFIG, and the member that this process is, which helps the chief.

    It is for parameter_server where it has a ps, and else for multi_worker.

    Raises:
      UsageError: there is no TF_CONFIG, or it is wrong, or for the chief.
    """
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        raise UsageError(
            f"there is no TF_CONFIG. Expected such as {_EXAMPLE}. Next: export it, with the task of this process; "
            "a training on this machine alone starts its workers itself"
        )
    cluster, member = _parsed(text)
    strategy = "parameter_server" if cluster.addresses.get("ps") else "multi_worker"
    _refuse(text, _unfit(strategy, cluster))
    check_role(strategy, cluster, member, worker=True)
    return cluster, member


def _parsed(text: str) -> tuple[Cluster, Member]:
    try:
        config: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"TF_CONFIG is not JSON: {error}. Expected such as {_EXAMPLE}. Received: {text[:_SHOWN]}. "
            "Next: mend it, or unset TF_CONFIG to train on this machine alone"
        ) from error
    cluster = config.get("cluster") if isinstance(config, dict) else None
    task = config.get("task") if isinstance(config, dict) else None
    problems = []
    if not isinstance(cluster, dict) or not cluster:
        problems.append('no "cluster": expected a list of host:port for each of chief, worker, ps')
        cluster = {}
    for kind, addresses in cluster.items():
        if kind not in KINDS:
            problems.append(f"cluster: no kind {kind!r}.{nearest(kind, KINDS)}")
        elif not isinstance(addresses, list):
            problems.append(f"cluster.{kind}: expected a list of host:port. Received: {addresses!r}")
        else:
            problems += [
                f"cluster.{kind}[{index}]: expected host:port. Received: {address!r}"
                for index, address in enumerate(addresses)
                if not _is_address(address)
            ]
    flat = [a for addresses in cluster.values() if isinstance(addresses, list) for a in addresses]
    problems += [f"cluster: {a!r} is there twice" for a in sorted({str(a) for a in flat if flat.count(a) > 1})]
    kind, index = (task.get("type"), task.get("index")) if isinstance(task, dict) else (None, None)
    if not isinstance(task, dict):
        problems.append('no "task": expected the type and the index of this process')
    elif not isinstance(kind, str) or kind not in cluster:
        problems.append(f"task.type: not in the cluster.{nearest(str(kind), cluster)}")
    elif not isinstance(index, int) or not 0 <= index < len(cluster[kind]):
        problems.append(f"task.index: expected 0 to {len(cluster[kind]) - 1}, of cluster.{kind}. Received: {index!r}")
    _refuse(text, problems)
    return Cluster({kind: tuple(addresses) for kind, addresses in cluster.items()}), Member(str(kind), int(index or 0))


def _is_address(address: object) -> bool:
    host, _, port = str(address).rpartition(":")
    return isinstance(address, str) and bool(host) and port.isdigit() and 0 < int(port) < 1 << 16


def _refuse(text: str, problems: Sequence[str]) -> None:
    ending = f"Received: TF_CONFIG={text[:_SHOWN]}"
    raise_all(UsageError, "TF_CONFIG does not describe a cluster:", [*problems, ending] if problems else [])


def check_role(strategy: str, cluster: Cluster, member: Member, worker: bool) -> None:
    """Tells the process that runs the pipeline from those that help it.

    Args:
      strategy: its name.
      cluster: all processes.
      member: this one.
      worker: whether it was started to help.

    Raises:
      UsageError: the other command is for this member.
    """
    if (member == cluster.chief) == worker:
        command = (
            "`local_runner.py` or `millrace run`" if worker else "`millrace worker` with the same --root and --task"
        )
        raise UsageError(
            f"strategy {strategy}: {cluster.chief} of TF_CONFIG runs the pipeline, all others help it. "
            f"Received: TF_CONFIG names this process {member}. Next: run {command} here"
        )


def check_here(strategy: str, environment: Mapping[str, str] = os.environ) -> None:
    """What can be told before a run begins, which is to train by a strategy of several processes.

    Raises:
      UsageError: TF_CONFIG is wrong, is for a process that helps, or names a port that is taken.
    """
    found = given(strategy, environment)
    if found:
        check_role(strategy, *found, worker=False)
        check_ports(found[0], found[1:])


def on_this_machine(strategy: str, workers: int, servers: int) -> Cluster:
    """A cluster on free ports of the loopback interface.

    Args:
      strategy: of several processes.
      workers: how many compute.
      servers: how many hold the weights, under parameter_server.
    """
    counts = {"worker": workers}
    if strategy == "parameter_server":
        counts = {"chief": 1, "worker": workers, "ps": servers}
    ports = iter(_free_ports(sum(counts.values())))
    return Cluster({kind: tuple(f"{_LOOPBACK}:{next(ports)}" for _ in range(n)) for kind, n in counts.items()})


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens at, by chance from those that the kernel gives to no connection by itself.

    A port of the kernel's own choice could be some connection's again before the process that is to listen has started.
    """
    first = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32768
    found: list[int] = []
    for port in random.SystemRandom().sample(range(_LOWEST, max(first, _LOWEST + 10 * count)), 10 * count):
        if len(found) < count and not _taken(port):
            found.append(port)
    if len(found) < count:
        raise UsageError(f"this machine has no {count} free ports between {_LOWEST} and {first}")
    return found


def _taken(port: int) -> str:
    """Why a port can't be had; nothing where it can."""
    try:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("", port))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def check_ports(cluster: Cluster, members: Sequence[Member]) -> None:
    """Makes sure that members which are to be started here can listen.

    Raises:
      UsageError: a port is taken.
    """
    ports = [(member, cluster.port(member)) for member in members]
    problems = [f"{member}: port {port}: {why}" for member, port in ports if (why := _taken(port))]
    ending = "Next: end what listens there (`ss -ltnp` lists it), or give other ports in TF_CONFIG"
    raise_all(UsageError, "Ports of the cluster can't be had:", [*problems, ending] if problems else [])
