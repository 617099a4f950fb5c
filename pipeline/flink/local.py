"""Starts and stops a Flink on this machine: see `millrace cluster`."""

import contextlib
import dataclasses
import fcntl
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import image
from pipeline.errors import MillraceError
from pipeline.flink import config, fetch, java, jobs, loopback, running, state
from pipeline.flink.config import HOST, Memory, Ports
from pipeline.flink.jars import Flink, JobServer, check, given
from pipeline.flink.state import Cluster
from pipeline.flink.status import dead

MEMORY_MB = 1024
_LOG = logging.getLogger(__name__)
_READY_SECONDS = 240.0
_LOCK_SECONDS = 600.0
_POLL_SECONDS = 0.1
_PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """What a cluster is started with.

    Attributes:
      slots: of the TaskManager; None is one a core.
      memory: of the TaskManager, in MB.
      jars: paths given by `--jar`.
    """

    slots: int | None = None
    memory: int = MEMORY_MB
    jars: tuple[str, ...] = ()


def up(settings: Settings = Settings(), warn: Callable[[str], None] = _LOG.warning) -> tuple[Cluster, bool]:
    """Starts a cluster, unless one runs; returns when it takes jobs.

    Args:
      settings: of a new one.
      warn: told what may go wrong later.

    Returns:
      The cluster, and whether it was started now.

    Raises:
      UsageError: a setting is wrong; nothing was started.
      MillraceError: something is missing, or did not start; nothing is left running.
    """
    folder = state.home()
    with _only_one(folder):
        there = state.read(folder)
        if there and not dead(there):
            if there.code != image.fingerprint():
                warn("it runs since before the code changed: runs are refused. Next: millrace cluster down, then up")
            return there, False
        memory = Memory.of(settings.memory)
        program = java.find()
        flink, job_server = _jars(settings.jars, warn)
        _end(folder)
        _enough_memory(settings.memory)
        _clear(folder)
        try:
            cluster = _start(folder, settings, memory, program, flink, job_server, warn)
        except BaseException:
            running.stop(folder, first=["taskmanager"])
            raise
        state.write(cluster, folder)
        return cluster, True


def down() -> Cluster | None:
    """Ends the cluster and all that it started. Its logs stay until the next one.

    Returns:
      What ran, or had died; None where there was nothing.
    """
    folder = state.home()
    with _only_one(folder):
        there = state.read(folder)
        found = _end(folder)
        return there or (Cluster("", "", "", 0, "", "", str(folder), _oldest(found)) if found else None)


def _end(folder: Path) -> dict[str, list[int]]:
    found = running.stop(folder, first=["taskmanager"])
    state.forget(folder)
    for name in ("tmp", "artifacts", "conf"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return found


def _clear(folder: Path) -> None:
    shutil.rmtree(folder / "logs", ignore_errors=True)
    for name in ("logs", "tmp", "artifacts", "conf"):
        (folder / name).mkdir(parents=True)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Has one command at a time start or stop the cluster."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise MillraceError(
                        f"another `millrace cluster` has been at work for {_LOCK_SECONDS:.0f} s ({lock.name} is "
                        "locked). Next: wait for it, or end it"
                    ) from None
                time.sleep(_POLL_SECONDS)
        yield


def _jars(paths: Sequence[str], warn: Callable[[str], None]) -> tuple[Flink, JobServer]:
    """Those given, and the rest out of the cache or fetched."""
    known = given(paths)
    flink, job_server = known.flink or fetch.flink(), known.job_server or fetch.job_server()
    check(flink, job_server)
    if job_server.beam != fetch.beam_version():
        warn(f"the job server is of Beam {job_server.beam}, the workers of {fetch.beam_version()}: jobs may differ")
    return flink, job_server


def _enough_memory(task_manager: int) -> None:
    needed = task_manager + config.JOB_MANAGER_HEAP_MB + config.JOB_SERVER_HEAP_MB + _POOL_MB
    free = available_mb()
    if free is not None and free < needed:
        raise MillraceError(
            f"Memory is short. Expected: {needed} MB free ({task_manager} for the TaskManager). Received: {free} MB. "
            f"Next: end other programs, or a smaller --memory ({config.LEAST_MB} at the least)"
        )


_POOL_MB = 700
"""What the pool's imports take."""


def available_mb(table: Path = Path("/proc/meminfo")) -> int | None:
    """Memory that new programs can have; None where the system does not tell."""
    try:
        for line in table.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    except (OSError, ValueError):
        pass
    return None


