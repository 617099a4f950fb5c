"""The report of a run, made in a process of its own: whatever becomes of it, the run and its record stay as they are."""

import contextlib
import logging
from pathlib import Path
from typing import Any

from pipeline.errors import MillraceError
from pipeline.runners import processes, records

SECONDS = 60.0
LOG = "report.log"


def add(folder: Path, record: dict[str, Any]) -> None:
    """Makes the report of a run whose record is complete, and names it in the record.

    Args:
      folder: the run's; `logs/report.log` in it says why there is no report.
      record: gets the path of index.html under `report`, and is written again; stays as it is where there is no report.
    """
    try:
        record["report"] = str(make(folder))
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
    logs = folder / "logs"
    try:
        logs.mkdir(exist_ok=True)
        (logs / LOG).open("a", encoding="utf-8").close()
    except OSError as error:
        raise _unwritable(logs, error) from error
    path: Path = processes.call(_make, folder, log=folder / "logs" / LOG, seconds=seconds)
    return path


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
