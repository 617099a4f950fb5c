"""The end of a run on one screen: the answer, the metrics against gates and baseline, what to do next."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.runners.next_step import next_step, places

_WARNINGS = 5
_TRIALS = 10
_WEAKEST = 3
TITLES = {
    "pushed": ("Pushed", "bold green"),
    "partial": ("Done, as far as asked", "bold green"),
    "data_blocked": ("Stopped by the data gate", "bold red"),
    "not_blessed": ("Not blessed: the model was not pushed", "bold yellow"),
    "serving_blocked": ("Failed the serving check: the model was not pushed", "bold red"),
    "failed": ("Failed", "bold red"),
}


def summary(record: dict[str, Any]) -> RenderableType:
    """The summary of a run's record."""
    title, style = TITLES[record["outcome"]]
    cached = [name for name, node in record["nodes"].items() if node["cached"]]
    parts: list[RenderableType] = [
        Text(""),
        Text.assemble((title, style), f"  {record['task']}, run {record['run_id']}, {record['seconds']:.1f} s"),
    ]
    if record.get("reason"):
        parts.append(Text(record["reason"]))
    if cached:
        parts.append(Text(f"cached: {len(cached)} of {len(record['nodes'])} nodes ({', '.join(cached)})", "cyan"))
    if record.get("rows"):
        parts.append(_rows(record["rows"]))
    if record.get("spans"):
        first, last, count = record["spans"][0], record["spans"][-1], len(record["spans"])
        parts.append(Text(f"spans: {first} to {last}, {count} of them" if count > 1 else f"span: {last}"))
    warnings = [found for found in record.get("findings", ()) if found["severity"] == "warn"]
    parts += [Text.assemble(("warning ", "yellow"), _warning(found)) for found in warnings[:_WARNINGS]]
    if len(warnings) > _WARNINGS:
        parts.append(Text(f"more warnings, in run.json: {len(warnings) - _WARNINGS}", "yellow"))
    if record.get("forced"):
        parts.append(Text.assemble(("warning ", "yellow"), f"promoted although a gate failed: {record['forced']}"))
    parts += beginnings(record)
    if record.get("tuning"):
        parts += [Text(""), _trials(record["tuning"])]
    if record["metrics"]:
        parts += [Text(""), _metrics(record), *_gates_of_groups(record)]
        parts += _weakest(record.get("classes") or {})
    if record.get("lite"):
        parts += [Text(""), *_lite(record["lite"])]
    if record.get("serving"):
        parts += [Text(""), _serving(record["serving"])]
    if record.get("predictions"):
        parts.append(_predictions(record["predictions"]))
    listed = [*places(record), ("next", str(next_step(record)))]
    parts += [Text(""), *(Text.assemble((f"{key:<10}", "dim"), value) for key, value in listed)]
    return Group(*parts)


def beginnings(record: Mapping[str, Any]) -> list[Text]:
    """What the training began with: an earlier model's weights, values that a search has found."""
    parts = []
    if start := record.get("warm_start"):
        counts = ", ".join(f"{start[key]} {key}" for key in ("taken", "partly", "fresh", "left") if start.get(key))
        rows = start.get("rows") or {"taken": 0, "of": 0}
        told = f"from run {start['from']}: weights {counts}; {rows['taken']:,} of {rows['of']:,} named rows"
        parts.append(Text(f"warm start: {told}" if start["from"] else f"warm start: {' '.join(start['notes'])}"))
    if found := record.get("tuned"):
        values = ", ".join(f"{path}={_shown(value)}" for path, value in found["values"].items()) or "none"
        given = f"; overridden by --set: {', '.join(found['overridden'])}" if found["overridden"] else ""
        parts.append(Text(f"tuned: values of run {found['run']}: {values}{given}"))
        parts += [Text.assemble(("warning ", "yellow"), f"tuned value dropped: {why}") for why in found["dropped"]]
    return [*parts]


def _trials(tuning: dict[str, Any]) -> Table:
    """The best trials of a search, the best first, and how many there were."""
    trials = sorted(
        enumerate(tuning["trials"], 1),
        key=lambda pair: (
            pair[1]["value"] is None,
            (pair[1]["value"] or 0.0) * (1 if tuning["direction"] == "min" else -1),
        ),
    )
    failed = sum(trial["value"] is None for _, trial in trials)
    shown = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), title_justify="left")
    shown.title = f"{len(trials)} trials ({tuning['algorithm']})" + (f", {failed} failed" if failed else "")
    for column in ("trial", tuning["objective"], *tuning["best"]):
        shown.add_column(column, justify="right", header_style="dim")
    for number, trial in trials[:_TRIALS]:
        value = "failed" if trial["value"] is None else _number(trial["value"])
        shown.add_row(str(number), value, *(_shown(trial["values"].get(path)) for path in tuning["best"]))
    return shown


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rows(rows: dict[str, int]) -> Text:
    """`rows: 15,002 in = 10,022 train + 4,980 eval + 0 quarantined`, which adds up."""
    parts = " + ".join(f"{count:,} {name}" for name, count in rows.items() if name != "in")
    return Text(f"rows: {rows['in']:,} in = {parts}", "bold" if rows["quarantined"] else "")


