"""The index of a task's runs, and how they went over time: `<root>/<task>/reports/index.html` and `index.json`.

write(Path("runs/taxi_tips"))
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import altair as alt

from pipeline import tasks
from pipeline.errors import MillraceError
from pipeline.gates import HIGHER_IS_BETTER
from pipeline.push.versions import Places
from pipeline.report import charts as drawing
from pipeline.report import page, written
from pipeline.runners import records
from pipeline.task import Task

OUTCOMES = {
    "pushed": ("Pushed", "ok"),
    "partial": ("Done, as far as asked", "ok"),
    "data_blocked": ("Stopped by the data gate", "bad"),
    "not_blessed": ("Not blessed", "warn"),
    "serving_blocked": ("Failed the serving check", "bad"),
    "failed": ("Failed", "bad"),
}
"""Outcome -> in words, and the class of its badge."""
DRIFTS = ("drift", "label_shift", "served_drift", "skew")
"""Checks whose distances are of data against other data, not of a split against another."""
TRAIN = "the train split"
"""The reference of a distance that was taken within the data of one run."""
_METRICS = 3
_DRAWN = 100
_LONGEST = 160
_VERSION = 1


def write(home: Path) -> Path:
    """Brings the index of a task up to date.

    Args:
      home: `<root>/<task>`.

    Returns:
      The path of index.html.

    Raises:
      OSError: it can't be written.
    """
    found = written.plain(collect(home))
    reports = home / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    html = page.render("index.html.j2", found, charts=charts(found), parts=[])
    written.write_json(reports / "index.json", found)
    written.write(reports / "index.html", html)
    return reports / "index.html"


def collect(home: Path) -> dict[str, Any]:
    """index.json: `runs`, the newest first, and `metrics`, the names of those that are shown."""
    found = records.read_all(str(home.parent), home.name)[::-1]
    metrics = _metrics(found)
    task = _task(home.name)
    served = Places(home / "serving" / home.name).served()
    return {
        "version": _VERSION,
        "task": home.name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "metrics": metrics,
        "total": len(found),
        "pushed": sum(record["outcome"] == "pushed" for record in found),
        "served": None if served is None else str(served),
        "drawn": min(len(found), _DRAWN),
        "runs": [_run(record, home, metrics, served, task) for record in found],
    }


def _metrics(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first metrics of the newest run that has some, those with gates before others."""
    record = next((record for record in found if record.get("metrics")), None)
    if record is None:
        return []
    gated = [gate.get("metric") for gate in record["gates"] if gate.get("metric") in record["metrics"]]
    others = [metric for metric in record["metrics"] if HIGHER_IS_BETTER.get(metric) is not None]
    return list(dict.fromkeys((*gated, *others)))[:_METRICS]


def reason_of(record: Mapping[str, Any], task: Task | None) -> str:
    """Why a run ended as it did, on one line; without what may be a value of a sensitive column."""
    failed = [gate["name"] for gate in record.get("gates", ()) if not gate["passed"]]
    if failed and record["outcome"] in ("not_blessed", "serving_blocked"):
        told = f"broken: {', '.join(failed)}"
    else:
        told = " ".join(str(record.get("reason") or "").split()).replace(": - ", ": ")
    if told and (task is None or task.sensitive):
        unknown = "the task can't be loaded, so its sensitive columns are not known"
        return f"Not shown: {unknown if task is None else 'the task has sensitive columns'}. It is in run.json"
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}…"


def _task(name: str) -> Task | None:
    """The task as it is now; None where it can't be loaded."""
    try:
        return tasks.load(name)
    except MillraceError:
        return None


def _run(
    record: Mapping[str, Any], home: Path, metrics: Sequence[str], served: int | None, task: Task | None
) -> dict[str, Any]:
    said, tone = OUTCOMES.get(record["outcome"], (record["outcome"], "off"))
    rows = record.get("rows") or {}
    version = (record.get("pushed") or {}).get("version")
    place = home / "reports" / record["run_id"] / "index.html"
    return {
        "run_id": record["run_id"],
        "started": record["started"],
        "outcome": record["outcome"],
        "said": said,
        "tone": tone,
        "reason": reason_of(record, task),
        "rows": rows.get("in"),
        "quarantined": rows.get("quarantined"),
        "metrics": [
            {
                "metric": metric,
                "value": (record.get("metrics") or {}).get(metric),
                "interval": (record.get("intervals") or {}).get(metric),
            }
            for metric in metrics
        ],
        "drift": _drift(record, home),
        "seconds": record["seconds"],
        "version": version,
        "served": version is not None and version == str(served),
        "report": f"{record['run_id']}/index.html" if place.is_file() else None,
    }


