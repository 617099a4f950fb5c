"""Makes the report of a run: `<root>/<task>/reports/<run_id>/report.json` and `index.html`.

    report_of(Path("runs/taxi_tips/runs/20260101T000000"))

A part that can't be made says so in its place and under `problems` in report.json; the others are there.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from markupsafe import Markup

from pipeline.errors import MillraceError
from pipeline.report import charts, index, page, sources
from pipeline.report.sections import lineage, overview, slices
from pipeline.report.written import plain, write, write_json
from pipeline.runners import processes

VERSION = 1
LIBRARIES = ("tfx", "tensorflow", "tensorflow-data-validation", "tensorflow-model-analysis")


class Section(Protocol):
    """See `pipeline.report.sections`."""

    @property
    def NAME(self) -> str:
        """Its key in report.json."""

    @property
    def TITLE(self) -> str:
        """Its heading."""

    def collect(self, run: sources.Run) -> dict[str, Any] | None:
        """The part of report.json, or None where the run did not come so far."""

    def charts(self, part: Mapping[str, Any]) -> dict[str, Markup]:
        """name -> SVG."""


@dataclass(frozen=True)
class Absent:
    """A section of which a run has nothing."""

    NAME: str
    TITLE: str

    def collect(self, run: sources.Run) -> None:
        """Nothing."""

    def charts(self, part: Mapping[str, Any]) -> dict[str, Markup]:
        """None."""
        return {}


def sections_of(record: Mapping[str, Any]) -> tuple[Section, ...]:
    """The sections in their order. Those that import TFX are left out where no node ran: seconds to say nothing."""
    if not record["nodes"]:
        return (overview, Absent("data", "Data"), Absent("model", "Model"), slices, lineage)
    from pipeline.report.sections import data, model

    return (overview, data, model, slices, lineage)


def warm_up() -> None:
    """Has this process import, start and compile what every report takes; nothing is written."""
    from pipeline.report.sections import data  # noqa: F401
    from pipeline.report.sections.model import earlier

    earlier.code()
    page.warm_up()
    charts.warm_up()


def report_of(folder: Path) -> Path:
    """Writes the report of a run, and brings the index of its task up to date.

    Args:
      folder: `<root>/<task>/runs/<run_id>`.

    Returns:
      The path of index.html.

    Raises:
      OSError: run.json can't be read, or the report can't be written.
    """
    run = sources.open_run(folder)
    sections = sections_of(run.record)
    report = collect(run, sections)
    html = draw(report, sections)
    target = run.home / "reports" / folder.name
    target.mkdir(parents=True, exist_ok=True)
    write_json(target / "report.json", report)
    write(target / "index.html", html)
    try:
        index.write(run.home)
    except Exception:
        logging.exception("report: the index of %s", run.home)
    return target / "index.html"


def collect(run: sources.Run, sections: tuple[Section, ...]) -> dict[str, Any]:
    """report.json: each section's part, null where there is none; `problems` says which could not be made, and why."""
    report: dict[str, Any] = {
        "version": VERSION,
        "run_id": run.record["run_id"],
        "task": run.record["task"],
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": [{"name": name, "version": metadata.version(name)} for name in LIBRARIES],
        "problems": [],
    }
    for section in sections:
        report[section.NAME] = None
        try:
            report[section.NAME] = plain(section.collect(run))
        except Exception as error:
            _note(report, section, error)
    return report


def draw(report: dict[str, Any], sections: tuple[Section, ...]) -> str:
    """index.html; a part whose charts or template fail is noted in `report["problems"]`, and the others are drawn."""
    drawn = []
    for section in sections:
        content = None
        if report[section.NAME] is not None:
            try:
                content = page.section(section.NAME, report, section.charts(report[section.NAME]))
            except Exception as error:
                _note(report, section, error)
        reason = next((found["reason"] for found in report["problems"] if found["section"] == section.NAME), None)
        drawn.append({"name": section.NAME, "title": section.TITLE, "content": content, "problem": reason})
    return page.render("page.html.j2", report, parts=drawn)


def _note(report: dict[str, Any], section: Section, error: Exception) -> None:
    logging.exception("report: %s", section.NAME)
    reason = str(error) if isinstance(error, MillraceError) else processes.explain(error)
    report["problems"].append({"section": section.NAME, "reason": reason})
