"""The report of a run, made in a process of its own: whatever becomes of it, the run and its record stay as they are."""

import contextlib
import logging
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipeline.errors import MillraceError
from pipeline.runners import processes, records

SECONDS = 60.0
LOG = "report.log"


class Maker:
    """Makes the report of a run, in a process that can be started while the nodes run: it gets ready, and waits."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the run's."""
        self._folder = folder
        self._job: processes.Job | None = None

    def start(self) -> None:
        """Starts the process; where it can't be, `make` says why."""
        with contextlib.suppress(MillraceError, OSError):
            _open_log(self._folder)
            receiver, self._sender = multiprocessing.Pipe(duplex=False)
            self._job = processes.Job(_make_when_told, self._folder, receiver, log=self._folder / "logs" / LOG)
            receiver.close()

    def make(self, seconds: float = SECONDS) -> Path:
        """As the function, when run.json is complete."""
        if self._job is None:
            return make(self._folder, seconds)
        with contextlib.suppress(BrokenPipeError):  # How its process ended is told below.
            self._sender.send_bytes(b"run.json is complete")
        path: Path = processes.value_of(self._job, seconds)
        return path

    def stop(self) -> None:
        """Ends the process, where there is to be no report."""
        if self._job is not None:
            self._job.stop()


def add(folder: Path, record: dict[str, Any], maker: Maker | None = None) -> None:
    """Makes the report of a run whose record is complete, and names it in the record.

    Args:
      folder: the run's; `logs/report.log` in it says why there is no report.
      record: gets the path of index.html under `report`, and is written again; stays as it is where there is no report.
      maker: that is ready for it; None: a new process.
    """
    try:
        record["report"] = str(maker.make() if maker else make(folder))
        records.write(folder, record)
    except (MillraceError, OSError, KeyboardInterrupt) as error:
        with contextlib.suppress(OSError), (folder / "logs" / LOG).open("a", encoding="utf-8") as log:
            log.write(f"no report: {str(error) or 'interrupted'}\n")


def make(folder: Path, seconds: float = SECONDS) -> Path:
    """Makes the report of a run.

    Args:
      folder: `<root>/<task>/runs/<run_id>`.
      seconds: that it may take.

    Returns:
      The path of index.html.

    Raises:
      MillraceError: it could not be made, or not in this time.
    """
    _open_log(folder)
    path: Path = processes.call(_make, folder, log=folder / "logs" / LOG, seconds=seconds)
    return path


def _open_log(folder: Path) -> None:
    """Raises MillraceError where the log of the report can't be written."""
    logs = folder / "logs"
    try:
        logs.mkdir(exist_ok=True)
        (logs / LOG).open("a", encoding="utf-8").close()
    except OSError as error:
        raise _unwritable(logs, error) from error


def _make_when_told(folder: Path, told: Connection) -> Path | None:
    """In the child; None where the run ends without a report."""
    from pipeline.report import build

    logging.getLogger().setLevel(logging.WARNING)
    try:
        build.warm_up()
    except Exception:  # What is broken is told by the report itself, part by part.
        logging.exception("report: getting ready")
    try:
        told.recv_bytes()
    except EOFError:
        return None
    return _make(folder)


def _make(folder: Path) -> Path:
    """In the child."""
    from pipeline.report import build

    logging.getLogger().setLevel(logging.WARNING)
    try:
        return build.report_of(folder)
    except OSError as error:
        raise _unwritable(folder.parent.parent / "reports", error) from error


def _unwritable(place: Path, error: OSError) -> MillraceError:
    return MillraceError(
        f"report: {place} can't be written: {error.strerror or error}. Next: free or mend that place, or ask for the report "
        "of a copy of the root, with --root"
    )
