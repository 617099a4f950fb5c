"""The first screen: was the model pushed and why, the next command, gates, metrics, rows, time and cost, warnings."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipeline.push import history
from pipeline.push.versions import Places
from pipeline.report.privacy import Privacy
from pipeline.report.sections import failure
from pipeline.report.sources import Run
from pipeline.runners import summary
from pipeline.runners.next_step import next_step

NAME = "overview"
TITLE = "Overview"

_TONES = {"pushed": "ok", "partial": "off", "not_blessed": "warn", "failed": "bad"}
_WARNINGS = 50
_OF_THE_RUNNER = ("interrupted", "the run was killed", "root: ", "the disk is full")


def collect(run: Run) -> dict[str, Any]:
    """What the first screen shows; see the template."""
    record = run.record
    here = {**record, "config": {**record["config"], "root": str(run.home.parent)}}
    step = next_step(here)
    return {
        "outcome": record["outcome"],
        "title": summary.TITLES[record["outcome"]][0].split(":")[0],
        "tone": "warn" if record.get("forced") else _TONES.get(record["outcome"], "bad"),
        "question": run.task.question if run.task else None,
        "started": record["started"][:16].replace("T", " ") + " UTC",
        "seconds": record["seconds"],
        "sentence": sentence(record, Privacy(run.task).any),
        "causes": failure.causes(run),
        "ended": failure.ended(record),
        "failure": failure.failure(run),
        "next": {"before": step.before, "command": step.command, "after": step.after},
        "gates": _gates(run),
        "metrics": _metrics(run),
        "compared": _compared(run),
        "rows": _rows(record),
        "spans": record.get("spans") or [],
        "time": _time(record),
        **_warnings(run),
        "serving": _serving(record),
        "predictions": record.get("predictions"),
        "beginnings": [line.plain for line in summary.beginnings(record)],
    }


def charts(part: Mapping[str, Any]) -> dict[str, Markup]:
    """None: bars of one colour need no chart."""
    return {}


def sentence(record: Mapping[str, Any], private: bool = False) -> str:
    """Pushed or not and why, in a sentence; `private`: without what may hold values of the data."""
    gates = record["gates"]
    failed = [gate for gate in gates if not gate["passed"]]
    first = (
        f"the gate “{failed[0]['name']}” failed" if len(failed) == 1 else f"{len(failed)} of {len(gates)} gates failed"
    )
    if record["pushed"]:
        pushed = f"Pushed as version {record['pushed']['version']}"
        if record.get("forced"):
            return f"{pushed} by force, although {first}: {_ended(record['forced'])}"
        held = {1: "its gate holds", 2: "both gates hold"}.get(len(gates), f"all {len(gates)} gates hold")
        return f"{pushed} because {held}."
    for key in ("withheld", "refused"):
        if record.get(key):
            return f"Not pushed: {_ended(record[key])}"
    if record["outcome"] in ("not_blessed", "serving_blocked"):
        return f"Not pushed because {first if failed else record['reason']}{'.' if failed else ''}"
    if record["outcome"] == "data_blocked":
        stopped = [found for found in record.get("findings", ()) if found["severity"] == "fail"]
        why = f" {len(stopped)} finding{'s' if len(stopped) != 1 else ''}" if stopped else " what it found"
        return f"Not pushed because the data gate stopped the run for{why}: no model was trained."
    if record["outcome"] == "partial":
        return f"Not pushed: the run {_ended(record['reason'])}"
    node = failure.node_of(record)
    if node:
        return f"Not pushed because {node} failed."
    lead = (record["reason"] or "the run failed").splitlines()[0].split(" Next:")[0].rstrip(":.")
    if private and not lead.startswith(_OF_THE_RUNNER):
        return "Not pushed: the run failed."
    return f"Not pushed: {lead if lead.startswith('the run') else 'the run failed: ' + lead}."


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _gates(run: Run) -> list[dict[str, Any]]:
    """Verdicts, the failed ones first; those on slices by a sensitive column without what is said of the slices."""
    keys = ("metric", "slice", "candidate", "baseline", "difference", "interval", "n")
    privacy = Privacy(run.task)
    found = []
    for gate in run.record["gates"]:
        _, per, cross = gate["name"].partition(" for each ")
        entry = {key: gate.get(key) for key in ("name", "passed", "reason", *keys)}
        if per and any(privacy.hides(column) for column in cross.split(" x ")):
            entry |= {
                "slice": None,
                "reason": "The slices are not named: their names are values of a sensitive column.",
            }
        found.append(entry)
    return sorted(found, key=lambda gate: bool(gate["passed"]))


def _metrics(run: Run) -> list[dict[str, Any]]:
    """Each metric as evidence.json has it; as run.json has it where there is none."""
    record = run.record
    evidence = (run.json("Evaluator", "evaluation", "evidence.json") or {}).get("metrics", {})
    found = []
    for name, value in record["metrics"].items():
        measured = evidence.get(name) or {
            "candidate": value,
            "interval": record.get("intervals", {}).get(name),
            "baseline": record.get("baseline", {}).get(name),
            "reason": record.get("undefined", {}).get(name),
        }
        gates = [gate for gate in record["gates"] if gate["name"].split()[0] == name]
        found.append(
            {
                "name": name,
                "value": measured["candidate"],
                "interval": _wide(measured.get("interval")),
                "baseline": measured.get("baseline"),
                "difference": measured.get("difference"),
                "difference_interval": _wide(measured.get("difference_interval")),
                "reason": measured.get("reason"),
                "gates": [{"rule": gate["name"].removeprefix(f"{name} "), "passed": gate["passed"]} for gate in gates],
            }
        )
    return sorted(found, key=lambda metric: (all(gate["passed"] for gate in metric["gates"]), not metric["gates"]))


def _compared(run: Run) -> str | None:
    """With what the candidate was compared, in a sentence; None where the Evaluator has not run."""
    compared = run.record.get("compared")
    if not compared:
        return None
    if compared["status"] == "none":
        return "There is no baseline: on a first run there is nothing to compare with."
    models = history.models_of(Places(run.home / "serving" / run.home.name))
    version = next((version for version, uri in models.items() if uri == compared.get("uri")), None)
    which = f"version {version}, which was served" if version else "the latest blessed model"
    if compared["status"] == "compared":
        return f"The baseline is {which}. Both answered the same rows."
    return f"The baseline is {which}: {compared['said']}."


def _wide(interval: list[float] | None) -> list[float] | None:
    """An interval, or None where it is a point or unknown."""
    known = interval is not None and None not in interval and interval[0] < interval[1]
    return interval if known else None


def _rows(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Rows in, and what became of them."""
    rows = record.get("rows")
    if not rows:
        return None
    parts = [{"name": name, "count": count} for name, count in rows.items() if name != "in"]
    for part in parts:
        part["share"] = part["count"] / rows["in"] if rows["in"] else None
    return {"in": rows["in"], "parts": parts, "adds_up": sum(part["count"] for part in parts) == rows["in"]}


