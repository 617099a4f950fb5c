"""The folder of a run, and `run.json`: what a scheduler and the other commands read."""

import contextlib
import errno
import fcntl
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.config import RunConfig
from pipeline.errors import ExitCode, MillraceError, UsageError

OUTCOMES = {
    ExitCode.FAILED: "failed",
    ExitCode.DATA_BLOCKED: "data_blocked",
    ExitCode.NOT_BLESSED: "not_blessed",
    ExitCode.SERVING_BLOCKED: "serving_blocked",
}
_KEYS = {"run_id", "task", "started", "outcome", "exit_code", "seconds", "nodes", "gates", "pushed", "config"}
_NAME = "run.json"
_WORKERS = ".workers"
_RUN_ID = re.compile(r"\d{8}T\d{6}(-\d+)?")


def is_run_id(name: str) -> bool:
    """Whether a name is one that `new_run` gives."""
    return bool(_RUN_ID.fullmatch(name))


def new_run(config: RunConfig) -> Path:
    """Makes the folder of a new run; its name, the start in UTC, is the run's id.

    Raises:
      UsageError: the root can't be written.
    """
    runs = config.home / "runs"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        for attempt in range(1000):
            folder = runs / (f"{stamp}-{attempt}" if attempt else stamp)
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                (folder / "logs").mkdir()
                return folder
    except OSError as error:
        raise unwritable(config, error) from error
    raise MillraceError(f"root: {runs} has too many runs of this second")


def unwritable(config: RunConfig, error: OSError) -> MillraceError:
    """The error for a root that can't be written."""
    if error.errno == errno.ENOSPC:
        return MillraceError(f"root: the disk of {config.root} is full. Next: free space or choose another --root")
    return UsageError(
        f"root: {config.root} can't be written: {error.strerror}. Next: choose another --root or change its permissions"
    )


@contextlib.contextmanager
def locked(config: RunConfig) -> Iterator[None]:
    """Holds the task's root for one run; the lock goes with the process, however it ends.

    Raises:
      MillraceError: another run has it.
    """
    try:
        config.home.mkdir(parents=True, exist_ok=True)
        stream = os.open(config.home / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(config, error) from error
    try:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(stream, 200, 0).decode() or "unknown"
            raise MillraceError(
                f"root: another run is at work in {config.home} (process {holder}). "
                "Next: wait for it, or choose another --root"
            ) from error
        os.ftruncate(stream, 0)
        os.pwrite(stream, f"{os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(stream)


def work_in(home: Path) -> int:
    """Marks this process as one that writes to a task's folder, until it ends; returns the lock's file descriptor."""
    stream = os.open(home / _WORKERS, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(stream, fcntl.LOCK_SH)
    return stream


def wait_for_workers(home: Path) -> None:
    """Waits until no process of a killed run writes any more; they end by themselves when they see it gone."""
    stream = os.open(home / _WORKERS, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(stream, fcntl.LOCK_EX)
    finally:
        os.close(stream)


def resume_command(config: RunConfig) -> str:
    """The command that continues a failed run."""
    return f"millrace run --task {config.task} --root {shlex.quote(config.root)} --resume"


def write(folder: Path, record: dict[str, Any]) -> None:
    """Writes run.json to a temporary name and renames it, so that a reader never sees half of it."""
    handle, temporary = tempfile.mkstemp(prefix=f".{_NAME}-", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(record, stream, indent=2)
            stream.write("\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, folder / _NAME)
    except BaseException:
        os.unlink(temporary)
        raise


def read_all(root: str, task: str | None = None) -> list[dict[str, Any]]:
    """The records of all runs under a root, oldest first; what is no record is passed over.

    Args:
      root: `--root`.
      task: of this task only.
    """
    found = []
    for file in Path(root).glob(f"{task or '*'}/runs/*/run.json"):
        if is_run_id(file.parent.name):
            with contextlib.suppress(OSError, ValueError):
                record = json.loads(file.read_text(encoding="utf-8"))
                if isinstance(record, dict) and _KEYS <= set(record):
                    found.append(record)
    return sorted(found, key=lambda record: (record["started"], record["run_id"]))