def _warning(found: dict[str, Any]) -> str:
    """A finding's sentence, and why it is let through where it is waived."""
    waiver = found.get("waiver")
    return found["message"] + (f" Waived until {waiver['until']}: {waiver['reason']}" if waiver else "")


def _metrics(record: dict[str, Any]) -> Table:
    """Each metric of the candidate with its interval, with the baseline's and the gates on it."""
    shown = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("metric", "candidate", "interval", "baseline"):
        shown.add_column(column, justify="left" if column == "metric" else "right", header_style="dim")
    shown.add_column("gate", header_style="dim")
    for name, value in record["metrics"].items():
        base = record.get("baseline", {}).get(name)
        interval = record.get("intervals", {}).get(name)
        wide = interval and interval[0] < interval[1]
        verdicts = [gate for gate in record["gates"] if gate["name"].split()[0] == name]
        mark = Text("\n").join(Text.assemble(_mark(gate), gate["name"].removeprefix(f"{name} ")) for gate in verdicts)
        shown.add_row(
            name,
            "none" if value is None else _number(value),
            Text(f"{_number(interval[0])} to {_number(interval[1])}" if wide else "", "dim"),
            "" if base is None else _number(base),
            mark,
        )
    return shown


def _mark(gate: dict[str, Any]) -> tuple[str, str]:
    return ("✓ ", "green") if gate["passed"] else ("✗ ", "bold red")


def _gates_of_groups(record: dict[str, Any]) -> list[RenderableType]:
    """The verdicts on gaps between groups, which are of no metric in the table."""
    return [
        Text.assemble(_mark(gate), gate["name"], "" if gate["candidate"] is None else f": {_number(gate['candidate'])}")
        for gate in record["gates"]
        if gate.get("metric") and gate["name"].split()[0] not in record["metrics"]
    ]


def _weakest(classes: dict[str, dict[str, float]]) -> list[RenderableType]:
    """The classes of which the fewest rows were recognised; all are in run.json."""
    known = {name: values for name, values in classes.items() if values.get("example_count") and "recall" in values}
    worst = sorted(known, key=lambda name: known[name]["recall"])[:_WEAKEST]
    told = (f"{name}: {known[name]['recall']:.4f} ({known[name]['example_count']:,.0f} rows)" for name in worst)
    return [Text(f"lowest recall of {len(classes)} classes: {', '.join(told)}")] if worst else []


def _lite(report: dict[str, Any]) -> list[RenderableType]:
    """What TF Lite holds, and each format beside the full model."""
    if report["part"] is None:
        return [Text(f"TF Lite: {report['not_converted']}", "bold red")]
    shown = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    metric = next(iter(report["full"]["metrics"]), "metric")
    for column in ("TF Lite", "size", "a row", "largest difference", "agreement", metric):
        shown.add_column(column, justify="left" if column == "TF Lite" else "right", header_style="dim")
    for kind, entry in {"full model": report["full"], **report["formats"]}.items():
        passed = entry.get("passed")
        mark = "" if passed is None else "✓ " if passed else "✗ "
        name = Text.assemble((mark, "green" if passed else "bold red"), kind)
        if "bytes" not in entry:
            shown.add_row(name, "not converted")
            continue
        agreement = entry.get("agreement")
        shown.add_row(
            name,
            f"{entry['bytes'] / 1024:,.0f} KiB",
            f"{entry['milliseconds']:.3f} ms",
            f"{entry['max_difference']:.4f}" if "max_difference" in entry else "",
            "" if agreement is None else f"{agreement:.2%}",
            _number(entry["metrics"][metric]) if metric in entry["metrics"] else "",
        )
    why = f" ({report['not_converted']})" if report["not_converted"] else ""
    return [shown, Text(f"TF Lite holds {report['part']}{why}", "dim")]


def _serving(report: dict[str, Any]) -> Text:
    """What the serving check has found, in a line; what failed is the run's reason."""
    failed = sum(not check["passed"] for check in report["checks"])
    mark = ("✗ ", "bold red") if failed else ("✓ ", "green")
    told = [f"{failed} of {len(report['checks'])} checks failed" if failed else f"{len(report['checks'])} checks"]
    if report["milliseconds"]:
        told.append(f"a row in {report['milliseconds']['p50']:.1f} ms (99 of 100: {report['milliseconds']['p99']:.1f})")
    if report["memory_mb"]:
        told.append(f"{report['memory_mb']:,.0f} MiB")
    return Text.assemble(mark, f"in a server: {', '.join(told)}")


def _predictions(account: dict[str, Any]) -> Text:
    """What became of the rows that `--predict` names."""
    if not account["predicted"]:
        return Text(f"predictions: none: {account['reason']}", "yellow")
    counts = f"{account['rows']:,} in = {account['answered']:,} answered + {account['errors']:,} with errors"
    listed = f"; errors in {account['errors_at']}" if account["errors"] else ""
    return Text(f"predictions: {counts}, in {account.get('copy') or account['out']}{listed}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value > 1 and value.is_integer() else f"{value:,.4f}"