def _time(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Seconds, memory and core-seconds of each node, in the order of the graph."""
    if not record["nodes"]:
        return None
    longest = max((node["seconds"] for node in record["nodes"].values()), default=0.0) or 1.0
    nodes = [
        {
            "name": name,
            "state": node["state"].replace("_", " "),
            "tone": {"done": "ok", "failed": "bad", "blocked": "bad", "stopped": "warn"}.get(node["state"], "off"),
            "seconds": node["seconds"] or None,
            "share": node["seconds"] / longest,
            "cached": node["cached"],
            "peak_mb": node["peak_mb"] or None,
            "cpu_seconds": node.get("cpu_seconds") or None,
        }
        for name, node in record["nodes"].items()
    ]
    costs = [node["cpu_seconds"] for node in nodes if node["cpu_seconds"]]
    return {
        "nodes": nodes,
        "cached": sum(node["cached"] for node in nodes),
        "of": len(nodes),
        "seconds": record["seconds"],
        "core_seconds": sum(costs) if costs else None,
        "peak_mb": max((node["peak_mb"] or 0 for node in nodes), default=0) or None,
    }


def _warnings(run: Run) -> dict[str, Any]:
    """Findings that warn, without values of sensitive columns."""
    found = [entry for entry in run.record.get("findings", ()) if entry["severity"] == "warn"]
    return {
        "warnings": [
            {
                "check": entry.get("check"),
                "message": failure.shown(run, entry),
                "waiver": entry.get("waiver"),
            }
            for entry in found[:_WARNINGS]
        ],
        "warnings_in_all": len(found),
    }


def _serving(record: Mapping[str, Any]) -> dict[str, Any] | None:
    report = record.get("serving")
    if not report:
        return None
    failed = sum(not check["passed"] for check in report["checks"])
    keys = ("milliseconds", "memory_mb", "server")
    return {"checks": len(report["checks"]), "failed": failed} | {key: report.get(key) for key in keys}
