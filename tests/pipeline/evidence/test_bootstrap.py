"""The bootstrap: its spread is that of theory, the same seed gives the same figures, and both models get the same rows."""

import numpy as np
import pytest

from pipeline.evidence.bootstrap import _COUNTS, draws, resampled, standard_error
from pipeline.evidence.measures import statistic
from pipeline.labels import Binary

LABEL = Binary("label")


def rows(count: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    target = (random.random((count, 1)) < 0.3).astype(np.float32)
    return target, np.clip(0.3 * target[:, 0] + 0.7 * random.random(count), 0, 1).astype(np.float32)


def test_counts_are_of_a_poisson_distribution_with_mean_1() -> None:
    assert _COUNTS.shape == (65536,)
    assert (_COUNTS.mean(), _COUNTS.var()) == pytest.approx((1.0, 1.0), abs=1e-3)
    assert (_COUNTS == 0).mean() == pytest.approx(np.exp(-1), abs=1e-4)


def test_blocks_are_small_and_repeat_with_the_seed() -> None:
    blocks = list(draws(500_000, 10, seed=3))
    assert [len(block) for block in blocks] == [4, 4, 2]
    again = list(draws(500_000, 10, seed=3))
    assert all(np.array_equal(one, other) for one, other in zip(blocks, again, strict=True))
    assert not np.array_equal(blocks[0][0], next(draws(500_000, 10, seed=4))[0])


def test_the_spread_of_a_share_is_that_of_the_binomial_distribution() -> None:
    target, answers = rows()
    accuracy = statistic("binary_accuracy", LABEL, target, answers)
    value = accuracy(np.ones((1, len(target))))[0]
    samples = resampled({"own": (accuracy, None)}, len(target), 2000, seed=1)["own"]
    assert standard_error(samples) == pytest.approx(np.sqrt(value * (1 - value) / len(target)), rel=0.06)


def test_the_spread_of_an_area_is_hanley_and_mcneils() -> None:
    """1982, Radiology 143:29, by the placements (DeLong 1988)."""
    target, answers = rows()
    yes, no = answers[target[:, 0] > 0.5], answers[target[:, 0] < 0.5]
    above = (yes[:, None] > no[None]) + 0.5 * (yes[:, None] == no[None])
    expected = np.sqrt(above.mean(1).var(ddof=1) / len(yes) + above.mean(0).var(ddof=1) / len(no))
    samples = resampled({"own": (statistic("auc", LABEL, target, answers), None)}, len(target), 2000, seed=1)["own"]
    assert standard_error(samples) == pytest.approx(expected, rel=0.06)


def test_both_models_get_the_same_rows_so_that_what_they_share_cancels() -> None:
    target, answers = rows()
    close = np.clip(answers + np.random.default_rng(5).normal(0, 0.01, len(answers)), 0, 1)
    both = {name: (statistic("auc", LABEL, target, own), None) for name, own in (("a", answers), ("b", close))}
    samples = resampled(both, len(target), 500, seed=1)
    assert standard_error(samples["a"] - samples["b"]) < 0.2 * standard_error(samples["a"])


def test_a_slice_is_resampled_with_the_counts_of_its_rows() -> None:
    target, answers = rows()
    chosen = np.flatnonzero(answers > 0.4)
    whole = statistic("binary_accuracy", LABEL, target[chosen], answers[chosen])
    samples = resampled({"own": (whole, chosen)}, len(target), 50, seed=1)["own"]
    expected = [whole(block[:, chosen]) for block in draws(len(target), 50, seed=1)]
    np.testing.assert_array_equal(samples, np.concatenate(expected))


def test_a_spread_that_few_resamples_have_is_unknown() -> None:
    assert standard_error(np.array([1.0, 2.0, 3.0])) == 1.0
    assert np.isnan(standard_error(np.array([1.0, np.nan, np.nan])))
