"""One command as a process of its own: its output to a log, and an end to it when the run is interrupted."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.kubeflow.execute.failure import TaskFailed

_FIRST_OF_SIGNALS = 128
"""A container that was ended by a signal has this plus the signal's number as its exit code."""


@dataclass(frozen=True)
class Command:
    """What is run.

    Attributes:
      arguments: the command and its arguments.
      environment: all of it.
      folder: to run in.
      log: file that the output is added to.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path


async def run(command: Command, stop: asyncio.Event, grace: float) -> int:
    """Runs a command to its end.

    Args:
      command: what is run.
      stop: ends it: SIGTERM, and SIGKILL if it goes on.
      grace: seconds between the two.

    Returns:
      The exit code, as of a container.

    Raises:
      TaskFailed: it can't be started.
    """
    command.folder.mkdir(parents=True, exist_ok=True)
    with command.log.open("ab") as log:
        try:
            process = await asyncio.create_subprocess_exec(
                *command.arguments,
                cwd=command.folder,
                env=dict(command.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise TaskFailed(f"{command.arguments[0]!r} can't be started: {reason}") from error
    ended = asyncio.ensure_future(process.wait())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            _signal(process.pid, signal.SIGTERM)
            await asyncio.wait({ended}, timeout=grace)
    finally:
        stopped.cancel()
        # What a command has left running ends with it, as in a container.
        _signal(process.pid, signal.SIGKILL)
    code = await ended
    return code if code >= 0 else _FIRST_OF_SIGNALS - code


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def note(log: Path, text: str) -> None:
    """A line of ours in a log."""
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"[millrace] {text}\n")


def last_lines(log: Path, count: int, hidden: Sequence[str] = ()) -> list[str]:
    """The end of a log, without some texts."""
    if not log.exists():
        return []
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 64 * 1024))
        text = stream.read().decode("utf-8", errors="replace")
    for secret in hidden:
        text = text.replace(secret, "***")
    return [line for line in text.splitlines() if line.strip()][-count:]
