"""Figures of a yes-or-no label against TFMA's own protos, counts of the scores, and SciPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from pipeline import evaluation
from pipeline.labels import Binary
from pipeline.report.sections.model import binary

ROWS = 400


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, scores of a candidate and of a baseline."""
    random = np.random.default_rng(5)
    target = (random.random((ROWS, 1)) < 0.3).astype(np.float32)
    scores = np.clip(0.35 * target[:, 0] + random.random(ROWS) * 0.6, 0, 1).astype(np.float32)
    return target, scores, random.random(ROWS).astype(np.float32)


@pytest.fixture(scope="module")
def uri(evaluate: Callable[..., str], with_label: Callable[..., Any], scored: Any) -> str:
    return evaluate(with_label(Binary("yes"), "auc"), *scored)


@pytest.fixture(scope="module")
def found(uri: str) -> dict[str, Any]:
    return binary.collect(evaluation.plots(uri), evaluation.plots(uri, evaluation.BASELINE), 0.95)


def test_points_are_tfmas_and_the_counts_of_the_scores(uri: str, found: dict[str, Any], scored: Any) -> None:
    protos = {
        matrix.threshold: matrix
        for written in tfma.load_plots(uri)
        for plot in written.plot_keys_and_values
        if plot.key.model_name == "candidate"
        for matrix in plot.value.confusion_matrix_at_thresholds.matrices
    }
    yes, scores = scored[0].ravel() > 0.5, scored[1].astype(np.float64)
    assert len(found["points"]) == 101
    for point in found["points"]:
        own = protos[point["threshold"]]
        counts = [own.true_positives, own.false_positives, own.true_negatives, own.false_negatives]
        assert [point[name] for name in ("tp", "fp", "tn", "fn")] == counts
        # TFMA counts probabilities in steps of 0.0001: those of a step are on one side of a threshold.
        below, above = (scores > point["threshold"] + off for off in (-1e-4, 1e-4))
        assert (above & yes).sum() <= point["tp"] <= (below & yes).sum()
        assert (above & ~yes).sum() <= point["fp"] <= (below & ~yes).sum()
        assert (point["tp"] + point["fn"], point["fp"] + point["tn"]) == (yes.sum(), (~yes).sum())


def test_the_metrics_threshold_is_where_the_explorer_begins(found: dict[str, Any]) -> None:
    at = found["at"]
    assert at["threshold"] == pytest.approx(0.5, abs=0.001)
    assert {key: at[key] for key in ("threshold", "tp", "fp", "tn", "fn")} in found["points"]
    assert at["precision"] == at["tp"] / (at["tp"] + at["fp"])
    assert at["recall"] == at["tp"] / (at["tp"] + at["fn"])
    assert at["selection_rate"] == (at["tp"] + at["fp"]) / ROWS
    assert at["false_positive_rate"] == at["fp"] / (at["fp"] + at["tn"])


def test_a_share_of_nothing_is_none(found: dict[str, Any]) -> None:
    none = binary._shares({"threshold": 1.0, "tp": 0.0, "fp": 0.0, "tn": 9.0, "fn": 0.0})
    assert (none["precision"], none["recall"], none["false_positive_rate"]) == (None, None, 0.0)
    assert len(found["table"]) == 10


def test_the_area_under_the_curve_is_that_of_evidence(found: dict[str, Any], scored: Any) -> None:
    for own, scores in zip(found["curves"], scored[1:], strict=True):
        points = own["points"]
        area = -np.trapezoid([p["recall"] for p in points], [p["false_positive_rate"] for p in points])
        assert area == pytest.approx(roc_auc_score(scored[0].ravel(), scores), abs=0.01)
    assert [own["model"] for own in found["curves"]] == ["candidate", "baseline"]


def test_calibration_counts_each_row_once_with_wilsons_interval(found: dict[str, Any], scored: Any) -> None:
    target, *models = scored
    for own, scores in zip(found["calibration"], models, strict=True):
        bins = own["bins"]
        assert sum(bin["rows"] for bin in bins) == ROWS
        assert sum(bin["rows"] * bin["observed"] for bin in bins) == pytest.approx(float(target.sum()))
        assert sum(bin["rows"] * bin["predicted"] for bin in bins) == pytest.approx(float(scores.sum()), rel=1e-5)
        assert len(bins) == 10
        for bin in bins:
            hits = round(bin["rows"] * bin["observed"])
            exact = binomtest(hits, int(bin["rows"])).proportion_ci(method="wilson")
            assert bin["interval"] == pytest.approx([exact.low, exact.high])


def test_scores_by_class(found: dict[str, Any], scored: Any) -> None:
    yes, scores = scored[0].ravel() > 0.5, scored[1].astype(np.float64)
    for name, own in (("yes", scores[yes]), ("no", scores[~yes])):
        counts, _ = np.histogram(own, 20, (0, 1))
        assert [bar[name] for bar in found["scores"]] == pytest.approx(counts, abs=1)
        assert sum(bar[name] for bar in found["scores"]) == len(own)


def test_groups_of_like_size_when_one_bucket_holds_most() -> None:
    buckets = [{"rows": float(n), "labels": 0.0, "predictions": 0.0} for n in (70, 10, 10, 5, 5)]
    assert [own["rows"] for own in binary.merged(buckets, 10)] == [70, 10, 10, 10]
