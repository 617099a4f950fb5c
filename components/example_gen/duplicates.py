"""Rows whose key an earlier row has, found across all files before anything is written.

The hashes of good rows' keys go to files, divided into buckets, and the hashes of a bucket meet in one place. The first
row in the order of the files stays. Whoever writes hashes first finds out which repeat another of the same million: so
a key that every row has does not fill a bucket. Two different keys share a 64-bit hash once in 10^5 runs of 15 million
rows (n² / 2^65); such a row would be quarantined with its key shown.
"""

import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from components import by_shard
from pipeline.errors import MillraceError
from pipeline.ingest import checking, files

_HELD = 1 << 20  # rows of which the hashes are held at a time
_ROW = np.dtype([("hash", "<u8"), ("file", "<i4"), ("ordinal", "<i8")])

Extent = tuple[str, int, int]
"""Rows of a file of hashes: its path, the first one, and the one behind the last."""


def find(
    job: checking.Job, groups: Sequence[Sequence[checking.Unit]], buckets: int, spread: by_shard.Spread, folder: str
) -> list[list[Extent]]:
    """Where the good rows of each group are listed that repeat a key: for `load`.

    Args:
      job: what is alike for all files.
      groups: of files, in the order in which rows count.
      buckets: as many places in which hashes meet, each with its share of them in memory.
      spread: who reads.
      folder: for what is found; it is there.
    """
    pieces: list[list[Extent]] = [[] for _ in range(buckets)]
    found: list[list[Extent]] = []
    for written in spread.each("Keys", Keys(job, buckets, folder), groups, by_shard.JSON):
        extents = [[(path, *ends) for ends in itertools.pairwise(starts)] for path, starts in written]
        found.append([own for *_, own in extents])
        for *others, _ in extents:
            for bucket, extent in zip(pieces, others, strict=True):
                bucket.append(extent)
    firsts = [group[0].index for group in groups]
    for path, starts in spread.each("Repeated", Repeated(firsts, folder), pieces, by_shard.JSON):
        for listed, (start, stop) in zip(found, itertools.pairwise(starts), strict=True):
            listed.append((path, start, stop))
    return [[extent for extent in listed if extent[1] < extent[2]] for listed in found]


def load(extents: Sequence[Extent]) -> dict[int, np.ndarray]:
    """Index of a file -> sorted int64 ordinals of its good rows that repeat a key, for each file that has any."""
    rows = np.sort(_read(extents), order=("file", "ordinal"))
    indices, starts = np.unique(rows["file"], return_index=True)
    parts = np.split(rows["ordinal"], starts[1:])
    return {int(index): ordinals for index, ordinals in zip(indices, parts, strict=False)}


@dataclass(frozen=True)
class Keys:
    """The hashes of a group's keys, in files: the rows of each bucket, and then those that repeat a key of the file.

    Attributes:
      job: what is alike for all files.
      buckets: how many.
      folder: where they are written.
    """

    job: checking.Job
    buckets: int
    folder: str

    def __call__(self, group: Sequence[checking.Unit]) -> list[tuple[str, list[int]]]:
        """Files of hashes, each with where its buckets start and end."""
        written = []
        held = _Held()
        for unit in group:
            for rows in self._of(unit):
                held.add(rows)
                if held.count >= _HELD:
                    written.append(self._write(held.taken()))
        if held.count:
            written.append(self._write(held.taken()))
        return written

    def _of(self, unit: checking.Unit) -> Iterator[np.ndarray]:
        """A file that can't be used gives nothing more here: reading it again will say why."""
        try:
            for part in checking.checked(self.job, unit):
                if len(part.hashes):
                    rows = np.empty(len(part.hashes), _ROW)
                    rows["hash"] = checking.keys(self.job, part)
                    rows["file"] = unit.index
                    rows["ordinal"] = np.arange(part.first, part.first + len(rows))
                    yield rows
        except MillraceError:
            return

    def _write(self, rows: np.ndarray) -> tuple[str, list[int]]:
        bucket = (rows["hash"] % np.uint64(self.buckets)).astype(np.int64)
        bucket[_repeating(rows)] = self.buckets
        order = np.argsort(bucket, kind="stable")
        starts = np.searchsorted(bucket[order], np.arange(self.buckets + 2))
        return _written(rows[order], self.folder), starts.tolist()


@dataclass(frozen=True)
class Repeated:
    """The rows of a bucket that are not the first of their key, in a file.

    Attributes:
      firsts: the index of the first file of each group.
      folder: where it is written.
    """

    firsts: Sequence[int]
    folder: str

    def __call__(self, extents: Sequence[Extent]) -> tuple[str, list[int]]:
        """The file, and where the rows of each group start and end in it."""
        rows = _read(extents)
        rows = rows[_repeating(rows)]
        starts = np.searchsorted(rows["file"], self.firsts).tolist()
        return _written(rows, self.folder), [*starts, len(rows)]


@dataclass
class _Held:
    """Rows that wait to be written."""

    count: int = 0
    parts: list[np.ndarray] = field(default_factory=list)

    def add(self, rows: np.ndarray) -> None:
        self.parts.append(rows)
        self.count += len(rows)

    def taken(self) -> np.ndarray:
        rows = np.concatenate(self.parts)
        self.parts, self.count = [], 0
        return rows


def _repeating(rows: np.ndarray) -> np.ndarray:
    """Which rows have the hash of an earlier one: bool, shape [rows]."""
    _, first = np.unique(rows["hash"], return_index=True)
    repeating = np.ones(len(rows), bool)
    repeating[first] = False
    return repeating


def _written(rows: np.ndarray, folder: str) -> str:
    """The name of a new file of rows."""
    path = f"{folder}/keys-{uuid.uuid4().hex}"
    with files.create(path) as stream:
        stream.write(rows.tobytes())
    return path


def _read(extents: Sequence[Extent]) -> np.ndarray:
    parts = [np.empty(0, _ROW)]
    for path, start, stop in extents:
        if start < stop:
            with files.open_binary(path) as stream:
                stream.seek(start * _ROW.itemsize)
                parts.append(np.frombuffer(stream.read((stop - start) * _ROW.itemsize), _ROW))
    return np.concatenate(parts)
