"""The end of a run on one screen: every outcome renders, and nothing in it is taken for markup."""

import io
from typing import Any

import pytest
from rich.console import Console

from pipeline.errors import ExitCode
from pipeline.runners import records
from pipeline.runners.summary import TITLES, summary


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


@pytest.mark.parametrize("outcome", sorted(TITLES))
def test_every_outcome_renders_with_title_reason_and_next_step(outcome: str) -> None:
    text = shown(record(outcome, reason="because of this"))
    assert text.splitlines()[1].startswith(f"{TITLES[outcome][0]}  tips, run 20260101T000000, 12.3 s")
    assert "because of this" in text
    assert len(row(text, "next")) > 3
    assert row(text, "logs") == ["logs", "runs/tips/runs/20260101T000000/logs"]


def test_every_outcome_of_an_exit_code_has_a_title() -> None:
    assert {*records.OUTCOMES.values(), "pushed", "partial"} == set(TITLES)
    assert set(records.OUTCOMES) == set(ExitCode) - {ExitCode.PUSHED, ExitCode.USAGE}


def test_metrics_stand_beside_baseline_and_gate() -> None:
    text = shown(record(intervals={"auc": [0.93, 0.9512], "mae": None}))
    assert row(text, "metric") == ["metric", "candidate", "interval", "baseline", "gate"]
    assert row(text, "auc") == ["auc", "0.9432", "0.9300", "to", "0.9512", "0.9000", "✓", "at", "least", "0.9"]
    assert row(text, "mae") == ["mae", "1,234.5000", "✗", "at", "most", "2"]


def test_the_weakest_classes_are_named_and_markup_in_a_name_is_text() -> None:
    def known(recall: float, rows: float) -> dict[str, float]:
        return {"precision": 0.5, "recall": recall, "f1": 0.6, "example_count": rows}

    classes = {"cat": known(0.9, 1200.0), "[dog]": known(0.25, 4.0), "owl": known(0.8, 7.0), "elk": known(0.85, 9.0)}
    text = " ".join(shown(record(classes={**classes, "newt": known(0.0, 0.0)})).split())
    assert ("lowest recall of 5 classes: [dog]: 0.2500 (4 rows), owl: 0.8000 (7 rows), elk: 0.8500 (9 rows)") in text
    assert "lowest recall of" not in shown(record(classes={}))
    assert "lowest recall of" not in shown(record())


def test_cached_nodes_are_counted_and_named() -> None:
    assert "cached: 1 of 2 nodes (ExampleGen)" in shown(record())
    assert "cached" not in shown(record(nodes={}))


def test_a_pushed_model_is_shown_with_its_version() -> None:
    text = shown(record())
    assert row(text, "model") == ["model", "/srv/tips/17", "(version", "17)"]
    assert row(text, "next") == ["next", "millrace", "serve", "tips", "--root", "runs"]
    assert "model " not in shown(record("failed", metrics={}))


def test_a_metric_without_a_value_and_a_forced_promotion_are_told() -> None:
    text = shown(record(metrics={"auc": None}, forced="the old model leaks"))
    assert row(text, "auc")[:2] == ["auc", "none"]
    assert "warning promoted although a gate failed: the old model leaks" in text


def test_what_a_server_made_of_the_model_is_a_line() -> None:
    checks = [{"name": "serving load", "passed": True, "reason": "ready"}]
    report = {"checks": checks, "milliseconds": {"p50": 1.84, "p99": 3.06}, "memory_mb": 411.7}
    assert "✓ in a server: 1 checks, a row in 1.8 ms (99 of 100: 3.1), 412 MiB" in shown(record(serving=report))
    failed = {"checks": [{**checks[0], "passed": False}], "milliseconds": None, "memory_mb": None}
    assert "✗ in a server: 1 of 1 checks failed\n" in shown(record("serving_blocked", serving=failed))


def test_a_withdrawn_model_can_be_served_again() -> None:
    text = shown(record("not_blessed", withheld="version 17 of this model was withdrawn"))
    assert "millrace rollback --task tips --root runs --to VERSION serves it again" in text


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


def test_tf_lite_is_shown_beside_the_full_model() -> None:
    full = {"rows": 200, "bytes": 720_896, "milliseconds": 0.519, "metrics": {"binary_accuracy": 0.8902}}
    half = {"passed": True, "bytes": 53_756, "milliseconds": 0.0172, "max_difference": 0.0005, "agreement": 1.0}
    report = {
        "part": "the part after the transform",
        "not_converted": "the whole graph reads text (company)",
        "full": full,
        "formats": {
            "float16": {**half, "metrics": {"binary_accuracy": 0.89}},
            "int8": {"passed": False, "reason": "lite int8: does not convert"},
        },
    }
    text = shown(record(lite=report))
    assert row(text, "full model") == ["full", "model", "704", "KiB", "0.519", "ms", "0.8902"]
    assert row(text, "✓ float16") == ["✓", "float16", "52", "KiB", "0.017", "ms", "0.0005", "100.00%", "0.8900"]
    assert row(text, "✗ int8") == ["✗", "int8", "not", "converted"]
    assert "TF Lite holds the part after the transform (the whole graph reads text (company))" in text


def test_a_model_that_tf_lite_can_not_hold_is_said() -> None:
    text = shown(record(lite={"part": None, "not_converted": "the whole graph does not convert: it is too deep"}))
    assert "TF Lite: the whole graph does not convert: it is too deep" in text


def test_gates_on_gaps_between_groups_are_below_the_metrics() -> None:
    gap = {
        "name": "tpr_gap per company at most 0.2",
        "metric": "tpr_gap",
        "passed": False,
        "reason": "",
        "candidate": 0.31,
    }
    assert "✗ tpr_gap per company at most 0.2: 0.3100" in shown(record(gates=[gap]))
