"""The first screen: the answer in a sentence, what to do next, the figures; no values of sensitive columns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made import record, run_of

from pipeline.report.sections import failure, overview
from pipeline.task import Task

FINDING = {
    "check": "domain", "feature": "company", "severity": "fail", "message": "company: received 'Bitcoin'",
    "examples": ["Bitcoin"], "rows": 600, "total": 15002,
}  # fmt: skip
FAILED = [
    {"name": "auc at least 0.95", "passed": False, "reason": "auc 0.9432: below"},
    {"name": "mae at most 2", "passed": True, "reason": "mae 1"},
]
NODES = {
    "Transform": {"state": "done", "seconds": 8.0, "cached": False, "peak_mb": 700},
    "Trainer": {"state": "failed", "seconds": 2.0, "cached": False, "peak_mb": 900},
    "Pusher": {"state": "not_run", "seconds": 0.0, "cached": False, "peak_mb": 0},
}


@pytest.mark.parametrize(
    ("outcome", "changes", "sentence"),
    [
        ("pushed", {}, "Pushed as version 17 because both gates hold."),
        ("pushed", {"gates": FAILED[1:]}, "Pushed as version 17 because its gate holds."),
        ("pushed", {"gates": FAILED[1:] * 3}, "Pushed as version 17 because all 3 gates hold."),
        (
            "pushed",
            {"gates": FAILED, "forced": "the old model leaks"},
            "Pushed as version 17 by force, although the gate “auc at least 0.95” failed: the old model leaks.",
        ),
        ("not_blessed", {"gates": FAILED}, "Not pushed because the gate “auc at least 0.95” failed."),
        ("not_blessed", {"gates": FAILED[:1] * 2 + FAILED}, "Not pushed because 3 of 4 gates failed."),
        ("not_blessed", {"withheld": "version 17 was withdrawn"}, "Not pushed: version 17 was withdrawn."),
        ("serving_blocked", {"refused": "other signatures"}, "Not pushed: other signatures."),
        (
            "data_blocked",
            {"findings": [FINDING]},
            "Not pushed because the data gate stopped the run for 1 finding: no model was trained.",
        ),
        ("partial", {"reason": "ended before the push, as --to DataGate asks"},
         "Not pushed: the run ended before the push, as --to DataGate asks."),
        ("failed", {"nodes": NODES, "reason": "Trainer failed: boom"}, "Not pushed because Trainer failed."),
        ("failed", {"nodes": {}, "reason": "interrupted. Next: millrace run --resume"},
         "Not pushed: the run failed: interrupted."),
        ("failed", {"nodes": {}, "reason": "the run was killed before it ended. Next: x"},
         "Not pushed: the run was killed before it ended."),
    ],
)  # fmt: skip
def test_the_answer_is_a_sentence(outcome: str, changes: dict[str, Any], sentence: str) -> None:
    assert overview.sentence(record(outcome, **changes)) == sentence


def test_the_next_step_is_a_command_with_the_root_of_the_run_as_it_is_now(tmp_path: Path, tiny: Task) -> None:
    part = overview.collect(run_of(tmp_path, record(), tiny))
    assert part["next"] == {"before": "", "command": f"millrace serve tips --root {tmp_path}", "after": ""}
    part = overview.collect(run_of(tmp_path, record("failed", nodes=NODES, reason="x"), tiny))
    assert part["next"]["command"] == f"millrace run --task tips --root {tmp_path} --resume"


def test_rows_add_up_or_the_page_says_that_they_do_not(tmp_path: Path, tiny: Task) -> None:
    rows = overview.collect(run_of(tmp_path, record(), tiny))["rows"]
    assert rows["adds_up"] is True
    assert [(part["name"], part["count"], part["share"]) for part in rows["parts"]] == [
        ("train", 660, 0.66), ("eval", 330, 0.33), ("quarantined", 10, 0.01)
    ]  # fmt: skip
    short = record(rows={"in": 11, "train": 9, "quarantined": 1})
    assert overview.collect(run_of(tmp_path, short, tiny))["rows"]["adds_up"] is False
    assert overview.collect(run_of(tmp_path, record(rows=None), tiny))["rows"] is None


def test_failed_gates_and_their_metrics_come_first(tmp_path: Path, tiny: Task) -> None:
    part = overview.collect(run_of(tmp_path, record("not_blessed"), tiny))
    assert [gate["passed"] for gate in part["gates"]] == [False, True]
    assert [metric["name"] for metric in part["metrics"]] == ["auc", "mae", "recall"]
    auc, mae, recall = part["metrics"]
    assert (auc["value"], auc["interval"], auc["baseline"]) == (0.94321, [0.93, 0.9512], 0.9)
    assert auc["gates"] == [{"rule": "at least 0.9", "passed": False}]
    assert mae["interval"] is None
    assert (recall["value"], recall["reason"]) == (None, "no positive rows")


def test_metrics_are_those_of_evidence_where_it_is_there(tmp_path: Path, tiny: Task) -> None:
    class WithEvidence(overview.Run):
        def json(self, node: str, key: str, name: str) -> Any:
            assert (node, key, name) == ("Evaluator", "evaluation", "evidence.json")
            measured = {"candidate": 0.94, "interval": [0.93, 0.95], "baseline": 0.9, "difference": 0.04}
            return {"metrics": {"auc": {**measured, "difference_interval": [0.03, 0.05], "reason": None}}}

    run = run_of(tmp_path, record(metrics={"auc": 0.94}), tiny)
    (metric,) = overview.collect(WithEvidence(run.record, run.folder, tiny, {}))["metrics"]
    assert (metric["difference"], metric["difference_interval"]) == (0.04, [0.03, 0.05])


def test_time_and_cost_of_each_node(tmp_path: Path, tiny: Task) -> None:
    time = overview.collect(run_of(tmp_path, record(), tiny))["time"]
    assert (time["seconds"], time["core_seconds"], time["cached"], time["of"]) == (42.25, 32.75, 1, 3)
    assert [node["share"] for node in time["nodes"]] == [0.5 / 12, 1.0, 0.75]
    old = overview.collect(run_of(tmp_path, record("failed", nodes=NODES, reason="x"), tiny))["time"]
    assert old["core_seconds"] is None
    assert overview.collect(run_of(tmp_path, record(nodes={}), tiny))["time"] is None


def test_values_of_sensitive_columns_are_not_told(tmp_path: Path, tiny: Task) -> None:
    findings = [FINDING, {**FINDING, "severity": "warn"}]
    blocked = record("data_blocked", findings=findings, reason="The data gate:\n  - company: received 'Bitcoin'")
    shown = overview.collect(run_of(tmp_path, blocked, tiny))
    assert shown["causes"] == [FINDING["message"]]
    for task in (replace(tiny, sensitive=("company",)), None):
        part = overview.collect(run_of(tmp_path, blocked, task))
        assert "Bitcoin" not in str(part)
        assert part["causes"][0].startswith("company: domain in 600 of 15,002 rows. Values are not shown: ")
        assert len(part["warnings"]) == 1


def test_slices_by_a_sensitive_column_and_reasons_are_not_told(tmp_path: Path, tiny: Task) -> None:
    gate = {
        "name": "auc at least 0.5 for each company x hour",
        "passed": False,
        "reason": "company=Acme",
        "slice": "company=Acme",
    }
    other = {**gate, "name": "auc at least 0.5 for each hour", "reason": "hour=3", "slice": "hour=3"}
    values = record("failed", nodes={}, reason="ValueError: 'Acme' is odd", gates=[gate, other])
    part = overview.collect(run_of(tmp_path, values, replace(tiny, sensitive=("company",))))
    assert "Acme" not in str(part)
    assert [entry["slice"] for entry in part["gates"]] == [None, "hour=3"]
    assert part["sentence"] == "Not pushed: the run failed."
    assert "Acme" in str(overview.collect(run_of(tmp_path, values, tiny)))


def test_the_end_of_the_log_is_bounded_and_names_no_environment_variables(tmp_path: Path, tiny: Task) -> None:
    run = run_of(tmp_path, record("failed", nodes=NODES, reason="Trainer failed: boom"), tiny)
    log = run.folder / "logs" / "Trainer.log"
    assert failure.failure(run) == {"node": "Trainer", "log": [], "path": str(log), "hidden": False}
    lines = [
        "first",
        *("x" * 5000 for _ in range(100)),
        "AWS_SECRET_ACCESS_KEY=1",
        "environ({'A': 1})",
        "",
        "ValueError: boom",
    ]
    log.write_bytes("\n".join(lines).encode() + b"\xff")
    told = failure.failure(run)
    assert told is not None
    assert len(told["log"]) <= 40
    assert max(map(len, told["log"])) <= 401
    assert told["log"][-1] == "ValueError: boom\N{REPLACEMENT CHARACTER}"
    assert not any("SECRET" in line or "environ" in line for line in told["log"])
    hidden = failure.failure(replace(run, task=replace(tiny, sensitive=("company",))))
    assert hidden is not None
    assert (hidden["hidden"], hidden["log"]) == (True, [])


@pytest.mark.parametrize("outcome", ["pushed", "partial", "not_blessed", "serving_blocked", "data_blocked", "failed"])
def test_every_outcome_has_an_answer(outcome: str, tmp_path: Path, tiny: Task) -> None:
    part = overview.collect(run_of(tmp_path, record(outcome, reason="this"), tiny))
    assert part["sentence"].startswith("Pushed" if outcome == "pushed" else "Not pushed")
    assert part["next"]["command"].startswith("millrace ")
    assert (part["ended"] is None) == (outcome in ("pushed", "not_blessed", "serving_blocked"))
