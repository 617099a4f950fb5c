"""How far metrics would move on other rows of the same kind: the bootstrap (Efron & Tibshirani 1993, ch. 6).

Each resample counts each row a number of times, drawn from a Poisson distribution with mean 1 (Hanley & MacGibbon 2006;
Chamandy et al. 2012). Against drawing n of n rows it leaves the sum of the counts free, which no metric that is a mean, a
share or an area feels; and a row's counts depend on no other row, so that machines that hold parts of the rows can draw
each for its own. Candidate and baseline get the same counts: what makes both right or wrong cancels in the difference.

Counts are drawn for a block of resamples at a time, so that memory does not grow with their number. Time grows with
rows x resamples: past MOST_ROWS `pipeline.evidence.linear` takes its place.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from pipeline.evidence.statistic import Statistic

Name = TypeVar("Name", bound=Hashable)
MOST_ROWS = 20_000
"""Of an evaluation that is resampled; so many take a second or two."""
KNOWN = 0.9
"""Share of the resamples in which a metric has to be defined, or its spread is unknown."""
_BLOCK = 2_000_000
_IN_CACHE = 200_000
"""Counts that are worked on together: what is made of them stays in the processor's cache."""
_COUNTS = np.repeat(
    np.arange(9, dtype=np.uint8),
    np.diff(np.rint(np.cumsum([0, *(np.exp(-1) / np.cumprod([1, *range(1, 9)]))]) * 65536).astype(int)),
)
"""Of each number of 16 bits the count that it stands for: a Poisson distribution with mean 1, in 65,536 parts."""


def draws(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of counts, float64 [some resamples, rows], the same for the same arguments."""
    random = np.random.default_rng(seed)
    at_once = max(1, _BLOCK // max(rows, 1))
    for begin in range(0, resamples, at_once):
        numbers = random.integers(0, len(_COUNTS), (min(at_once, resamples - begin), rows), np.uint16)
        yield _COUNTS[numbers].astype(np.float64)


def resampled(
    statistics: Mapping[Name, tuple[Statistic, np.ndarray | None]], rows: int, resamples: int, seed: int
) -> dict[Name, np.ndarray]:
    """The values of several statistics in the same resamples.

    Args:
      statistics: name -> a statistic and the positions of its rows, None where it is of all.
      rows: how many there are in all.
      resamples: how many to draw.
      seed: of the draws.

    Returns:
      Name -> float64 [resamples].
    """
    found: dict[Name, list[np.ndarray]] = {name: [] for name in statistics}
    by_rows: dict[int, list[Name]] = {}
    for name, (_, chosen) in statistics.items():
        by_rows.setdefault(id(chosen), []).append(name)
    for weights in draws(rows, resamples, seed):
        for names in by_rows.values():
            chosen = statistics[names[0]][1]
            at_once = max(1, _IN_CACHE // max(rows if chosen is None else len(chosen), 1))
            for begin in range(0, len(weights), at_once):
                some = weights[begin : begin + at_once]
                own = some if chosen is None else some[:, chosen]
                for name in names:
                    found[name].append(statistics[name][0](own))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def standard_error(values: np.ndarray) -> float:
    """The spread of a statistic over resamples; NaN where too few of them have it."""
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) >= max(2, KNOWN * len(values)) else float("nan")
