"""The taxi tasks on real rows: pushed, cached, compared with a baseline, held back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e_support import PROJECT, Run, millrace, run, served

NEVER_CACHED = {"PreviousData", "ServedData", "Baseline", "Pusher"}
"""They look things up that no cache key knows."""


def test_a_first_run_pushes(first: Run, root: Path) -> None:
    record = first.record
    assert (first.code, record["outcome"], record["exit_code"]) == (0, "pushed", 0), first.text
    assert all(node["state"] == "done" and not node["cached"] for node in record["nodes"].values())
    assert list(record["nodes"]) == [
        "SchemaGen", "ExampleGen", "StatisticsGen", "Transform", "ExampleValidator", "PreviousData", "ServedData",
        "DataChecks", "DataGate", "Trainer", "Baseline", "ServingCheck", "Evaluator", "Pusher",
    ]  # fmt: skip
    assert record["metrics"]["auc"] > 0.935
    assert record["metrics"]["binary_accuracy"] > 0.85
    rows = record["rows"]
    assert rows == {"in": 15_002, "train": 15_002 - rows["eval"], "eval": rows["eval"], "quarantined": 0}
    assert record["metrics"]["example_count"] == rows["eval"]
    assert record["findings"] == []
    assert all(gate["passed"] for gate in record["gates"])
    assert "no baseline to compare with" in record["gates"][0]["reason"]
    assert [gate["name"] for gate in record["gates"]][2:] == [
        "serving load", "serving answers over REST", "serving answers over gRPC", "serving bad requests",
        "serving latency", "serving memory",
    ]  # fmt: skip
    low, high = record["intervals"]["auc"]
    assert low < record["metrics"]["auc"] < high < low + 0.05
    assert record["slices"]["payment_type=Cash"]["example_count"] > 3000
    pushed = Path(record["pushed"]["path"])
    assert (pushed / "saved_model.pb").exists()
    assert pushed.name == record["pushed"]["version"]
    saved = root / "taxi_tips" / "runs" / record["run_id"] / "run.json"
    assert json.loads(saved.read_text()) == record
    assert (saved.parent / "logs" / "Trainer.log").stat().st_size > 1000


def test_metrics_equal_a_recomputation_from_the_pushed_model(first: Run, root: Path) -> None:
    from sklearn import metrics

    target, predicted = _scored(first, root)
    shown = first.record["metrics"]
    expected = {
        "auc": metrics.roc_auc_score(target, predicted),
        "auc_pr": _area_under_precision_recall(target, predicted),
        "binary_accuracy": np.mean((predicted > 0.5) == (target == 1)),
        "binary_cross_entropy": metrics.log_loss(target, predicted),
        "calibration": predicted.sum() / target.sum(),
        "example_count": len(target),
    }
    for name, value in expected.items():
        assert shown[name] == pytest.approx(value, abs=1e-4), name


def _area_under_precision_recall(target: Any, predicted: Any) -> float:
    """Davis & Goadrich (2006): between two thresholds false positives grow linearly with true positives."""
    order = np.argsort(-predicted, kind="stable")
    last = np.append(np.diff(predicted[order]) != 0, True)
    true = np.append(0, np.cumsum(target[order])[last]).astype(float)
    positive = np.append(0, np.arange(1, len(target) + 1)[last]).astype(float)
    slope = np.diff(true) / np.diff(positive)
    intercept = true[1:] - slope * positive[1:]
    ratio = np.divide(positive[1:], positive[:-1], out=np.ones_like(slope), where=positive[:-1] > 0)
    return float(np.sum(slope * (np.diff(true) + intercept * np.log(ratio))) / target.sum())


def _scored(first: Run, root: Path) -> tuple[Any, Any]:
    """Labels by the rule of the task and probabilities of the served model, for each eval row."""
    import tensorflow as tf

    files = [str(path) for path in (root / "taxi_tips" / "artifacts" / "ExampleGen").glob("examples/*/Split-eval/*")]
    rows = list(tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator())
    columns = [tf.train.Example.FromString(row).features.feature for row in rows]
    fare = np.array([row["fare"].float_list.value[0] for row in columns], np.float32)
    tips = np.array([row["tips"].float_list.value[0] for row in columns], np.float32)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], first.record["pushed"]["path"])
        signature = loaded.signature_def["serving_default"]
        output = signature.outputs["probability"].name
        predicted = session.run(output, {signature.inputs["examples"].name: rows})
    return (tips > np.float32(0.2) * fare).astype(int), predicted


def test_a_second_run_is_cached(first: Run, root: Path) -> None:
    plan = run("--root", str(root), "--plan").record
    assert {entry["node"]: entry["plan"] for entry in plan} == {
        name: "run" if name in NEVER_CACHED else "cached" for name in first.record["nodes"]
    }
    second = run("--root", str(root))
    assert second.code == 0
    assert {name for name, node in second.record["nodes"].items() if not node["cached"]} == NEVER_CACHED
    assert second.record["metrics"] == first.record["metrics"]
    assert second.record["pushed"] == first.record["pushed"]
    assert served(root, "taxi_tips") == [first.record["pushed"]["version"]]


def test_a_candidate_is_compared_with_the_baseline_and_a_worse_one_is_held_back(
    first: Run, root: Path, check_report: Callable[[Run], None]
) -> None:
    """A model trained for two steps with a tiny rate guesses: the gates say so, and the served model stays."""
    worse = run("--root", str(root), "--set", "training.steps=2", "--set", "training.optimizer.learning_rate=1e-6")
    assert (worse.code, worse.record["outcome"]) == (11, "not_blessed"), worse.text
    assert worse.record["baseline"]["auc"] == pytest.approx(first.record["metrics"]["auc"], abs=1e-6)
    auc = worse.record["gates"][0]
    assert not auc["passed"]
    assert "Rule: at least 0.9: broken, as the value is below it." in auc["reason"]
    assert "Rule: no worse than the baseline by more than 0.005: broken" in auc["reason"]
    assert auc["interval"][1] < -0.1
    assert auc["n"] == worse.record["rows"]["eval"]
    assert worse.record["pushed"] is None
    assert worse.record["nodes"]["Transform"]["cached"]
    assert served(root, "taxi_tips") == [first.record["pushed"]["version"]]
    check_report(worse)


def test_a_failed_gate_is_passed_over_with_a_reason_that_stays(first: Run, root: Path) -> None:
    guesses = ("--set", "training.steps=2", "--set", "training.optimizer.learning_rate=1e-6")
    forced = run("--root", str(root), *guesses, "--force-promote", "a drill")
    assert (forced.code, forced.record["outcome"], forced.record["forced"]) == (0, "pushed", "a drill"), forced.text
    assert not forced.record["gates"][0]["passed"]
    said = millrace("history", "--task", "taxi_tips", "--root", str(root), "--json", project=PROJECT)
    last = json.loads(said.stdout)["history"][-1]
    assert (last["version"], last["forced"], last["reason"]) == (
        forced.record["pushed"]["version"],
        True,
        "forced: a drill",
    )
    back = millrace(
        "rollback", "--task", "taxi_tips", "--root", str(root), "--reason", "it was a drill", project=PROJECT
    )
    assert back.returncode == 0, back.stderr
    assert served(root, "taxi_tips") == [first.record["pushed"]["version"]]


def test_a_part_of_the_graph(first: Run, root: Path) -> None:
    part = run("--root", str(root), "--from", "StatisticsGen", "--to", "DataGate")
    assert (part.code, part.record["outcome"]) == (0, "partial"), part.text
    states = {name: node["state"] for name, node in part.record["nodes"].items()}
    assert states["ExampleGen"] == states["Trainer"] == "skipped"
    assert states["DataGate"] == "cached"
    useless = run("--root", str(root), "--from", "Trainer", "--set", "features.payment_type.top_k=5")
    assert useless.code == 2
    assert "features.payment_type.top_k=5 is for Transform, which --from leaves out" in useless.text
    before = sorted((root / "taxi_tips" / "runs").iterdir())
    wrong = run("--root", str(root), "--to", "Trainr")
    assert sorted((root / "taxi_tips" / "runs").iterdir()) == before
    assert wrong.code == 2
    assert "Did you mean 'Trainer'?" in wrong.text


def test_the_fare_task(root: Path, check_report: Callable[[Run], None]) -> None:
    fare = run("--root", str(root), "--task", "taxi_fare")
    assert (fare.code, fare.record["outcome"]) == (0, "pushed"), fare.text
    assert fare.record["metrics"]["mae"] < 2.0
    assert fare.record["metrics"]["squared_pearson"] > 0.8
    check_report(fare)
