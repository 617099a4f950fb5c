"""Records of runs that never were, and their pages: the overview alone, without TFX."""

from pathlib import Path
from typing import Any

from pipeline.report import build, sources, written
from pipeline.report.sections import overview
from pipeline.task import Task


def record(outcome: str = "pushed", **changes: Any) -> dict[str, Any]:
    """run.json of a run with two gates and a baseline."""

    def node(seconds: float, state: str = "done", cpu: float = 0.0) -> dict[str, Any]:
        return {
            "state": state, "seconds": seconds, "cached": state == "cached", "peak_mb": 700, "cpu_seconds": cpu,
        }  # fmt: skip

    return {
        "run_id": "20260101T000000",
        "task": "tips",
        "outcome": outcome,
        "exit_code": 0,
        "reason": None,
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 42.25,
        "nodes": {"ExampleGen": node(0.5, "cached"), "Transform": node(12.0, cpu=15.5), "Trainer": node(9.0, cpu=17.25)},
        "metrics": {"mae": 1234.5, "auc": 0.94321, "recall": None},
        "baseline": {"auc": 0.9, "mae": 1200.0},
        "intervals": {"auc": [0.93, 0.9512], "mae": [1234.5, 1234.5], "recall": None},
        "undefined": {"recall": "no positive rows"},
        "compared": {"status": "compared", "said": "version 12 of the same rows"},
        "gates": [
            {"name": "mae at most 2000", "passed": True, "reason": "mae 1234.5"},
            {"name": "auc at least 0.9", "passed": outcome != "not_blessed", "reason": "auc 0.9432"},
        ],
        "blessed": outcome == "pushed",
        "pushed": {"version": "17", "path": "/srv/tips/17"} if outcome == "pushed" else None,
        "rows": {"in": 1000, "train": 660, "eval": 330, "quarantined": 10},
        "findings": [],
        "artifacts": {},
        "config": {"root": "runs", "task": "tips"},
    } | changes  # fmt: skip


def run_of(folder: Path, values: dict[str, Any], task: Task | None = None) -> sources.Run:
    """A run in a folder of its own, without artifacts."""
    place = folder / values["task"] / "runs" / values["run_id"]
    (place / "logs").mkdir(parents=True, exist_ok=True)
    return sources.Run(values, place, task, {})


def page_of(run: sources.Run) -> Path:
    """index.html with the overview alone, and report.json beside it."""
    report = build.collect(run, (overview,))
    html = build.draw(report, (overview,))
    target = run.home / "reports" / run.folder.name
    target.mkdir(parents=True, exist_ok=True)
    written.write_json(target / "report.json", report)
    written.write(target / "index.html", html)
    return target / "index.html"
