"""A metric as a function of the rows' weights, with what each row contributes to it.

The second is the row's influence (Hampel 1974): how fast the metric changes as the row's weight grows from 1. The influences
of all rows add up to 0, as twice the weight on every row changes nothing. `pipeline.evidence.linear` makes standard errors
of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Statistic:
    """A metric of some rows.

    Attributes:
      values: weights [weightings, rows] -> a value of each weighting; NaN where it is not defined. Weights are not changed
        in place between two calls.
      influence: of each row where all weights are 1, float64 [rows].
      carriers: how many rows there are of each kind without which the metric is not defined, such as positive and
        negative ones of an area.
    """

    values: Callable[[np.ndarray], np.ndarray]
    influence: Callable[[], np.ndarray]
    carriers: tuple[int, ...] = ()

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """The value of each weighting, [weightings]."""
        return self.values(weights)


def undefined(rows: int) -> Statistic:
    """Of rows that have no value."""
    return Statistic(lambda weights: np.full(len(weights), np.nan), lambda: np.full(rows, np.nan))


def mean(values: np.ndarray) -> Statistic:
    """The weighted mean of some numbers, [rows]."""
    return ratio(values, np.ones(len(values), np.int8))


def ratio(part: np.ndarray, whole: np.ndarray) -> Statistic:
    """A sum over a sum, both [rows]; NaN where the second is 0."""

    def shares(weights: np.ndarray) -> np.ndarray:
        return divided(weights @ part.astype(np.float64), weights @ whole.astype(np.float64))

    def influence() -> np.ndarray:
        total = whole.sum(dtype=np.float64)
        return np.asarray((part - part.sum(dtype=np.float64) / total * whole.astype(np.float64)) / total)

    return Statistic(shares, influence, (int(np.count_nonzero(whole)),))


def divided(part: np.ndarray, whole: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """A part of a whole, element by element; `otherwise` where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), otherwise), where=whole != 0)
