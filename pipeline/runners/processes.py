"""Functions run in child processes that have TFX imported already.

A fork server imports TFX and TensorFlow once (`preload`), while the launching process stays light; each job is a fork of it. So
every node of the graph has its own process: its whole output, native libraries included, goes to its own log, its peak
memory is known, a crash is a failed node and not a dead run, and branches run side by side.
"""

import faulthandler
import logging
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess, ForkServerProcess
from pathlib import Path
from typing import Any

from pipeline.errors import ERRORS, ExitCode, MillraceError

_PRELOAD = "pipeline.runners.preload"
_PROJECT = Path(__file__).resolve().parents[2]
_OF_SERVER = ("PYTHONSAFEPATH", "PYTHONPATH")
"""Variables of the environment that the fork server gets values of its own for."""
_LONGEST_TEMPORARY = 70
"""Bytes of a temporary folder's path: a socket's has 103 at the most, 32 of them for the names below the folder."""
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - multiprocessing makes a private folder in it
_NO_SPACE = (
    "No space left on device",
    "database or disk is full",
    "File too large",
    # What ML Metadata says where SQLite, for want of space, has rolled the transaction back by itself.
    "cannot commit - no transaction is active",
)


@dataclass(frozen=True)
class Result:
    """What a job sent back.

    Attributes:
      value: the function's value, or None.
      error: the message for the user, or None where it went well.
      exit_code: what the error means for the run.
      peak_mb: peak resident memory of the job's process, in MiB.
      cpu_seconds: that the job's process and those that it waited for have computed, over all cores.
    """

    value: Any
    error: str | None
    exit_code: ExitCode
    peak_mb: int
    cpu_seconds: float = 0.0


_forking = False


def fork_here() -> None:
    """Has jobs be plain forks of this process: of one that has TFX imported already, and no thread but this."""
    global _forking
    _forking = True


def _context() -> Any:
    return multiprocessing.get_context("fork" if _forking else "forkserver")


def warm_up(log: Path) -> None:
    """Starts the fork server; returns at once, the imports go on in it.

    Args:
      log: file for what the imports print.
    """
    if _context().get_start_method() == "fork":
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOAD])
    own = {name: os.environ.get(name) for name in _OF_SERVER}
    screen = os.dup(2)
    try:
        # The server is started by `python -c`, which would look into the working directory before the libraries.
        os.environ["PYTHONSAFEPATH"] = "1"
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_PROJECT), own["PYTHONPATH"])))
        _redirect(log, 2)
        with _short_temporary_folder():
            forkserver.ensure_running()
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        _restore(own)


def _restore(variables: Mapping[str, str | None]) -> None:
    """Sets environment variables; None removes one."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Another temporary folder for the fork server's socket, where TMPDIR is too deep for one (as in a cluster's pod)."""
    own = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TEMPORARY:
        tempfile.tempdir = next((path for path in _SHORT if os.access(path, os.W_OK | os.X_OK)), own)
    try:
        yield
    finally:
        tempfile.tempdir = own


def _redirect(log: Path, *descriptors: int) -> None:
    """Appends what is written to these file descriptors to a file."""
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in descriptors:
        os.dup2(stream, descriptor)
    os.close(stream)


class Job:
    """A function running in a child process."""

    def __init__(self, function: Callable[..., Any], *args: Any, log: Path) -> None:
        """Starts it.

        Args:
          function: importable by name; its value must pickle.
          *args: given to it.
          log: file that its output is appended to.
        """
        context = _context()
        self._receiver, sender = context.Pipe(duplex=False)
        self._process: ForkServerProcess | ForkProcess = context.Process(
            target=_main, args=(sender, function, args, str(log), {name: os.environ.get(name) for name in _OF_SERVER})
        )
        self._process.start()
        sender.close()

    @property
    def sentinel(self) -> Connection:
        """Ready when there is a result, or the process has ended without one; for `wait`.

        Not the process: one with a result larger than a pipe holds ends only when it has been read.
        """
        return self._receiver

    def result(self) -> Result:
        """Waits for the end.

        Returns:
          The result; a process that died without one gives an error that names the signal.
        """
        try:
            result: Result | None = self._receiver.recv()
        except EOFError:
            result = None
        self._process.join()
        return result or Result(None, _death(self._process.exitcode or 0), ExitCode.FAILED, 0)

    def stop(self) -> None:
        """Ends it: SIGTERM, and SIGKILL after five seconds."""
        self._process.terminate()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def call(function: Callable[..., Any], *args: Any, log: Path, seconds: float | None = None) -> Any:
    """Runs one job and waits for its value.

    Raises:
      MillraceError: with the job's message and exit code; or the job took more than these seconds, and was ended.
    """
    return value_of(Job(function, *args, log=log), seconds)


def value_of(job: Job, seconds: float | None = None) -> Any:
    """Waits for the value of a job; see `call`."""
    try:
        if not first_ended([job], seconds):
            raise MillraceError(f"not done after {seconds:.0f} s")
        result = job.result()
    except BaseException:
        job.stop()
        raise
    if result.error is not None:
        raise ERRORS.get(result.exit_code, MillraceError)(result.error)
    return result.value


def first_ended(jobs: list[Job], timeout: float | None) -> list[Job]:
    """The jobs that have ended, after waiting for one at the most `timeout` seconds."""
    ready = set(wait([job.sentinel for job in jobs], timeout))
    return [job for job in jobs if job.sentinel in ready]


def _main(
    sender: Connection,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    log: str,
    environment: Mapping[str, str | None],
) -> None:
    """The child: output to the log, the function's result to the pipe."""
    import absl.logging

    _redirect(Path(log), 1, 2)
    _restore(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO, force=True)
    absl.logging.set_verbosity(absl.logging.INFO)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        value, error, code = function(*args), None, ExitCode.PUSHED
    except MillraceError as caught:
        traceback.print_exc()
        value, error, code = None, str(caught), caught.exit_code
    except BaseException as caught:
        traceback.print_exc()
        value, error, code = None, explain(caught), ExitCode.FAILED
    sys.stdout.flush()
    sys.stderr.flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sender.send(Result(value, error, code, peak, sum(os.times()[:4])))
    sender.close()
    # Beam and gRPC leave threads behind that would hold the process for seconds.
    os._exit(0 if error is None else 1)


def _die_with_parent() -> None:
    """Ends this process when the launching one is gone: a killed run leaves nothing that goes on writing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


def explain(error: BaseException) -> str:
    """An exception that is not ours, as one line for the user."""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    if any(phrase in str(error) for phrase in _NO_SPACE):
        return f"the disk is full: {text[:300]}. Next: free space or choose another --root, then --resume"
    return f"{type(error).__name__}: {text[:400]}"


def _death(code: int) -> str:
    if code >= 0:
        return f"its process ended with code {code} and without a result"
    name = signal.Signals(-code).name
    hint = "; the machine may have run out of memory" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{hint}"
