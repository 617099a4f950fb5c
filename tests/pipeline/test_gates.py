"""Gates and what a task evaluates: rules that could never hold, or always would, are refused."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import TaskError
from pipeline.gates import Evaluation, Gate, Ranges

NAN = float("nan")
AUC = Gate("auc", at_least=0.9)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Gate("acu", at_least=0.5), "unknown metric 'acu'. Did you mean 'auc'?"),
        (lambda: Gate("auc"), "expected at_least, at_most, no_worse_by or better_by"),
        (lambda: Gate("auc", better_by=-0.1), "better_by=-0.1"),
        (lambda: Gate("auc", better_by=NAN), "better_by=nan"),
        (lambda: Gate("auc", no_worse_by=float("inf")), "no_worse_by=inf"),
        (lambda: Gate("auc", at_least=0.5, proof="harm"), "proof belongs to no_worse_by"),
        (lambda: Gate("auc", no_worse_by=0.5, proof="none"), "expected 'no_harm' or 'harm'"),  # type: ignore[arg-type]
        (lambda: Gate("tpr_gap", at_most=0.1), "expected at_most and per="),
        (lambda: Gate("tpr_gap", at_least=0.1, per="company"), "Received: at_least"),
        (lambda: Gate("tpr_gaps", at_most=0.1, per="company"), "Did you mean 'tpr_gap'?"),
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
        (lambda: Evaluation(metrics=("auc",), gates=(Gate("fpr_gap", at_most=0.1, per="a"),)), "one of fairness"),
        (
            lambda: Evaluation(metrics=("auc",), gates=(AUC,), slices=("a", Ranges("a", (1,)))),
            "one way to cut a column",
        ),
        (lambda: Evaluation(metrics=("auc",), gates=(AUC,), confidence=1.0), "confidence=1.0"),
        (lambda: Evaluation(metrics=("auc",), gates=(AUC,), resamples=10), "resamples=10"),
        (lambda: Evaluation(metrics=("auc",), gates=(AUC,), min_slice=0), "min_slice=0"),
        (lambda: Ranges("fare", ()), "bounds=()"),
        (lambda: Ranges("fare", (5, 5)), "bounds=(5, 5)"),
        (lambda: Ranges("fare", (5, NAN)), "expected rising numbers"),
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


def test_what_no_worse_by_wants_by_itself() -> None:
    assert Gate("auc", no_worse_by=0.1).proves == "no_harm"
    assert Gate("auc", no_worse_by=0.1, per="hour").proves == "harm"
    assert Gate("auc", no_worse_by=0.1, per="hour", proof="no_harm").proves == "no_harm"


def test_rules_of_a_gate() -> None:
    gate = Gate("auc", at_least=0.9, better_by=0.01)
    assert (gate.rules, gate.comparisons) == (("at_least", "better_by"), ("better_by",))
    assert str(gate) == "auc at least 0.9 and better than the baseline by more than 0.01"


def test_ranges_are_slices_by_their_column() -> None:
    fare = Ranges("fare", (5, 10.5))
    assert fare.names == ("below 5", "5 to 10.5", "10.5 and above")
    gates = (Gate("auc", at_least=0.5, per="fare"), Gate("auc", at_least=0.5, per=("hour", fare)))
    evaluation = Evaluation(metrics=("auc",), slices=(fare, ("hour", fare)), gates=gates, fairness=("company",))
    assert evaluation.crosses == (("fare",), ("hour", "fare"), ("company",))
    assert evaluation.ranges == {"fare": fare}


@pytest.mark.parametrize(
    ("kind", "favourable", "classes", "part"),
    [
        ("Binary", "", ("no", "yes"), None),
        ("MultiClass", "cat", ("cat", "dog"), None),
        ("MultiClass", "cow", ("cat", "dog"), "favourable='cow'"),
        ("Regression", "", (), "fairness is of Binary and MultiClass labels. Received: Regression"),
    ],
)
def test_fairness_fits_the_label(kind: str, favourable: str, classes: tuple[str, ...], part: str | None) -> None:
    evaluation = Evaluation(metrics=("auc",), gates=(AUC,), fairness=("company",), favourable=favourable)
    said = evaluation.unfit(kind, ("auc",), classes)
    assert (said == []) if part is None else (len(said) == 1 and part in said[0])
