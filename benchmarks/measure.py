"""Runs a command as a process of its own and says what it took: seconds, processor seconds, peak memory.

measured = measure([sys.executable, "-c", "pass"], cwd=Path("."), stdout=Path("out"), log=Path("err"))
measured.seconds, measured.peak_mb
"""

import ctypes
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
_SHARES_EVERY = 5  # samples: telling shared pages apart walks the page tables
_MEBIBYTE = 1 << 20
_STRAGGLER_SECONDS = 10.0
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True)
class Measured:
    """What a process took, with everything that it started.

    Attributes:
        exit_code: of the process.
        seconds: from its start to its end.
        cpu_seconds: user and system time of it and its children.
        other_cpu_seconds: processor time that everything else on the machine took meanwhile. Much of it, and the
            seconds say more about the neighbours than about the command.
        peak_mb: the largest sum of resident memory over the process tree, in MiB, sampled five times a second. A page
            that several processes share counts once for each: for forked processes this is an upper bound.
        peak_pss_mb: the same with each shared page divided among those that share it (PSS), sampled once a second.
            Strangers share libraries too, so this is a lower bound while other TensorFlow programs run.
    """

    exit_code: int
    seconds: float
    cpu_seconds: float
    other_cpu_seconds: float
    peak_mb: float
    peak_pss_mb: float


def measure(command: Sequence[str], *, cwd: Path, stdout: Path, log: Path) -> Measured:
    """Runs a command to its end and measures it.

    Args:
        command: program and arguments.
        cwd: the folder it runs in.
        stdout: the file its standard output goes to.
        log: the file its standard error goes to.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # A fork server outlives the program that started it. As its reaper this process gets to know what it used.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    own_before, all_before = _children_cpu(), _machine_cpu()
    tree = _Tree()
    with stdout.open("wb") as out, log.open("wb") as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(command), cwd=cwd, env=environment, stdout=out, stderr=err, start_new_session=True
        )
        try:
            while True:
                try:
                    process.wait(_SAMPLE_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    tree.sample(process.pid)
        finally:
            seconds = time.perf_counter() - began
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            tree.reap()
    own = _children_cpu() - own_before
    others = max(0.0, _machine_cpu() - all_before - own)
    return Measured(process.returncode, seconds, own, others, tree.peak / _MEBIBYTE, tree.peak_pss / _MEBIBYTE)


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


class _Tree:
    """A process and its descendants: what they hold at most, and that none is left.

    Attributes:
        peak: bytes of resident memory, at most.
        peak_pss: bytes of it with shared pages divided, at most.
    """

    def __init__(self) -> None:
        self.peak = self.peak_pss = 0
        self._samples = 0
        self._seen: dict[int, psutil.Process] = {}

    def sample(self, pid: int) -> None:
        """Looks at the tree below a process, as it is now."""
        try:
            root = psutil.Process(pid)
            tree = [root, *root.children(recursive=True)]
        except psutil.Error:  # it has ended
            return
        self._seen.update({process.pid: process for process in tree[1:]})
        self.peak = max(self.peak, sum(map(_rss, tree)))
        if self._samples % _SHARES_EVERY == 0:
            self.peak_pss = max(self.peak_pss, sum(map(_pss, tree)))
        self._samples += 1

    def reap(self) -> None:
        """Waits for descendants that outlived the process; those that don't end by themselves are killed."""
        left = [process for process in self._seen.values() if process.is_running()]
        _, alive = psutil.wait_procs(left, _STRAGGLER_SECONDS)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, _STRAGGLER_SECONDS)


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it has ended
        return 0


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def _cpu_model() -> str:
    """The processor's name as Linux gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
