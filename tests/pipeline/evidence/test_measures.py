"""Metrics as functions of weights: a row that counts twice is as two rows, against the accumulators that TFMA runs."""

from typing import Any

import numpy as np
import pytest

from pipeline.class_metrics import Tally, area, merged_counts
from pipeline.curves import Counts, precision_recall_area, roc_area, step_of
from pipeline.evidence.areas import Falling, steps_of
from pipeline.evidence.measures import range_of, statistic, support
from pipeline.gates import HIGHER_IS_BETTER
from pipeline.labels import Binary, Label, MultiClass, MultiLabel, Regression

ROWS = 300
LABELS = (Binary("a"), Regression("a"), MultiClass("a", 5), MultiLabel("a", ("x", "y", "z"), threshold=0.45))


def rows(label: Label, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    if isinstance(label, MultiClass):
        given = random.dirichlet(np.ones(5), ROWS).astype(np.float32)
        return random.integers(0, 4, (ROWS, 1)).astype(np.float32), given
    if isinstance(label, MultiLabel):
        return (random.random((ROWS, 3)) < 0.4).astype(np.float32), random.random((ROWS, 3)).astype(np.float32)
    if isinstance(label, Binary):
        return (random.random((ROWS, 1)) < 0.4).astype(np.float32), random.random(ROWS).round(2).astype(np.float32)
    return random.normal(5, 2, (ROWS, 1)).astype(np.float32), random.normal(5, 2, ROWS).astype(np.float32)


@pytest.mark.parametrize(
    ("label", "metric"), [(label, metric) for label in LABELS for metric in sorted(label.measures)], ids=str
)
def test_a_weight_is_how_often_a_row_counts(label: Label, metric: str) -> None:
    target, answers = rows(label)
    weights = np.random.default_rng(1).poisson(1.0, (3, ROWS)).astype(np.float64)
    found = statistic(metric, label, target, answers)(weights)
    assert found.shape == (3,)
    for value, own in zip(found, weights.astype(int), strict=True):
        again = np.repeat(np.arange(ROWS), own)
        alone = statistic(metric, label, target[again], answers[again])(np.ones((1, len(again))))[0]
        assert value == pytest.approx(alone, rel=1e-9)
        assert np.isfinite(alone)
        assert range_of(metric)[0] <= alone <= range_of(metric)[1]


@pytest.mark.parametrize("label", LABELS[2:], ids=lambda label: type(label).__name__)
def test_classes_are_counted_as_tfma_counts_them(label: Any) -> None:
    target, answers = rows(label)
    threshold = label.threshold if isinstance(label, MultiLabel) else None
    tally = Tally.empty(label.units)
    for own, given in zip(target, answers, strict=True):
        tally.add(own, given, 1.0, threshold)
    for metric in sorted(label.measures - {"micro_auc", "macro_auc", "example_count"}):
        value = statistic(metric, label, target, answers)(np.ones((1, ROWS)))[0]
        assert value == pytest.approx(tally.value(metric), abs=1e-9), metric
    has = target > 0.5 if threshold else target == np.arange(label.units)
    steps = [counted(has[:, i], answers[:, i]) for i in range(label.units)]
    for metric in ("micro_auc", "macro_auc"):
        value = statistic(metric, label, target, answers)(np.ones((1, ROWS)))[0]
        assert value == pytest.approx(area(metric, [merged_counts([step]) for step in steps]), abs=1e-9)


def counted(positive: np.ndarray, probabilities: np.ndarray) -> Counts:
    counts: Counts = {}
    for yes, probability in zip(positive, probabilities, strict=True):
        counts.setdefault(step_of(float(probability)), [0.0, 0.0])[int(yes)] += 1.0
    return counts


def test_areas_are_those_of_tfma_with_ties_and_sure_answers() -> None:
    target, answers = rows(LABELS[0])
    answers[:20], answers[20:40] = 0.0, 1.0
    counts = counted(target[:, 0] > 0.5, answers)
    ones = np.ones((1, ROWS))
    assert statistic("auc", LABELS[0], target, answers)(ones)[0] == pytest.approx(roc_area(counts), abs=1e-12)
    assert statistic("auc_pr", LABELS[0], target, answers)(ones)[0] == pytest.approx(
        precision_recall_area(counts), abs=1e-12
    )


def test_what_areas_share_is_kept_no_longer_than_the_weights() -> None:
    target, answers = rows(LABELS[0])
    falling = Falling(target[:, 0] > 0.5, answers)
    weights = np.ones((2, ROWS))
    assert falling(weights) is falling(weights)
    other = 2 * weights
    np.testing.assert_array_equal(falling(other)[0], 2 * falling(weights)[0])
    del weights, other
    assert falling._held is None


def test_steps_are_those_of_one_probability_at_a_time() -> None:
    given = np.concatenate([np.random.default_rng(2).random(500), [0.0, 1.0, 1e-40, 1 - 1e-16, 0.5]])
    assert steps_of(given).tolist() == [step_of(float(value)) for value in given]


@pytest.mark.parametrize("metric", sorted(HIGHER_IS_BETTER))
def test_a_label_or_an_answer_that_is_no_number_makes_no_metric(metric: str) -> None:
    label = next(label for label in LABELS if metric in label.measures)
    target, answers = rows(label)
    for broken in (target, answers):
        kept = broken[3].copy()
        broken[3] = np.nan
        value = statistic(metric, label, target, answers)(np.ones((1, ROWS)))[0]
        assert value == ROWS if metric == "example_count" else np.isnan(value)
        broken[3] = kept


def test_rows_of_one_class_have_no_area() -> None:
    answers = rows(LABELS[0])[1]
    ones = np.ones((1, ROWS))
    for metric, of in (("auc", 0.0), ("auc", 1.0), ("auc_pr", 0.0), ("recall", 0.0)):
        assert np.isnan(statistic(metric, LABELS[0], np.full((ROWS, 1), of), answers)(ones)[0]), metric


def test_what_a_metric_rests_on() -> None:
    target = np.array([[1.0], [0], [0], [0], [0]])
    answers = np.array([0.9, 0.8, 0.7, 0.1, 0.1])
    found = {
        name: support(name, LABELS[0], target, answers) for name in ("auc", "recall", "precision", "binary_accuracy")
    }
    assert found == {"auc": 1, "recall": 1, "precision": 3, "binary_accuracy": 5}
    classes = np.array([[0.0], [0], [3]])
    assert support("macro_f1", LABELS[2], classes, np.zeros((3, 5))) == 1
    assert support("accuracy", LABELS[2], classes, np.zeros((3, 5))) == 3


@pytest.mark.parametrize(
    ("metric", "bounds"), [("mae", (0.0, np.inf)), ("auc", (0.0, 1.0)), ("calibration", (-np.inf, np.inf))]
)
def test_no_interval_goes_beyond_what_a_metric_can_be(metric: str, bounds: tuple[float, float]) -> None:
    assert range_of(metric) == bounds
