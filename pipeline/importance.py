"""Permutation importance: how much worse a metric becomes when a column is shuffled among the rows (Breiman 2001).

What the model knows from two columns alike is counted for neither, since each is shuffled while the other stays.

    plan = afford(seconds_a_row=2e-5, rows=5000, columns=12, budget=1.5)
    found = importance(columns, answer, value, plan, seed=1)     # the most important first
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

REPEATS = 5
_FEWEST_REPEATS = 3
_FEWEST_ROWS = 400
_THREADS = 2


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes:
      rows: that are asked, drawn at random where there are more.
      repeats: shuffles of each column.
    """

    rows: int
    repeats: int = REPEATS


@dataclass(frozen=True)
class Importance:
    """Of a column.

    Attributes:
      column: its name.
      losses: of each shuffle how much worse the metric became; negative where it became better.
    """

    column: str
    losses: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the shuffles."""
        return sum(self.losses) / len(self.losses)


def afford(seconds_a_row: float, rows: int, columns: int, budget: float) -> Plan | None:
    """What fits into a number of seconds: rows become fewer first, then the repeats; None where nothing useful fits."""
    answers = budget / max(seconds_a_row, 1e-9) / max(columns, 1)
    for repeats in range(REPEATS, _FEWEST_REPEATS - 1, -1):
        fitting = min(rows, int(answers / repeats))
        if fitting >= min(rows, _FEWEST_ROWS):
            return Plan(fitting, repeats)
    return None


def chosen(rows: int, plan: Plan, seed: int) -> np.ndarray:
    """The positions of the rows that a plan asks, in order."""
    if plan.rows >= rows:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, plan.rows, replace=False))


def importance(
    columns: Mapping[str, np.ndarray],
    answer: Callable[[Mapping[str, np.ndarray]], np.ndarray],
    loss: Callable[[np.ndarray], float],
    repeats: int = REPEATS,
    *,
    seed: int = 1,
) -> list[Importance]:
    """The importance of each column, the largest first.

    Args:
      columns: name -> values, all of as many rows.
      answer: a model: columns to answers, of the rows in the same order; asked for all
        repeats of a column at once, and by two threads.
      loss: of the answers to the rows: the less the better, such as a metric with its sign turned.
      repeats: shuffles of each column.
      seed: of the shuffles.
    """
    rows = len(next(iter(columns.values())))
    best = loss(answer(columns))
    tiled = {name: np.tile(values, repeats) for name, values in columns.items()}

    def weigh(place: int, name: str) -> Importance:
        random = np.random.default_rng([seed, place])
        shuffled = np.concatenate([columns[name][random.permutation(rows)] for _ in range(repeats)])
        given = answer({**tiled, name: shuffled})
        losses = [loss(given[start : start + rows]) - best for start in range(0, repeats * rows, rows)]
        return Importance(name, tuple(losses))

    with ThreadPoolExecutor(_THREADS) as threads:
        found = threads.map(weigh, range(len(columns)), columns)
        return sorted(found, key=lambda each: -each.mean)
