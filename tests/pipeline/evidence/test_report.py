"""Everything together on rows that are made up: JSON-safe, the same for the same seed, and forced only where gates fail."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.evidence.intervals import quantile
from pipeline.evidence.report import Columns, as_json, report
from pipeline.evidence.standing import Standing
from pipeline.gates import Evaluation, Gate, Ranges
from pipeline.task import Task

ROWS = 2000


@pytest.fixture
def task(tiny: Task) -> Task:
    return replace(
        tiny,
        evaluation=Evaluation(
            metrics=("auc", "binary_accuracy", "example_count"),
            slices=("hour", Ranges("miles", (1.0,)), ("hour", Ranges("miles", (1.0,)))),
            gates=(
                Gate("auc", at_least=0.5, no_worse_by=0.05),
                Gate("binary_accuracy", no_worse_by=0.05, per="miles"),
                Gate("tpr_gap", at_most=0.5, per="company"),
            ),
            fairness=("company",),
        ),
    )


def columns(seed: int = 0, baseline: bool = True) -> Columns:
    random = np.random.default_rng(seed)
    target = (random.random((ROWS, 1)) < 0.4).astype(np.float32)
    hours = random.choice(np.array(["7", "8", None], object), ROWS, p=[0.5, 0.49, 0.01])
    hours[:3] = "9"
    answers = {"candidate": np.clip(0.4 * target[:, 0] + 0.6 * random.random(ROWS), 0, 1)}
    if baseline:
        answers["baseline"] = np.clip(answers["candidate"] + random.normal(0, 0.02, ROWS), 0, 1)
    slices = {
        "hour": hours,
        "miles": random.choice(np.array(["below 1", "1 and above"], object), ROWS),
        "company": random.choice(np.array(["a", "b", "c"], object), ROWS),
    }
    return Columns(target, answers, slices)


def test_a_report_is_json_and_repeats(task: Task) -> None:
    found = report(task, columns(), Standing("compared", uri="/models/7"), "test")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == report(task, columns(), Standing("compared", uri="/models/7"), "test")
    assert (found["passed"], found["blessed"], found["forced"], found["force_reason"]) == (True, True, False, "")
    assert (found["split"], found["rows"], found["resamples"], found["seed"]) == ("test", ROWS, 1000, 1)
    assert found["baseline"]["status"] == "compared"
    auc = found["metrics"]["auc"]
    assert auc["interval"][0] < auc["candidate"] < auc["interval"][1]
    assert auc["difference"] == pytest.approx(auc["candidate"] - auc["baseline"])
    assert found["metrics"]["example_count"]["candidate"] == ROWS
    assert set(found["fairness"]) == {"company"}
    assert set(found["fairness"]["company"]) == {"candidate", "baseline"}
    assert [verdict["passed"] for verdict in found["verdicts"]] == [True, True, True]


def test_small_slices_have_values_and_no_intervals(task: Task) -> None:
    slices = report(task, columns(), Standing("compared"), "test")["slices"]
    assert (slices["hour=9"]["n"], slices["hour=9"]["judged"]) == (3, False)
    assert slices["hour=9"]["metrics"]["binary_accuracy"]["interval"] is None
    assert slices["hour=7"]["judged"]
    assert {name for name in slices if name.startswith("hour=7, ")} == {
        "hour=7, miles=below 1",
        "hour=7, miles=1 and above",
    }


def test_the_intervals_of_a_cross_are_corrected_for_its_slices_that_are_large_enough(task: Task) -> None:
    found = report(task, columns(), Standing("compared"), "test")["slices"]["hour=7"]["metrics"]["binary_accuracy"]
    given = columns()
    given.slices["hour"][given.slices["hour"] == "8"] = None
    alone = report(task, given, Standing("compared"), "test")["slices"]["hour=7"]["metrics"]["binary_accuracy"]
    widths = [each["interval"][1] - each["interval"][0] for each in (found, alone)]
    assert widths[0] / widths[1] == pytest.approx(quantile(0.95, 2) / quantile(0.95))


@pytest.mark.parametrize(("least", "forced"), [(0.5, False), (0.999, True)])
def test_only_what_fails_can_be_forced(task: Task, least: float, forced: bool) -> None:
    gates = replace(task, evaluation=replace(task.evaluation, gates=(Gate("auc", at_least=least),)))
    found = report(gates, columns(baseline=False), Standing("none"), "eval", force="the old one is broken")
    assert (found["blessed"], found["forced"], found["passed"]) == (True, forced, not forced)
    assert found["force_reason"] == ("the old one is broken" if forced else "")
    assert [verdict["passed"] for verdict in found["verdicts"]] == [not forced]


def test_a_metric_without_a_value_says_why(task: Task) -> None:
    given = columns(baseline=False)
    given.target[:] = 1.0
    found = report(task, given, Standing("none"), "eval")
    assert found["metrics"]["auc"]["candidate"] is None
    assert (
        found["metrics"]["auc"]["reason"] == "it is not defined on these rows, which lack a class or differ in nothing"
    )
    assert not found["passed"]
    given.target[:4] = np.nan
    reason = report(task, given, Standing("none"), "eval")["metrics"]["auc"]["reason"]
    assert reason == "the label of 4 rows is unknown"


def test_as_json() -> None:
    given: Any = {1: np.float64("nan"), "a": (np.int64(2), [float("inf"), 0.5]), "b": None}
    assert as_json(given) == {"1": None, "a": [2, [None, 0.5]], "b": None}
