"""To which split each row goes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.errors import TaskError
from pipeline.ingest import hashing
from pipeline.ingest.rules import Fault, single
from pipeline.splits import FolderSplit, HashSplit, Split, TimeSplit, seconds


@dataclass(frozen=True)
class Partition:
    """Divides rows as the task says.

    Attributes:
      split: the task's split.
      key: columns that are an entity, where the split is not by one: for the audit.
    """

    split: Split
    key: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The splits, in order."""
        return self.split.names

    def of(self, columns: Mapping[str, pa.Array], hashes: np.ndarray, fixed: str | None) -> np.ndarray:
        """The split of each row, as an index of `names`.

        Args:
          columns: typed columns, shape [rows].
          hashes: of the rows, uint64.
          fixed: the split of the whole file, or None. Of train's folder, some rows are eval where that has none.
        """
        if not len(hashes):
            return np.zeros(0, np.int64)
        if fixed == "train" and isinstance(self.split, FolderSplit) and self.split.eval is None:
            return _by_hash(hashes, (self.split.train_parts, self.split.eval_parts))
        if fixed is not None:
            return np.full(len(hashes), self.names.index(fixed))
        times = self.times(columns)
        if isinstance(self.split, TimeSplit) and times is not None:
            return np.searchsorted(np.array(self.split.borders), times, side="right")
        if not isinstance(self.split, HashSplit):
            raise TypeError(f"{type(self.split).__name__} gives the split by file. Received: fixed=None")
        if self.split.by:
            hashes = hashing.rows({name: columns[name] for name in self.split.by})
        return _by_hash(hashes, (self.split.train, self.split.eval, self.split.test)[: len(self.names)])

    def entities(self, columns: Mapping[str, pa.Array]) -> np.ndarray | None:
        """A hash of each row's entity, or None where the task knows none."""
        by = (self.split.by if isinstance(self.split, HashSplit) else ()) or self.key
        return hashing.rows({name: columns[name] for name in by}) if by and columns else None

    def times(self, columns: Mapping[str, pa.Array]) -> np.ndarray | None:
        """The time of each row in seconds since 1970, NaN where it has none; None where rows are not split by time."""
        if not (isinstance(self.split, TimeSplit) and columns):
            return None
        column = single(columns[self.split.column])
        if pa.types.is_binary(column.type):
            encoded = column.dictionary_encode()
            moments = np.array([_moment(text) for text in encoded.dictionary.to_pylist()] + [np.nan])
            indices = np.asarray(encoded.indices.fill_null(len(moments) - 1))
            return moments[indices]
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)

    def faults(self, columns: Mapping[str, pa.Array]) -> list[Fault]:
        """Rows that no split can take: without a time, or without an entity."""
        found = []
        times = self.times(columns)
        if times is not None and isinstance(self.split, TimeSplit):
            found.append(Fault("split", self.split.column, "expected a time, to split by", np.isnan(times)))
        if isinstance(self.split, HashSplit):
            for name in self.split.by:
                missing = np.asarray(columns[name].is_null())
                found.append(Fault("split", name, "expected a value, to split by", missing))
        return [fault for fault in found if fault.rows.any()]


def _by_hash(hashes: np.ndarray, parts: tuple[int, ...]) -> np.ndarray:
    """The part of each row, as an index of `parts`: of sizes as `parts` says."""
    bucket = hashes % np.uint64(sum(parts))
    return np.searchsorted(np.cumsum(parts), bucket, side="right")


def _moment(text: bytes) -> float:
    try:
        return seconds(text.decode("utf-8", "replace"))
    except TaskError:
        return np.nan
