"""The figures of a converted model and the rules on them, on numbers that can be worked out by hand."""

from typing import Any

import numpy as np
import pytest

from components.lite.parity import broken, compared, decisions, measured
from pipeline.labels import Binary, MultiClass, MultiLabel, Regression
from pipeline.lite import Lite

FULL = np.array([0.1, 0.4, 0.6, 0.9], np.float32)
TARGET = np.array([[0.0], [0.0], [1.0], [1.0]], np.float32)


def figures(**changed: Any) -> dict[str, Any]:
    return {"max_difference": 0.0, "agreement": 1.0, "metrics": {"binary_accuracy": 1.0}, **changed}


def test_probabilities() -> None:
    found = compared(Binary("left"), TARGET, FULL, np.array([0.2, 0.6, 0.6, 0.9], np.float32))
    assert found["max_difference"] == pytest.approx(0.2, abs=1e-6)
    assert found["mean_difference"] == pytest.approx(0.075, abs=1e-6)
    assert found["agreement"] == 0.75
    assert found["metrics"]["binary_accuracy"] == 0.75
    assert measured(Binary("left"), TARGET, FULL)["binary_accuracy"] == 1.0


def test_rows_without_a_label_count_for_the_differences_and_not_for_the_metrics() -> None:
    target = np.array([[np.nan], [0.0], [1.0], [1.0]], np.float32)
    found = compared(Binary("left"), target, FULL, np.array([0.9, 0.4, 0.6, 0.9], np.float32))
    assert found["max_difference"] == pytest.approx(0.8, abs=1e-6)
    assert found["metrics"]["binary_accuracy"] == 1.0
    assert measured(Binary("left"), np.full((4, 1), np.nan, np.float32), FULL) == {}


def test_numbers_are_counted_in_standard_deviations_of_the_label() -> None:
    target = np.array([[10.0], [30.0]], np.float32)
    found = compared(Regression("fare"), target, np.array([12.0, 28.0]), np.array([17.0, 28.0]))
    assert found["max_difference"] == pytest.approx(0.5)
    assert found["agreement"] is None
    assert found["metrics"]["mae"] == pytest.approx(4.5)


def test_decisions() -> None:
    rows = np.array([[0.2, 0.7, 0.1], [0.45, 0.35, 0.2]])
    assert decisions(MultiClass("kind", classes=3), rows).tolist() == [1, 0]  # type: ignore[union-attr]
    chosen = decisions(MultiLabel("tags", classes=("a", "b", "c"), threshold=0.4), rows)
    assert chosen is not None
    assert chosen.tolist() == [[False, True, False], [True, False, False]]
    assert decisions(Regression("fare"), FULL) is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (figures(), []),
        (figures(max_difference=0.05), []),
        (figures(max_difference=0.0501), ["an answer differs from the full model's by 0.0501, more than 0.05"]),
        (figures(max_difference=float("nan")), ["an answer differs from the full model's by nan, more than 0.05"]),
        (figures(agreement=0.97), ["97.00% of decisions agree, fewer than 98.00%"]),
        (figures(agreement=None), []),
        (figures(metrics={"binary_accuracy": 0.91}), []),
        (
            figures(metrics={"binary_accuracy": 0.81}),
            ["binary_accuracy is 0.8100, 10.00% worse than the full model's 0.9000, more than 1.00%"],
        ),
    ],
)
def test_rules(found: dict[str, Any], said: list[str]) -> None:
    assert broken(Lite(max_difference=0.05), "int8", found, {"binary_accuracy": 0.9}) == said


def test_an_error_is_worse_where_it_is_higher() -> None:
    rules = Lite(max_metric_loss=0.05)
    assert broken(rules, "int8", figures(metrics={"mae": 1.0}), {"mae": 2.0}) == []
    assert broken(rules, "int8", figures(metrics={"mae": 2.2}), {"mae": 2.0}) == [
        "mae is 2.2000, 10.00% worse than the full model's 2.0000, more than 5.00%"
    ]