def _start(
    folder: Path,
    settings: Settings,
    memory: Memory,
    program: str,
    flink: Flink,
    job_server: JobServer,
    warn: Callable[[str], None],
) -> Cluster:
    slots = settings.slots or os.cpu_count() or 1
    code = image.fingerprint()  # before the workers' imports begin
    ports = config.free_ports()
    conf = config.write(folder, ports, slots, memory)
    python = [sys.executable, "-m"]
    # With PYTHONSAFEPATH the working directory is no place that Python looks for modules in.
    path = {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_PROJECT), os.environ.get("PYTHONPATH")))),
    }
    logged = [f"-Dlog4j.configurationFile=file:{conf / 'log4j.properties'}", f"-Djava.io.tmpdir={folder / 'tmp'}"]
    packages = "org.apache.flink.runtime"
    ahead = folder / "conf" / "loopback.jar"
    if not loopback.write(job_server.jar, ahead):
        warn(f"Beam {job_server.beam} is not known to listen on loopback alone: who reaches this machine can run jobs")
    beam_path = [path for path in (ahead, job_server.jar) if path.exists()]
    class_path = [*flink.jars, *beam_path]
    started = {
        "pool": running.start(
            "pool",
            [*python, "pipeline.flink.pool", "--port", str(ports.pool), "--logs", str(folder / "logs")],
            folder,
            path,
        ),
        "jobmanager": running.start(
            "jobmanager",
            java.command(
                program,
                [f"-Xmx{config.JOB_MANAGER_HEAP_MB}m", *logged],
                class_path,
                f"{packages}.entrypoint.StandaloneSessionClusterEntrypoint",
                *("--configDir", str(conf)),
            ),
            folder,
        ),
        "taskmanager": running.start(
            "taskmanager",
            [
                *(*python, "pipeline.flink.keeper"),
                *java.command(
                    program,
                    [*config.java_options(memory), *logged],
                    class_path,
                    f"{packages}.taskexecutor.TaskManagerRunner",
                    *("--configDir", str(conf)),
                ),
            ],
            folder,
            path,
        ),
        "jobserver": running.start(
            "jobserver",
            java.command(
                program,
                [f"-Xmx{config.JOB_SERVER_HEAP_MB}m", f"-Djava.io.tmpdir={folder / 'tmp'}"],
                beam_path,
                "org.apache.beam.runners.flink.FlinkJobServerDriver",
                f"--flink-master={HOST}:{ports.rest}",
                f"--flink-conf-dir={conf}",
                f"--job-host={HOST}",
                f"--job-port={ports.job}",
                f"--artifact-port={ports.artifacts}",
                "--expansion-port=-1",
                f"--artifacts-dir={folder / 'artifacts'}",
            ),
            folder,
        ),
    }
    cluster = Cluster(
        rest=f"http://{HOST}:{ports.rest}",
        job_endpoint=f"{HOST}:{ports.job}",
        worker_pool=f"{HOST}:{ports.pool}",
        slots=slots,
        flink=flink.version,
        beam=job_server.beam,
        folder=str(folder),
        pids={},
        code=code,
    )
    _wait(cluster, ports, started)
    return dataclasses.replace(cluster, pids=_oldest(running.found(folder)))


def _oldest(found: dict[str, list[int]]) -> dict[str, int]:
    return {name: pids[0] for name, pids in found.items()}


def _wait(cluster: Cluster, ports: Ports, started: dict[str, "subprocess.Popen[bytes]"]) -> None:
    """Waits until each part answers."""
    deadline = time.monotonic() + _READY_SECONDS
    folder = Path(cluster.folder)
    waiting = {"pool": ports.pool, "jobserver": ports.job, "jobmanager": ports.rest, "taskmanager": 0}
    while waiting:
        for name, process in started.items():
            if process.poll() is not None:
                raise MillraceError(
                    f"{name} ended with code {process.returncode} while it started:\n"
                    f"{running.last_lines(folder, name)}\nNext: {running.log_path(folder, name)}"
                )
        for name, port in list(waiting.items()):
            if _answers(port) if port else "jobmanager" not in waiting and _slots(cluster.rest) >= cluster.slots:
                del waiting[name]
        if waiting and time.monotonic() > deadline:
            logs = "\n".join(f"{name}:\n{running.last_lines(folder, name)}" for name in waiting)
            raise MillraceError(f"{', '.join(waiting)} not ready after {_READY_SECONDS:.0f} s\n{logs}")
        time.sleep(_POLL_SECONDS)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _slots(rest: str) -> int:
    """How many there are; 0 while Flink does not answer."""
    try:
        return int(jobs.ask(rest, "/overview", seconds=2).get("slots-total", 0))
    except MillraceError:
        return 0
