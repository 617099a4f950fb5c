"""Intervals: from a bootstrap's spread, and of shares from counts alone.

- `around`: value ± z · standard error (Efron & Tibshirani 1993, ch. 12). The percentiles of a thousand resamples end at
  one in a thousand; with 24 slices a bound is at one in 960, which they can't tell. The normal quantile can.
- `wilson`: of a share of n rows (Wilson 1927): it stays inside 0 and 1, and is not empty at 0 or n.
- `difference_of_shares`: of two groups of other rows (Newcombe 1998, method 10), from their Wilson intervals.
- `rule_of_three`: how often something may happen that was seen in none of n rows: 1 - (alpha/2)^(1/n), near 3.7/n.
"""

import math
from statistics import NormalDist

Interval = tuple[float, float]
UNKNOWN: Interval = (math.nan, math.nan)


def quantile(confidence: float, among: int = 1) -> float:
    """How many standard errors an interval reaches to either side.

    Args:
      confidence: of all intervals together, two-sided.
      among: how many intervals are looked at together (Bonferroni: each gets its share of the doubt).
    """
    return NormalDist().inv_cdf(1 - (1 - confidence) / (2 * among))


def around(value: float, error: float, z: float, bounds: Interval = (-math.inf, math.inf)) -> Interval:
    """`value ± z · error`, within what the value can be; UNKNOWN where either is."""
    if not math.isfinite(value) or not math.isfinite(error):
        return UNKNOWN
    return max(bounds[0], value - z * error), min(bounds[1], value + z * error)


def rule_of_three(rows: float, z: float) -> float:
    """The largest share that goes with having seen none in so many rows; z as of `quantile`."""
    doubt = 1 - NormalDist().cdf(z)
    return 1 - doubt ** (1 / rows) if rows > 0 else 1.0


def wilson(hits: float, rows: float, z: float) -> Interval:
    """Of the share `hits / rows`; UNKNOWN of no row."""
    if not rows:
        return UNKNOWN
    share, square = hits / rows, z * z
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    reach = z / (1 + square / rows) * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    return (0.0 if not hits else low), (1.0 if hits == rows else high)


def difference_of_shares(first: tuple[float, float], second: tuple[float, float], z: float) -> Interval:
    """Of the first share minus the second; each is (hits, rows), of other rows."""
    if not first[1] or not second[1]:
        return UNKNOWN
    one, other = first[0] / first[1], second[0] / second[1]
    (low, high), (other_low, other_high) = wilson(*first, z), wilson(*second, z)
    down, up = math.hypot(one - low, other_high - other), math.hypot(high - one, other - other_low)
    return one - other - down, one - other + up