def _drift(record: Mapping[str, Any], home: Path) -> dict[str, Any] | None:
    """The largest distance over its threshold, of the data from earlier data or from requests; None where none was taken."""
    folder = (record.get("artifacts") or {}).get("findings")
    if not folder:
        return None
    try:
        text = (_here(folder, record, home) / "findings.json").read_text("utf-8")
        taken = [each for each in json.loads(text)["measured"] if _counts(each)]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not taken:
        return None
    worst = max(taken, key=lambda each: each["distance"] / each["threshold"])
    known = ("check", "feature", "split", "distance", "threshold", "noise")
    return {**{key: worst[key] for key in known}, "ratio": worst["distance"] / worst["threshold"]}


def _counts(taken: Mapping[str, Any]) -> bool:
    """Whether a distance is of this data from other data; that of requests is taken from the train split."""
    other = taken["check"] == "skew" or taken["reference"] != TRAIN
    return taken["check"] in DRIFTS and other and taken["threshold"] > 0


def _here(folder: str, record: Mapping[str, Any], home: Path) -> Path:
    """A folder of the run, also where the root was moved since."""
    before = Path(str((record.get("config") or {}).get("root", ""))) / record["task"]
    return home / Path(folder).relative_to(before) if Path(folder).is_relative_to(before) else Path(folder)


def charts(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """At most six charts over the last runs, oldest first: `{"title", "svg", "said"}`; of what two runs have."""
    runs = found["runs"][:_DRAWN][::-1]
    drawn = []
    for position, metric in enumerate(found["metrics"]):
        points = [run["metrics"][position] for run in runs]
        intervals = [own["interval"] or [own["value"]] * 2 for own in points]
        drawn.append(_trend(metric, metric, runs, [own["value"] for own in points], intervals))
    taken: dict[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {
        "Rows": ("rows that came in", lambda run: run["rows"]),
        "Drift": ("largest distance over its threshold; above 1 it is too far", lambda run: (run["drift"] or {}).get("ratio")),
        "Time": ("seconds, cached nodes included", lambda run: run["seconds"]),
    }  # fmt: skip
    for title, (axis, value) in taken.items():
        taken_of = [value(run) for run in runs]
        drawn.append(_trend(title, axis, runs, taken_of, None, limit=1.0 if title == "Drift" else None))
    return [chart for chart in drawn if chart is not None]


def _trend(
    title: str,
    axis: str,
    runs: Sequence[Mapping[str, Any]],
    values: Sequence[float | None],
    intervals: Sequence[Sequence[float | None]] | None,
    limit: float | None = None,
) -> dict[str, Any] | None:
    """A line over runs, in their order, with dots that tell pushed runs from others by shape; None where two have no value.

    All charts have the same runs at the same places; it breaks where one has no value.
    """
    if sum(value is not None for value in values) < 2:
        return None
    pushed = ["pushed" if run["outcome"] == "pushed" else "not pushed" for run in runs]
    table = drawing.table(run=list(range(len(runs))), value=list(values), outcome=pushed)
    order = alt.X(
        "run:Q",
        title="runs, oldest first",
        axis=alt.Axis(labels=False, ticks=False, grid=False),
        scale=alt.Scale(domain=[0, len(runs) - 1], nice=False),
    )
    scale = alt.Scale(zero=intervals is None, nice=True)
    value = alt.Y("value:Q", title=None, scale=scale)
    shape = alt.Shape(
        "outcome:N", legend=None, scale=alt.Scale(domain=["pushed", "not pushed"], range=["circle", "cross"])
    )
    base = alt.Chart(table)
    layers: list[Any] = []
    if intervals is not None:
        lows, highs = [low for low, _ in intervals], [high for _, high in intervals]
        band = alt.Chart(drawing.table(run=list(range(len(runs))), low=lows, high=highs)).mark_area()
        layers.append(band.encode(x=order, y=alt.Y("low:Q", title=None, scale=scale), y2="high:Q"))
    layers += [
        base.mark_line().encode(x=order, y=value),
        base.mark_point(size=45).encode(x=order, y=value, shape=shape),
    ]
    if limit is not None:
        rule = alt.Chart(drawing.table(value=[limit])).mark_rule(strokeDash=[5, 3], color="var(--bad)")
        layers.append(rule.encode(y=value))
    chart = drawing.svg(alt.LayerChart(layer=layers), f"{title} over the last {len(runs)} runs", width=320, height=150)
    return {"title": title, "svg": chart, "said": "" if axis == title else axis}
