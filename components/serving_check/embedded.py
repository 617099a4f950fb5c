"""This project's own server in a process of its own: a new Python, or a fork that was made in advance.

    with embedded.waiting():  # before TFX launches the node
        ...                   # look at the model, write its warm-up requests
        process = embedded.started(flags, log)

A fork has what its parent has imported; in a node, that is TensorFlow, whose import takes a new Python most of its start.
Either runs `serving.__main__.main` with the same flags.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Protocol

import typer

import serving
from pipeline.train.worker import die_with

_STOP_SECONDS = 10


class Process(Protocol):
    """A process that runs a server."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def stop(self) -> None:
        """Ends it: SIGTERM, and SIGKILL after ten seconds."""


class _New:
    """`python -m serving`."""

    def __init__(self, flags: Sequence[str], log: Path) -> None:
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "serving", *flags],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(Path(str(serving.__file__)).parents[1])},
                preexec_fn=functools.partial(die_with, os.getpid()),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Fork:
    """A fork of this process; it waits for `start` and is a server from then on."""

    def __init__(self) -> None:
        """Makes it; see `waiting`."""
        context = multiprocessing.get_context("fork")
        receiver, self._sender = context.Pipe(duplex=False)
        self._process: ForkProcess = context.Process(target=_wait, args=(receiver, self._sender, os.getpid()))
        self._process.start()
        receiver.close()

    def start(self, flags: Sequence[str], log: Path) -> "Fork":
        """Has it serve; see `started`."""
        with contextlib.suppress(BrokenPipeError):  # It is gone: `poll` tells.
            self._sender.send((list(flags), str(log)))
        return self

    @property
    def pid(self) -> int:
        """See `Process`."""
        return int(self._process.pid or 0)

    def poll(self) -> int | None:
        """See `Process`."""
        return self._process.exitcode

    def stop(self) -> None:
        """See `Process`."""
        self._process.terminate()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._sender.close()


_fork: Fork | None = None


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Makes a fork of this process, which `started` takes; it is ended at the end.

    None is made where a library has threads of its own already, as TensorFlow and gRPC have once they are used: these would
    not be in the fork, and what they hold at that moment would stay locked.
    """
    global _fork
    _fork = Fork() if _alone() else None
    try:
        yield
    finally:
        if _fork:
            _fork.stop()
        _fork = None


def started(flags: Sequence[str], log: Path) -> Process:
    """Starts a server: in the fork that waits for it, or else in a new Python.

    Args:
      flags: as after `python -m serving`.
      log: file for what it prints.
    """
    global _fork
    fork, _fork = _fork, None
    return fork.start(flags, log) if fork else _New(flags, log)


def _alone() -> bool:
    """Whether all threads of this process are Python's, which knows how to fork with them."""
    try:
        return len(os.listdir("/proc/self/task")) <= threading.active_count()
    except OSError:
        return False


def _wait(receiver: Connection, sender: Connection, parent: int) -> None:
    """The fork."""
    die_with(parent)
    sender.close()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    from serving import __main__ as program
    from serving import server  # noqa: F401  While it waits.

    try:
        flags, log = receiver.recv()
    except EOFError:
        return
    receiver.close()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    sys.argv = ["serving", *flags]
    typer.run(program.main)
