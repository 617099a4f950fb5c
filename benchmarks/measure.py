"""Runs a command as a process of its own and says what it took: seconds, processor seconds, peak memory.

measured = measure([sys.executable, "-c", "pass"], cwd=Path("."), stdout=Path("out"), log=Path("err"))
measured.seconds, measured.peak_mb
"""

import os
import platform
import resource
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_SAMPLE_SECONDS = 0.2
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Measured:
    """What a process took, with everything that it started.

    Attributes:
        exit_code: of the process.
        seconds: from its start to its end.
        cpu_seconds: user and system time of it and its children.
        other_cpu_seconds: processor time that everything else on the machine took meanwhile. Much of it, and the
            seconds say more about the neighbours than about the command.
        peak_mb: the largest sum of resident memory over the process tree, in 10⁶ bytes, sampled five times a
            second. Pages that processes share count once for each, so for several processes it is an upper bound.
    """

    exit_code: int
    seconds: float
    cpu_seconds: float
    other_cpu_seconds: float
    peak_mb: float


def measure(command: Sequence[str], *, cwd: Path, stdout: Path, log: Path) -> Measured:
    """Runs a command to its end and measures it.

    Args:
        command: program and arguments.
        cwd: the folder it runs in.
        stdout: the file its standard output goes to.
        log: the file its standard error goes to.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    own_before, all_before = _children_cpu(), _machine_cpu()
    peak = 0
    with stdout.open("wb") as out, log.open("wb") as err:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603
            list(command), cwd=cwd, env=environment, stdout=out, stderr=err, start_new_session=True
        )
        try:
            root = psutil.Process(process.pid)
            while True:
                try:
                    process.wait(_SAMPLE_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    peak = max(peak, _resident(root))
        finally:
            seconds = time.perf_counter() - began
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    own = _children_cpu() - own_before
    others = max(0.0, _machine_cpu() - all_before - own)
    return Measured(process.returncode, seconds, own, others, peak / _MEGABYTE)


def machine() -> dict[str, Any]:
    """The machine and the packages, without anything that names it: for reading figures later."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.system(),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in ("tfx", "tensorflow", "keras", "apache-beam", "pyarrow")},
    }


def _children_cpu() -> float:
    """Processor seconds of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _machine_cpu() -> float:
    """Processor seconds that the whole machine has worked since it started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _resident(root: psutil.Process) -> int:
    """Bytes of resident memory in the process tree at this moment."""
    total = 0
    try:
        tree = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it ended in between
            continue
    return total


def _cpu_model() -> str:
    """The processor's name as Linux gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
