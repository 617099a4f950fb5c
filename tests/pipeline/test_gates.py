"""Gates and what a task evaluates: rules that could never hold, or always would, are refused."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import TaskError
from pipeline.gates import Evaluation, Gate

NAN = float("nan")
AUC = Gate("auc", at_least=0.9)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Gate("acu", at_least=0.5), "unknown metric 'acu'. Did you mean 'auc'?"),
        (lambda: Gate("auc"), "expected at_least, at_most or no_worse_by"),
        (lambda: Gate("auc", at_least=0.9, at_most=0.8), "at_least=0.9, at_most=0.8"),
        (lambda: Gate("auc", no_worse_by=-0.1), "no_worse_by=-0.1"),
        (lambda: Gate("auc", at_least=NAN), "at_least=nan"),
        (lambda: Gate("mae", at_most=NAN), "at_most=nan"),
        (lambda: Gate("auc", no_worse_by=NAN), "no_worse_by=nan"),
        (lambda: Gate("calibration", no_worse_by=0.1), "no value of it is better"),
    ],
)
def test_gate(make: Callable[[], Any], part: str) -> None:
    with pytest.raises(TaskError) as caught:
        make()
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Evaluation(metrics=("acu",), gates=(AUC,)), "unknown metric 'acu'. Did you mean 'auc'?"),
        (lambda: Evaluation(metrics=("auc",)), "at least one gate"),
        (lambda: Evaluation(metrics=("recall",), gates=(AUC,)), "gate on 'auc' needs it among the metrics"),
        (lambda: Evaluation(metrics=("auc",), slices=("day",), gates=(Gate("auc", at_least=0.5, per="hour"),)), "per"),
    ],
)
def test_evaluation(make: Callable[[], Any], part: str) -> None:
    with pytest.raises(TaskError) as caught:
        make()
    assert part in str(caught.value)


def test_a_gate_reads_as_a_sentence() -> None:
    gate = Gate("auc", at_least=0.9, at_most=0.99, no_worse_by=0.005, per=("day", "hour"))
    assert str(gate) == (
        "auc at least 0.9 and at most 0.99 and no worse than the baseline by more than 0.005 for each day x hour"
    )
    assert str(Gate("mae", at_most=2.0)) == "mae at most 2"


def test_slices_are_crosses_of_columns() -> None:
    evaluation = Evaluation(metrics=("auc",), slices=("hour", ("day", "hour")), gates=(AUC,))
    assert evaluation.crosses == (("hour",), ("day", "hour"))
    assert (AUC.cross, Gate("auc", at_least=0.5, per="hour").cross) == ((), ("hour",))
