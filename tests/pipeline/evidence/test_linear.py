"""Standard errors without resampling: influences are derivatives, and the spread is the bootstrap's, for every metric."""

import math
from typing import Any

import numpy as np
import pytest

from pipeline.evidence import bootstrap, tables
from pipeline.evidence.cuts import cuts
from pipeline.evidence.linear import influence, standard_error
from pipeline.evidence.measures import statistic, statistics
from pipeline.labels import Binary, Label, MultiClass, MultiLabel, Regression

BINARY = Binary("a")
LABELS: tuple[Label, ...] = (
    BINARY,
    Regression("a"),
    MultiClass("a", 5),
    MultiLabel("a", ("x", "y", "z"), threshold=0.45),
)


def rows(label: Label, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Answers that are right more often than not, with ties; one class is harder than the others."""
    random = np.random.default_rng(seed)
    if isinstance(label, MultiClass):
        given = random.dirichlet(np.ones(5), count)
        given[:, 0] /= 2
        given /= given.sum(1, keepdims=True)
        true = (random.random((count, 1)) > np.cumsum((given + 0.1) / 1.5, 1)).sum(1).clip(0, 4)
        return true[:, None].astype(np.float32), given.astype(np.float32)
    if isinstance(label, MultiLabel):
        given = random.random((count, 3)) * [1.0, 1.0, 0.6]
        return (random.random((count, 3)) < (given + 0.2) / 1.2).astype(np.float32), given.astype(np.float32)
    if isinstance(label, Binary):
        yes = random.random((count, 1)) < 0.3
        odds = random.normal(size=count) + 1.5 * yes[:, 0] - 0.7
        return yes.astype(np.float32), (1 / (1 + np.exp(-odds))).round(3).astype(np.float32)
    target = random.normal(5, 2, (count, 1))
    return target.astype(np.float32), (target[:, 0] + random.normal(size=count)).astype(np.float32)


@pytest.mark.parametrize(
    ("label", "metric"), [(label, metric) for label in LABELS for metric in sorted(label.measures)], ids=str
)
def test_an_influence_is_how_fast_the_metric_moves_with_the_rows_weight(label: Label, metric: str) -> None:
    target, answers = rows(label, 60)
    own = statistic(metric, label, target, answers)
    step = 1e-5 * np.eye(60)
    slope = (own(1 + step) - own(1 - step)) / 2e-5
    np.testing.assert_allclose(own.influence(), slope, atol=1e-7)
    assert own.influence().sum() == pytest.approx(60 if metric == "example_count" else 0.0, abs=1e-9)


@pytest.mark.parametrize("label", LABELS, ids=lambda label: type(label).__name__)
def test_standard_errors_are_the_bootstraps(label: Label) -> None:
    """Of 2,000 resamples each is known within 1.6 % (1 / sqrt(2 x 2,000)): three times that is allowed."""
    count = 3000
    target, answers = rows(label, count)
    other = np.clip(answers + np.random.default_rng(5).normal(0, 0.1, answers.shape), 0.001, 0.999).astype(np.float32)
    metrics = sorted(label.measures - {"example_count", "top_5_accuracy"})
    both = {
        (model, metric): own
        for model, given in (("candidate", answers), ("baseline", other))
        for metric, own in statistics(metrics, label, target, given).items()
    }
    samples = bootstrap.resampled({name: (own, None) for name, own in both.items()}, count, 2000, seed=1)
    for metric in metrics:
        one, two = (influence(both[model, metric]) for model in ("candidate", "baseline"))
        assert one is not None
        assert two is not None
        expected = bootstrap.standard_error(samples["candidate", metric])
        assert standard_error(one) == pytest.approx(expected, rel=0.05), metric
        apart = bootstrap.standard_error(samples["candidate", metric] - samples["baseline", metric])
        assert standard_error(one - two) == pytest.approx(apart, rel=0.05), metric


def test_what_no_row_moves_has_no_spread_at_all() -> None:
    target = np.array([[0.0], [1.0]] * 50, np.float32)
    for metric in ("auc", "auc_pr", "binary_accuracy", "precision", "recall"):
        assert standard_error(influence(statistic(metric, BINARY, target, 0.1 + 0.8 * target))) == 0.0, metric


@pytest.mark.parametrize(("positive", "known"), [(1, False), (2, False), (3, True)])
def test_a_metric_that_few_rows_carry_has_no_known_spread(positive: int, known: bool) -> None:
    """Where it would be missing from more than a tenth of the resamples."""
    target = (np.arange(100) < positive).astype(np.float32)[:, None]
    answers = np.random.default_rng(1).random(100).astype(np.float32)
    for metric in ("auc", "auc_pr", "recall", "calibration"):
        assert math.isfinite(standard_error(influence(statistic(metric, BINARY, target, answers)))) == known, metric


def test_many_rows_are_not_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    target, answers = rows(BINARY, 2000)
    other = np.where(np.random.default_rng(3).random(2000) < 0.05, 1 - answers, answers)
    hours = np.random.default_rng(4).choice(np.array(["7", "8", None], object), 2000, p=[0.6, 0.395, 0.005])
    hours[:5] = "9"
    settings: Any = {"min_slice": 30, "resamples": 2000, "seed": 1}
    given = {"candidate": answers, "baseline": other}
    found = []
    for most in (2000, 1999):
        monkeypatch.setattr(bootstrap, "MOST_ROWS", most)
        slices = cuts({"hour": hours}, [("hour",)], 2000)
        metrics = ("auc", "binary_accuracy", "example_count")
        found.append(tables.table(metrics, BINARY, target, given, slices, **settings))
    for key, resampled in found[0].items():
        own = found[1][key]
        assert (own.candidate, own.baseline, own.support) == (
            resampled.candidate,
            resampled.baseline,
            resampled.support,
        )
        assert own.error == pytest.approx(resampled.error, rel=0.06, nan_ok=True)
        assert own.difference_error == pytest.approx(resampled.difference_error, rel=0.06, nan_ok=True)
        assert math.isnan(own.difference_error) == (key[0] == "hour=9" or key[1] == "example_count")
