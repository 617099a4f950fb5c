"""The end of a run on one screen: every outcome renders, and nothing in it is taken for markup."""

import io
from typing import Any

import pytest
from rich.console import Console

from pipeline.errors import ExitCode
from pipeline.runners import records
from pipeline.runners.summary import _TITLES, summary


def record(outcome: str = "pushed", **changes: Any) -> dict[str, Any]:
    return {
        "run_id": "20260101T000000",
        "task": "tips",
        "outcome": outcome,
        "exit_code": 0,
        "reason": None,
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 12.34,
        "nodes": {
            "ExampleGen": {"state": "cached", "seconds": 0.1, "cached": True, "peak_mb": 1},
            "Trainer": {"state": "done", "seconds": 9.0, "cached": False, "peak_mb": 1},
        },
        "metrics": {"auc": 0.94321, "mae": 1234.5},
        "baseline": {"auc": 0.9},
        "gates": [
            {"name": "auc at least 0.9", "passed": True, "reason": "auc 0.9432"},
            {"name": "mae at most 2", "passed": False, "reason": "mae 1234.5: above 2"},
        ],
        "pushed": {"version": "17", "path": "/srv/tips/17"} if outcome == "pushed" else None,
        "report": None,
        "config": {"root": "runs", "task": "tips"},
    } | changes


def shown(value: dict[str, Any]) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120, highlight=False).print(summary(value))
    return stream.getvalue()


def row(text: str, start: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return line.split()


@pytest.mark.parametrize("outcome", sorted(_TITLES))
def test_every_outcome_renders_with_title_reason_and_next_step(outcome: str) -> None:
    text = shown(record(outcome, reason="because of this"))
    assert text.splitlines()[1].startswith(f"{_TITLES[outcome][0]}  tips, run 20260101T000000, 12.3 s")
    assert "because of this" in text
    assert len(row(text, "next")) > 3
    assert row(text, "logs") == ["logs", "runs/tips/runs/20260101T000000/logs"]


def test_every_outcome_of_an_exit_code_has_a_title() -> None:
    assert {*records.OUTCOMES.values(), "pushed", "partial"} == set(_TITLES)
    assert set(records.OUTCOMES) == set(ExitCode) - {ExitCode.PUSHED, ExitCode.USAGE}


def test_metrics_stand_beside_baseline_and_gate() -> None:
    text = shown(record())
    assert row(text, "metric") == ["metric", "candidate", "baseline", "gate"]
    assert row(text, "auc") == ["auc", "0.9432", "0.9000", "✓", "at", "least", "0.9"]
    assert row(text, "mae") == ["mae", "1,234.5000", "✗", "at", "most", "2"]


def test_cached_nodes_are_counted_and_named() -> None:
    assert "cached: 1 of 2 nodes (ExampleGen)" in shown(record())
    assert "cached" not in shown(record(nodes={}))


def test_a_pushed_model_is_shown_with_its_version() -> None:
    text = shown(record())
    assert row(text, "model") == ["model", "/srv/tips/17", "(version", "17)"]
    assert "point TensorFlow Serving at /srv/tips" in text
    assert "model " not in shown(record("failed", metrics={}))


def test_the_next_step_names_a_root_that_is_not_the_default() -> None:
    assert "millrace run --task tips --root /tmp/r --resume" in shown(
        record("failed", config={"root": "/tmp/r", "task": "tips"})
    )


@pytest.mark.parametrize("text", ["[red]", "[/]", "[bold]x[/bold]", "[link=file:///x]"])
def test_markup_in_text_is_shown_literally(text: str) -> None:
    value = record("data_blocked", reason=f"company: {text} is not allowed", nodes={text: {"cached": True}})
    assert f"company: {text} is not allowed" in shown(value)
    assert f"({text})" in shown(value)


def test_a_run_that_never_began_renders() -> None:
    text = shown(record("failed", metrics={}, baseline={}, gates=[], nodes={}, seconds=0.0))
    assert "Failed  tips" in text
    assert "metric" not in text


def test_spans_and_waivers_are_told() -> None:
    found = {"severity": "warn", "message": "fare: dearer.", "waiver": {"until": "2027-01-31", "reason": "New prices."}}
    text = shown(
        record("pushed", spans=["2026-11-03", "2026-11-05"], findings=[found], rows={"in": 1, "quarantined": 0})
    )
    assert "spans: 2026-11-03 to 2026-11-05, 2 of them" in text
    assert "fare: dearer. Waived until 2027-01-31: New prices." in text
    assert "span: 7" in shown(record("pushed", spans=["7"], rows={"in": 1, "quarantined": 0}))
