"""Areas under the ROC and the precision-recall curve, of many weightings of the same rows at once.

Scores are told apart as `pipeline.curves` does, by steps of the log-odds, so that both give the same values.
"""

import weakref
from functools import cached_property

import numpy as np

from pipeline.evidence.statistic import Statistic, divided

STEP = 1e-4
LIMIT = 90.0
"""Where the log-odds end: those of the smallest float32."""
Sums = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_AT_ONCE = 1 << 18
"""Probabilities that are turned into steps together, so that float64 copies stay small."""


def steps_of(probabilities: np.ndarray) -> np.ndarray:
    """The step of the log-odds that each probability falls in, int32."""
    found = np.empty(len(probabilities), np.int32)
    for begin in range(0, len(found), _AT_ONCE):
        given = np.asarray(probabilities[begin : begin + _AT_ONCE], np.float64)
        inside = (given > 0) & (given < 1)
        safe = np.where(inside, given, 0.5)
        odds = np.clip(np.log(safe) - np.log1p(-safe), -LIMIT, LIMIT)
        steps = np.where(inside, np.rint(odds / STEP), np.copysign(round(LIMIT / STEP), given - 0.5))
        found[begin : begin + _AT_ONCE] = np.where(np.isnan(given), 0, steps)
    return found


class Falling:
    """Rows from the highest score to the lowest, and where the positive ones are among them.

    A group is all rows of one step that has a positive row; the other steps matter only by how many rows they add.
    """

    def __init__(self, positive: np.ndarray, probabilities: np.ndarray) -> None:
        """Sorts.

        Args:
          positive: booleans, [rows].
          probabilities: of being positive, [rows].
        """
        steps = steps_of(probabilities)
        # The order within a step does not matter, and an unstable sort takes a third of the time.
        self.order = np.argsort(-steps).astype(np.int32)
        falling = steps[self.order]
        first = np.empty(len(falling), bool)
        first[:1] = True
        np.not_equal(falling[1:], falling[:-1], out=first[1:])
        self.positive = positive[self.order]
        self.places = np.flatnonzero(self.positive).astype(np.int32)
        starts = np.flatnonzero(first).astype(np.int32)
        self._step = np.cumsum(first, dtype=np.int32) - np.int32(1)
        chosen, begins = np.unique(self._step[self.places], return_index=True)
        self._last_places = np.append(begins[1:], len(self.places))[: len(chosen)] - 1
        self._starts, self._ends = starts[chosen], np.append(starts[1:], len(falling))[chosen]
        self._held: tuple[weakref.ref[np.ndarray], Sums] | None = None

    def __call__(self, weights: np.ndarray) -> Sums:
        """Weights of the groups; two areas are made of the same ones, which are kept as long as the rows' weights are.

        Args:
          weights: [weightings, rows].

        Returns:
          Of each group, [weightings, groups]: the positive rows up to its end, those in it, all rows before it, those in
          it; and the weight of all rows, [weightings].
        """
        held = self._held
        if held is None or held[0]() is not weights:
            self._held = held = weakref.ref(weights, self._forget), self._summed(weights)
        return held[1]

    def _forget(self, _: object) -> None:
        self._held = None

    def _summed(self, weights: np.ndarray) -> Sums:
        sorted_weights = weights[:, self.order]
        true = np.cumsum(sorted_weights[:, self.places], axis=1)[:, self._last_places]
        positives = np.diff(true, axis=1, prepend=0.0)
        predicted = np.cumsum(sorted_weights, axis=1, out=sorted_weights)
        before = np.where(self._starts > 0, predicted[:, self._starts - 1], 0.0)
        added = predicted[:, self._ends - 1] - before
        return true, positives, before, added, predicted[:, -1]

    @cached_property
    def once(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each step where all weights are 1: its positive rows and all of its rows, float64 [steps]."""
        return np.bincount(self._step, self.positive), np.bincount(self._step).astype(np.float64)

    def of_rows(self, negative: np.ndarray, positive: np.ndarray) -> np.ndarray:
        """Values of each step, [steps], for its negative and its positive rows, as values of the rows in their own order."""
        found = np.empty(len(self.order))
        found[self.order] = np.where(self.positive, positive[self._step], negative[self._step])
        return found

    @property
    def kinds(self) -> tuple[int, int]:
        """How many rows are positive and negative."""
        return len(self.places), len(self.order) - len(self.places)


def roc_area(falling: Falling) -> Statistic:
    """The chance that a positive row scores above a negative one, ties count half; NaN where a class is absent."""

    def area(weights: np.ndarray) -> np.ndarray:
        true, positives, before, added, total = falling(weights)
        if not true.shape[1]:
            return np.full(len(weights), np.nan)
        negatives = total - true[:, -1]
        above = before - (true - positives)
        below = negatives[:, None] - above - (added - positives) / 2
        return divided(np.einsum("ij,ij->i", positives, below), negatives * true[:, -1])

    def influence() -> np.ndarray:
        """The row's placement among those of the other class, less the area (DeLong, DeLong & Clarke-Pearson 1988)."""
        positives, rows = falling.once
        negatives = rows - positives
        count, others = positives.sum(), negatives.sum()
        above = (np.cumsum(positives) - positives / 2) / count
        below = (others - np.cumsum(negatives) + negatives / 2) / others
        area = positives @ below / count
        return falling.of_rows((above - area) / others, (below - area) / count)

    return Statistic(area, influence, falling.kinds)


def precision_recall_area(falling: Falling) -> Statistic:
    """Likewise of precision over recall, interpolated as `pipeline.curves` has it (Davis & Goadrich 2006)."""

    def area(weights: np.ndarray) -> np.ndarray:
        true, positives, before, added, _ = falling(weights)
        if not true.shape[1]:
            return np.full(len(weights), np.nan)
        slope = divided(positives, added, 0.0)
        predicted = before + added
        growth = divided(predicted, before, 1.0)
        parts = slope * (positives + (true - slope * predicted) * np.log(growth))
        return divided(parts.sum(1), true[:, -1])

    def influence() -> np.ndarray:
        """By the chain rule: a row adds to its own step, and to what is predicted before and at each lower one."""
        positives, added = falling.once
        true, predicted = np.cumsum(positives), np.cumsum(added)
        before = predicted - added
        slope = positives / added
        growth = np.log(divided(predicted, before, 1.0))
        rest = true - slope * predicted
        by_slope = positives + (true - 2 * slope * predicted) * growth
        by_predicted = slope * (rest / predicted - slope * growth)
        by_before = -divided(slope * rest, before, 0.0)
        later = _from_here(by_predicted) + _from_here(by_before) - by_before
        negative = later - by_slope * slope / added
        positive = later + by_slope * (1 - slope) / added + slope + _from_here(slope * growth)
        area = (slope * (positives + rest * growth)).sum() / true[-1]
        return falling.of_rows(negative / true[-1], (positive - area) / true[-1])

    return Statistic(area, influence, falling.kinds[:1])


def _from_here(values: np.ndarray) -> np.ndarray:
    """The sum of each value and of all behind it."""
    return np.cumsum(values[::-1])[::-1]
