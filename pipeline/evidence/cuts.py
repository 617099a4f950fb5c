"""Slices of the rows: which rows have which value, of columns and of crosses of them, and what a slice is called."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from pipeline.gates import Ranges

OVERALL = "overall"
Values: TypeAlias = "np.ndarray | pd.Categorical"
"""What rows are sliced by: texts, None where a row has none; an object array, or codes and the distinct texts."""


@dataclass(frozen=True, eq=False)
class Cut:
    """The rows of a slice.

    Attributes:
      name: as TFMA's reader has it, `day=1, hour=7`.
      cross: its columns, sorted; empty for all rows.
      rows: their positions, rising; None for all rows.
      count: how many.
      values: of the columns, in their order.
    """

    name: str
    cross: tuple[str, ...]
    rows: np.ndarray | None
    count: int
    values: tuple[str, ...] = ()


def name_of(key: Iterable[tuple[str, Any]]) -> str:
    """The name of the slice of some columns and values."""
    return ", ".join(f"{column}={_quoted(str(value))}" for column, value in key) or OVERALL


def _quoted(value: str) -> str:
    """A slice's value, in quotation marks where it could be taken for two."""
    return json.dumps(value, ensure_ascii=False) if ", " in value or value.startswith('"') else value


def cuts(columns: Mapping[str, Values], crosses: Iterable[tuple[str, ...]], rows: int) -> list[Cut]:
    """All rows, and each slice of each cross that has a row.

    Args:
      columns: raw column -> the value of each row; a row without one is in no slice of that column.
      crosses: tuples of columns.
      rows: how many there are.
    """
    found = [Cut(OVERALL, (), None, rows)]
    for cross in dict.fromkeys(tuple(sorted(cross)) for cross in crosses):
        codes = np.zeros(rows, np.int64)
        values: list[tuple[str, ...]] = [()]
        for column in cross:
            own, known = pd.factorize(columns[column])
            both = np.where((codes < 0) | (own < 0), -1, codes * len(known) + own)
            present = np.sort(pd.unique(both))
            present = present[present >= 0]
            values = [(*values[code // len(known)], known[code % len(known)]) for code in present]
            codes = np.where(both < 0, -1, np.searchsorted(present, both))
        # Numbers of 16 bits are sorted by their digits, in a tenth of the time.
        order = np.argsort(codes.astype(np.int16 if len(values) < 1 << 15 else np.int32), kind="stable")
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        order = order[rows - counts.sum() :].astype(np.int32)
        for key, positions in zip(values, np.split(order, np.cumsum(counts))[:-1], strict=True):
            found.append(Cut(name_of(zip(cross, key, strict=True)), cross, positions, len(positions), key))
    return found


def in_ranges(values: np.ndarray, ranges: Ranges) -> pd.Categorical:
    """The name of the range that each number is in, missing where it is no number."""
    known = np.isfinite(values)
    place = np.searchsorted(ranges.bounds, np.where(known, values, 0.0), side="right")
    return pd.Categorical.from_codes(np.where(known, place, -1), list(ranges.names))
