"""Areas under the ROC and the precision-recall curve, of many weightings of the same rows at once.

Scores are told apart as `pipeline.curves` does, by steps of the log-odds, so that both give the same values.
"""

from collections.abc import Callable

import numpy as np

STEP = 1e-4
LIMIT = 90.0
"""Where the log-odds end: those of the smallest float32."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""Weights [weightings, rows] -> a value of each weighting; NaN where it is not defined."""


def steps_of(probabilities: np.ndarray) -> np.ndarray:
    """The step of the log-odds that each probability falls in, int64."""
    given = np.asarray(probabilities, np.float64)
    inside = (given > 0) & (given < 1)
    safe = np.where(inside, given, 0.5)
    odds = np.clip(np.log(safe) - np.log1p(-safe), -LIMIT, LIMIT)
    steps = np.where(inside, np.rint(odds / STEP), np.copysign(round(LIMIT / STEP), given - 0.5))
    return np.asarray(np.where(np.isnan(given), 0, steps), np.int64)


def _falling(positive: np.ndarray, probabilities: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function of weights: those of negative and of positive rows in each step, the highest score first."""
    steps = steps_of(probabilities)
    order = np.argsort(-steps, kind="stable")
    falling = steps[order]
    starts = np.flatnonzero(np.concatenate([[True], falling[1:] != falling[:-1]]))
    is_positive = positive[order].astype(np.float64)

    def grouped(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sorted_weights = weights[:, order]
        positives = sorted_weights * is_positive
        if len(starts) < len(order):
            sorted_weights = np.add.reduceat(sorted_weights, starts, axis=1)
            positives = np.add.reduceat(positives, starts, axis=1)
        return sorted_weights - positives, positives

    return grouped


def roc_area(positive: np.ndarray, probabilities: np.ndarray) -> Statistic:
    """The chance that a positive row scores above a negative one, ties count half; NaN where a class is absent."""
    grouped = _falling(positive, probabilities)

    def area(weights: np.ndarray) -> np.ndarray:
        negative, positives = grouped(weights)
        above = np.cumsum(positives, axis=1)
        pairs = negative.sum(1) * above[:, -1]
        above -= positives / 2
        return _divided(np.einsum("ij,ij->i", negative, above), pairs)

    return area


def precision_recall_area(positive: np.ndarray, probabilities: np.ndarray) -> Statistic:
    """Likewise of precision over recall, interpolated as `pipeline.curves` has it (Davis & Goadrich 2006)."""
    grouped = _falling(positive, probabilities)

    def area(weights: np.ndarray) -> np.ndarray:
        negative, positives = grouped(weights)
        added = negative + positives
        true, predicted = np.cumsum(positives, axis=1), np.cumsum(added, axis=1)
        before = predicted - added
        slope = np.divide(positives, added, out=np.zeros_like(added), where=added > 0)
        growth = np.divide(predicted, before, out=np.ones_like(added), where=before > 0)
        parts = slope * (positives + (true - slope * predicted) * np.log(growth))
        return _divided(parts.sum(1), true[:, -1])

    return area


def _divided(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """A part of a whole, NaN where there is no whole."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
