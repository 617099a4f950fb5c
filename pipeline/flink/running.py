"""Processes that outlive the command which started them, and how a later command finds and ends them.

Each carries the cluster's folder in its environment, and so do its children. That names them without doubt: an id that
a dead process had may by now be somebody else's.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedWriter
from pathlib import Path

_FOLDER = "MILLRACE_CLUSTER"
_NAME = "MILLRACE_CLUSTER_PROCESS"
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0
_LAST_LINES = 12


def start(
    name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts one, in a session of its own; what it prints goes to `<folder>/logs/<name>.log`.

    Args:
      name: what it is.
      command: its command line.
      folder: the cluster's.
      environment: variables beside those of this process.
    """
    with open_log(folder, name) as log:
        return subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            env={**os.environ, **(environment or {}), _FOLDER: str(folder), _NAME: name},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def open_log(folder: Path, name: str) -> BufferedWriter:
    """The log of a process, to append to."""
    return log_path(folder, name).open("ab")


def log_path(folder: Path, name: str) -> Path:
    """Where a process's output goes."""
    return folder / "logs" / f"{name}.log"


def last_lines(folder: Path, name: str) -> str:
    """The end of a process's output, for a message; without the lines of Java's stacks."""
    try:
        lines = log_path(folder, name).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    told = [line for line in lines if not line.startswith(("\tat ", "\t... "))]
    return "\n".join(f"  {line[:300]}" for line in told[-_LAST_LINES:])


def found(folder: Path) -> dict[str, list[int]]:
    """Name -> ids of the processes of the cluster that live, with all their children; the oldest first."""
    names: dict[str, list[int]] = {}
    for pid, name in sorted(_marked(folder)):
        names.setdefault(name, []).append(pid)
    return names


def _marked(folder: Path) -> Iterator[tuple[int, str]]:
    mark = f"{_FOLDER}={folder}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is another user's
            continue
        if mark in variables:
            name = next((v.partition(b"=")[2] for v in variables if v.startswith(f"{_NAME}=".encode())), b"")
            yield int(entry.name), name.decode()


def stop(folder: Path, first: Sequence[str] = ()) -> dict[str, list[int]]:
    """Ends all processes of the cluster: SIGTERM, and SIGKILL after some seconds.

    Args:
      folder: the cluster's.
      first: names of those that would start others again.

    Returns:
      Those that were there.
    """
    there = found(folder)
    for name in first:
        _end(folder, {name} & there.keys())
    _end(folder, None)
    return there


def _end(folder: Path, names: set[str] | None) -> None:
    """Ends those with these names; None is all of them."""
    deadline = time.monotonic() + _GRACE_SECONDS
    sent = set()
    while pids := _ids(folder, names):
        late = time.monotonic() > deadline
        for pid in pids:
            if late or pid not in sent:
                sent.add(pid)
                _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(_POLL_SECONDS)


def _ids(folder: Path, names: set[str] | None) -> list[int]:
    return [pid for name, pids in found(folder).items() if names is None or name in names for pid in pids]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
