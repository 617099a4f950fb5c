"""Slices of the rows: which rows have which value, of columns and of crosses of them, and what a slice is called."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.gates import Ranges

OVERALL = "overall"


@dataclass(frozen=True, eq=False)
class Cut:
    """The rows of a slice.

    Attributes:
      name: as TFMA's reader has it, `day=1, hour=7`.
      cross: its columns, sorted; empty for all rows.
      rows: their positions, rising; None for all rows.
      count: how many.
    """

    name: str
    cross: tuple[str, ...]
    rows: np.ndarray | None
    count: int


def name_of(key: Iterable[tuple[str, Any]]) -> str:
    """The name of the slice of some columns and values."""
    return ", ".join(f"{column}={_quoted(str(value))}" for column, value in key) or OVERALL


def _quoted(value: str) -> str:
    """A slice's value, in quotation marks where it could be taken for two."""
    return json.dumps(value, ensure_ascii=False) if ", " in value or value.startswith('"') else value


def cuts(columns: Mapping[str, np.ndarray], crosses: Iterable[tuple[str, ...]], rows: int) -> list[Cut]:
    """All rows, and each slice of each cross that has a row.

    Args:
      columns: raw column -> text of each row, None where it has no value; such a row is in no slice of that column.
      crosses: tuples of columns.
      rows: how many there are.
    """
    found = [Cut(OVERALL, (), None, rows)]
    for cross in dict.fromkeys(tuple(sorted(cross)) for cross in crosses):
        codes = np.zeros(rows, np.int64)
        values: list[list[str]] = [[]]
        for column in cross:
            own, known = pd.factorize(columns[column], sort=False)
            both = np.where((codes < 0) | (own < 0), -1, codes * len(known) + own)
            present = np.unique(both[both >= 0])
            values = [[*values[code // len(known)], known[code % len(known)]] for code in present]
            codes = np.where(both < 0, -1, np.searchsorted(present, both))
        order = np.argsort(codes, kind="stable")
        order = order[codes[order] >= 0]
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        for key, positions in zip(values, np.split(order, starts)[1:], strict=True):
            name = name_of(zip(cross, key, strict=True))
            found.append(Cut(name, cross, positions, len(positions)))
    return found


def in_ranges(values: np.ndarray, ranges: Ranges) -> np.ndarray:
    """The name of the range that each number is in, None where it is no number; an object array."""
    known = np.isfinite(values)
    names = np.array([*ranges.names, None], object)
    place = np.searchsorted(ranges.bounds, np.where(known, values, 0.0), side="right")
    return np.asarray(names[np.where(known, place, len(ranges.names))])
