"""The areas under the curves against scikit-learn's, and at their edges."""

import math

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_auc_score

from pipeline.curves import Counts, precision_recall_area, roc_area, step_of


def counts_of(labels: np.ndarray, scores: np.ndarray) -> Counts:
    counts: Counts = {}
    for label, score in zip(labels, scores, strict=True):
        counts.setdefault(step_of(float(score)), [0.0, 0.0])[int(label)] += 1.0
    return counts


@pytest.mark.parametrize("spread", [0.5, 3.0, 8.0])
def test_areas_equal_those_of_all_thresholds(spread: float) -> None:
    """Also where almost every score is next to 0 or 1."""
    random = np.random.default_rng(3)
    labels = random.random(4000) < 0.2
    scores = 1 / (1 + np.exp(-spread * (random.normal(size=4000) + 1.5 * labels - 1)))
    counts = counts_of(labels, scores)
    assert roc_area(counts) == pytest.approx(roc_auc_score(labels, scores), abs=2e-5)
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert precision_recall_area(counts) == pytest.approx(-np.trapezoid(precision, recall), abs=2e-3)


def test_ties_count_half() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    scores = np.array([0.3, 0.3, 0.1, 0.3, 0.9])
    assert roc_area(counts_of(labels, scores)) == pytest.approx(roc_auc_score(labels, scores)) == pytest.approx(5 / 6)


def test_an_area_that_is_not_defined_is_nan() -> None:
    assert math.isnan(roc_area({}))
    assert math.isnan(roc_area({3: [5.0, 0.0]}))
    assert math.isnan(roc_area({3: [0.0, 5.0]}))
    assert math.isnan(precision_recall_area({3: [5.0, 0.0]}))
    assert precision_recall_area({3: [0.0, 5.0]}) == pytest.approx(1.0)


def test_a_perfect_and_a_useless_order() -> None:
    assert roc_area({1: [0.0, 4.0], 0: [6.0, 0.0]}) == precision_recall_area({1: [0.0, 4.0], 0: [6.0, 0.0]}) == 1.0
    assert roc_area({0: [6.0, 4.0]}) == 0.5
    assert precision_recall_area({0: [6.0, 4.0]}) == pytest.approx(0.4)


def test_steps_are_symmetric_and_bounded() -> None:
    assert step_of(0.5) == 0
    assert step_of(0.9) == -step_of(0.1) == pytest.approx(10_000 * math.log(9), abs=1)
    assert step_of(1.0) == -step_of(0.0) == 900_000
