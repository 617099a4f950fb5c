"""Flink's configuration for a cluster on loopback: one JobManager, one TaskManager."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError

HOST = "127.0.0.1"
JOB_MANAGER_HEAP_MB = 512
JOB_SERVER_HEAP_MB = 512
LEAST_MB = 768
_METASPACE_MB = 256
_OVERHEAD_MB = 96
_FRAMEWORK_HEAP_MB = 128
_FRAMEWORK_OFF_HEAP_MB = 64


@dataclass(frozen=True)
class Ports:
    """Of loopback.

    Attributes:
      rest: Flink's address for clients, and its page.
      rpc: of the JobManager.
      job: of Beam's job server.
      artifacts: of the same, for files of a job.
      pool: of the workers' pool.
    """

    rest: int
    rpc: int
    job: int
    artifacts: int
    pool: int


def free_ports() -> Ports:
    """Five ports that nothing listens at."""
    sockets = [socket.socket() for _ in range(5)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return Ports(*(each.getsockname()[1] for each in sockets))
    finally:
        for each in sockets:
            each.close()


@dataclass(frozen=True)
class Memory:
    """What the TaskManager's megabytes go to.

    Attributes:
      heap: for tasks.
      network: for what tasks send each other.
      managed: for sorting and grouping.
    """

    heap: int
    network: int
    managed: int

    @classmethod
    def of(cls, total: int) -> "Memory":
        """Divides what is left beside Java's and Flink's own needs.

        Args:
          total: of the process, in MB.

        Raises:
          UsageError: it is too little.
        """
        if total < LEAST_MB:
            raise UsageError(f"--memory is too little. Expected: {LEAST_MB} or more. Received: {total}")
        left = total - _METASPACE_MB - _OVERHEAD_MB - _FRAMEWORK_HEAP_MB - _FRAMEWORK_OFF_HEAP_MB
        network, managed = left // 5, left * 3 // 10
        return cls(left - network - managed, network, managed)


def java_options(memory: Memory) -> list[str]:
    """Of the TaskManager, from its memory, as Flink's own start script has them."""
    return [
        f"-Xmx{memory.heap + _FRAMEWORK_HEAP_MB}m",
        f"-XX:MaxDirectMemorySize={memory.network + _FRAMEWORK_OFF_HEAP_MB}m",
        f"-XX:MaxMetaspaceSize={_METASPACE_MB}m",
    ]


def write(folder: Path, ports: Ports, slots: int, memory: Memory) -> Path:
    """Writes `config.yaml` and `log4j.properties`.

    Args:
      folder: the cluster's.
      ports: to listen at.
      slots: of the TaskManager.
      memory: of the TaskManager.

    Returns:
      Flink's configuration folder.
    """
    conf = folder / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    settings = flink_settings(folder, ports, slots, memory)
    # A JSON text is a YAML text, too.
    (conf / "config.yaml").write_text(
        "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items()), encoding="utf-8"
    )
    (conf / "log4j.properties").write_text(_LOG4J, encoding="utf-8")
    return conf


def flink_settings(folder: Path, ports: Ports, slots: int, memory: Memory) -> dict[str, str | int | bool]:
    """Name -> value, in Flink's names; see `write`."""
    return {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": ports.rpc,
        "jobmanager.bind-host": HOST,
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": ports.rest,
        "rest.bind-port": str(ports.rest),
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        # Jobs come through `POST /jobs`; this is for jars that a person uploads.
        "web.submit.enable": False,
        # The job server's jar is on Flink's own class path. Loaded by each job anew, its classes fill the metaspace.
        "classloader.resolve-order": "parent-first",
        "io.tmp.dirs": str(folder / "tmp"),
        "taskmanager.numberOfTaskSlots": slots,
        "parallelism.default": slots,
        # All of the following must be there where Flink's start scripts do not compute them.
        "taskmanager.cpu.cores": slots,
        "taskmanager.memory.framework.heap.size": f"{_FRAMEWORK_HEAP_MB}m",
        "taskmanager.memory.framework.off-heap.size": f"{_FRAMEWORK_OFF_HEAP_MB}m",
        "taskmanager.memory.task.heap.size": f"{memory.heap}m",
        "taskmanager.memory.task.off-heap.size": "0m",
        "taskmanager.memory.network.min": f"{memory.network}m",
        "taskmanager.memory.network.max": f"{memory.network}m",
        "taskmanager.memory.managed.size": f"{memory.managed}m",
        "taskmanager.memory.jvm-metaspace.size": f"{_METASPACE_MB}m",
        "taskmanager.memory.jvm-overhead.min": f"{_OVERHEAD_MB}m",
        "taskmanager.memory.jvm-overhead.max": f"{_OVERHEAD_MB}m",
        # A TaskManager that died is missed after two failed calls; one that hangs, after the timeout, which must leave
        # room for a machine that is busy. Its job goes on with the next one.
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 20000,
        "heartbeat.rpc-failure-threshold": 2,
        # A job waits for slots that another has; five minutes, Flink's default, would cost it one of its restarts.
        "slot.request.timeout": 24 * 3600 * 1000,
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 3,
        "restart-strategy.fixed-delay.delay": "1 s",
    }


_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} - %m%n
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
"""
