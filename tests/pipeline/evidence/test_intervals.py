"""Intervals against figures from the literature and against what they promise."""

import math

import pytest

from pipeline.evidence.intervals import UNKNOWN, around, difference_of_shares, quantile, rule_of_three, wilson


def test_a_quantile_is_two_sided_and_shared_among_the_intervals() -> None:
    assert quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert quantile(0.90) == pytest.approx(1.644854, abs=1e-6)
    assert quantile(0.95, 24) == pytest.approx(quantile(1 - 0.05 / 24))


def test_around_a_value() -> None:
    assert around(0.5, 0.1, 2.0) == pytest.approx((0.3, 0.7))
    assert around(0.95, 0.1, 2.0, (0.0, 1.0)) == pytest.approx((0.75, 1.0))
    assert all(math.isnan(end) for end in around(0.5, math.nan, 2.0))
    assert all(math.isnan(end) for end in around(math.nan, 0.1, 2.0))


@pytest.mark.parametrize(
    ("hits", "rows", "expected"), [(81, 263, (0.2553, 0.3662)), (0, 20, (0.0, 0.1611)), (20, 20, (0.8389, 1.0))]
)
def test_wilson(hits: int, rows: int, expected: tuple[float, float]) -> None:
    """The first case is Newcombe's own (1998, Statistics in Medicine 17:857, table I)."""
    assert wilson(hits, rows, quantile(0.95)) == pytest.approx(expected, abs=1e-4)


def test_newcombes_difference() -> None:
    """His cases a and f (1998, Statistics in Medicine 17:873, table II, method 10)."""
    z = quantile(0.95)
    assert difference_of_shares((56, 70), (48, 80), z) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert difference_of_shares((10, 10), (0, 20), z) == pytest.approx((0.6791, 1.0), abs=1e-4)


def test_no_row_says_nothing() -> None:
    assert wilson(0, 0, 1.96) is UNKNOWN
    assert difference_of_shares((0, 0), (1, 2), 1.96) is UNKNOWN


def test_rule_of_three() -> None:
    z = quantile(0.95)
    assert rule_of_three(100, z) == pytest.approx(1 - 0.025 ** (1 / 100))
    assert rule_of_three(1000, z) == pytest.approx(3.69 / 1000, rel=0.01)
    assert rule_of_three(0, z) == 1.0
