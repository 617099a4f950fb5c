"""How far metrics would move on other rows of the same kind: the bootstrap (Efron & Tibshirani 1993, ch. 6).

Each resample counts each row a number of times, drawn from a Poisson distribution with mean 1 (Hanley & MacGibbon 2006;
Chamandy et al. 2012). Against drawing n of n rows it leaves the sum of the counts free, which no metric that is a mean, a
share or an area feels; and a row's counts depend on no other row, so that machines that hold parts of the rows can draw
each for its own. Candidate and baseline get the same counts: what makes both right or wrong cancels in the difference.

Counts are drawn for a block of resamples at a time, so that memory does not grow with their number. Time grows with
rows x resamples: past 50,000 rows the resamples become fewer, 1,000 at 50,000, 500 at 100,000 and never fewer than 200,
with which a standard error is off by 5 % (1 / sqrt(2 x 200)).
"""

from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.evidence.areas import Statistic

_AFFORDED = 50_000_000
_FEWEST = 200
_BLOCK = 2_000_000
_KNOWN = 0.9
"""Share of the resamples in which a metric has to be defined, or its spread is unknown."""
_COUNTS = np.repeat(
    np.arange(9, dtype=np.uint8),
    np.diff(np.rint(np.cumsum([0, *(np.exp(-1) / np.cumprod([1, *range(1, 9)]))]) * 65536).astype(int)),
)
"""Of each number of 16 bits the count that it stands for: a Poisson distribution with mean 1, in 65,536 parts."""


def resamples_for(rows: int, asked: int) -> int:
    """How many resamples are made of so many rows."""
    return min(asked, max(_FEWEST, _AFFORDED // max(rows, 1)))


def draws(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of counts, float64 [some resamples, rows], the same for the same arguments."""
    random = np.random.default_rng(seed)
    at_once = max(1, _BLOCK // max(rows, 1))
    for begin in range(0, resamples, at_once):
        numbers = random.integers(0, len(_COUNTS), (min(at_once, resamples - begin), rows), np.uint16)
        yield _COUNTS[numbers].astype(np.float64)


def resampled(
    statistics: Mapping[str, tuple[Statistic, np.ndarray | None]], rows: int, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """The values of several statistics in the same resamples.

    Args:
      statistics: name -> a statistic and the positions of its rows, None where it is of all.
      rows: how many there are in all.
      resamples: how many to draw.
      seed: of the draws.

    Returns:
      Name -> float64 [resamples].
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    by_rows: dict[int, list[str]] = {}
    for name, (_, chosen) in statistics.items():
        by_rows.setdefault(id(chosen), []).append(name)
    for weights in draws(rows, resamples, seed):
        for names in by_rows.values():
            chosen = statistics[names[0]][1]
            own = weights if chosen is None else weights[:, chosen]
            for name in names:
                found[name].append(statistics[name][0](own))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def standard_error(values: np.ndarray) -> float:
    """The spread of a statistic over resamples; NaN where too few of them have it."""
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) >= max(2, _KNOWN * len(values)) else float("nan")
