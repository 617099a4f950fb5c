"""A comparison on the terminal and as a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.report import page, written
from pipeline.report.figures import count, name, number, percent, seconds, signed

_FEATURES = 8
_STYLES = {"better": "green", "worse": "bold red", "differs": "yellow"}


def write(home: Path, found: Mapping[str, Any]) -> Path:
    """Writes the page of a comparison, and every figure on it beside it as JSON.

    Args:
      home: `<root>/<task>`.
      found: see `pipeline.report.diff.compare`.

    Returns:
      The path of `reports/diff-<A>-<B>.html`.

    Raises:
      OSError: it can't be written.
    """
    stem = f"diff-{found['a']['run_id']}-{found['b']['run_id']}"
    folder = home / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    html = page.render("diff.html.j2", found, stem=stem, parts=[])
    written.write_json(folder / f"{stem}.json", found)
    written.write(folder / f"{stem}.html", html)
    return folder / f"{stem}.html"


def terminal(found: Mapping[str, Any]) -> RenderableType:
    """The comparison on one screen: the likely cause first, then what changed, and the metrics."""
    a, b = found["a"], found["b"]
    parts: list[RenderableType] = [
        Text(f"{found['task']}: from run {a['run_id']} (A) to run {b['run_id']} (B)", "bold")
    ]
    for side, run in (("A", a), ("B", b)):
        parts.append(
            Text(
                f"{side}  {run['said']}, {seconds(run['seconds'])}{': ' + _plain(run['reason'], 200) if run['reason'] else ''}"
            )
        )
    parts.append(Text(""))
    parts += [Text(_plain(sentence, 600)) for sentence in found["cause"]]
    parts += [Text(""), _changes(found), Text("")]
    if any(row["a"] is not None or row["b"] is not None for row in found["data"]["rows"]):
        parts += [_rows(found["data"]), Text("")]
    moved = [each for each in found["data"]["features"] if each["distance"]]
    if moved:
        parts += [_features(moved[:_FEATURES], found["data"]), Text("")]
    if found["metrics"]["metrics"]:
        parts += [_metrics(found["metrics"]), Text(_how(found["metrics"]), "dim")]
    return Group(*parts)


def _table(*columns: str, left: int = 1) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for position, column in enumerate(columns):
        shown.add_column(column, justify="left" if position < left else "right", overflow="fold")
    return shown


def _changes(found: Mapping[str, Any]) -> Table:
    shown = _table("what", "changed", "how", left=3)
    for each in found["changes"]:
        said = {True: Text("yes", "yellow"), False: Text("no", "dim"), None: Text("not known", "dim")}[each["changed"]]
        shown.add_row(each["kind"], said, Text(_plain(each["said"], 200) if each["changed"] else "", ""))
    cached = [node["node"] for node in found["nodes"] if node["b"] == "cached"]
    if cached:
        shown.add_row(
            "nodes",
            Text("", "dim"),
            Text(f"{len(cached)} of {len(found['nodes'])} of B from the cache: {', '.join(cached)}"),
        )
    return shown


def _rows(data: Mapping[str, Any]) -> Table:
    shown = _table("rows", "A", "B", "difference")
    for row in data["rows"]:
        shown.add_row(_plain(row["name"]), count(row["a"]), count(row["b"]), signed(row["difference"]))
    return shown


def _features(features: list[Mapping[str, Any]], data: Mapping[str, Any]) -> Table:
    shown = _table(
        f"column ({data['split']})", "distance", "by chance", "mean, in deviations", "missing", "largest change"
    )
    for each in features:
        missing = f"{percent(each['missing']['a'])} → {percent(each['missing']['b'])}"
        far = Text(number(each["distance"]), "bold yellow" if each["apart"] else "")
        shown.add_row(
            Text(_plain(each["name"])), far, number(each["noise"]), signed(each["shift"]), missing,
            Text("" if each["where"] is None else _plain(each["where"], 60)),
        )  # fmt: skip
    return shown


def _metrics(found: Mapping[str, Any]) -> Table:
    split = any(each["model"] for each in found["metrics"])
    shown = _table(
        "metric", "A", "B", "difference", "interval", "verdict", *(("models on the same rows",) if split else ())
    )
    for each in found["metrics"]:
        own = each["model"]
        model = f"{signed(own['difference'])} ({_interval(own['interval'])}), {own['verdict']}" if own else ""
        verdict = Text(each["verdict"], _STYLES.get(each["verdict"], "dim"))
        values = (number(each["a"]), number(each["b"]), signed(each["difference"]), _interval(each["interval"]))
        shown.add_row(each["metric"], *values, verdict, *((model,) if split else ()))
    return shown


def _interval(interval: Any) -> str:
    return f"{signed(interval[0])} to {signed(interval[1])}" if interval else ""


def _how(found: Mapping[str, Any]) -> str:
    """Where the intervals are from."""
    if any(each["how"] == "paired" for each in found["metrics"]):
        return "Paired: both models answered the same rows."
    return "Unpaired: two evaluations, taken as independent."


def _plain(value: Any, length: int = 60) -> str:
    """A text that came from data, without what a terminal would act on."""
    return name(value, length).striptags() if str(value) else ""
