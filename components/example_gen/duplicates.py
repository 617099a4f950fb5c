"""Rows whose key an earlier row has, found across all files before anything is written.

Each file gives the hashes of its good rows' keys, in as many buckets as there are; a bucket's hashes meet in one place.
The first row in the order of the files stays. Two different keys share a 64-bit hash once in 10^5 runs of 15 million
rows (n² / 2^65); such a row would be quarantined with its key shown.
"""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np

from components import remote_files
from pipeline.errors import MillraceError
from pipeline.ingest import checking

_BUCKETS = 64

Keys = tuple[int, int, np.ndarray, np.ndarray]


def find(groups: beam.PCollection, job: checking.Job) -> beam.PCollection:
    """(index of a file, sorted int64 ordinals of its good rows that repeat a key), for each file that has any."""
    return (
        groups
        | "Keys" >> beam.ParDo(_Keys(job))
        | "ByKey" >> beam.GroupByKey()
        | "Repeated" >> beam.FlatMapTuple(_repeated)
        | "ByFile" >> beam.GroupByKey()
        | "Ordinals" >> beam.MapTuple(lambda index, parts: (index, np.sort(np.concatenate(list(parts)))))
    )


class _Keys(beam.DoFn):
    """(bucket, (index of the file, first ordinal, ordinals, hashes)) of each batch of a file."""

    def __init__(self, job: checking.Job) -> None:
        self._job = job

    def process(self, group: tuple[int, list[checking.Unit]]) -> Iterator[tuple[int, Keys]]:
        """A file that can't be used gives nothing here: reading it again will say why."""
        remote_files.register()
        for unit in group[1]:
            yield from self._of(unit)

    def _of(self, unit: checking.Unit) -> Iterator[tuple[int, Keys]]:
        try:
            for part in checking.checked(self._job, unit):
                if not len(part.hashes):
                    continue
                hashes = checking.keys(self._job, part)
                buckets = hashes % np.uint64(_BUCKETS)
                ordinals = np.arange(part.first, part.first + len(hashes))
                for bucket in np.unique(buckets):
                    chosen = buckets == bucket
                    yield int(bucket), (unit.index, part.first, ordinals[chosen], hashes[chosen])
        except MillraceError:
            return


def _repeated(bucket: int, parts: Iterable[Keys]) -> Iterator[tuple[int, np.ndarray]]:
    """Of the rows of a bucket, those that are not the first of their key."""
    del bucket
    ordered = sorted(parts, key=lambda part: part[:2])
    hashes = np.concatenate([part[3] for part in ordered])
    files = np.concatenate([np.full(len(part[3]), part[0]) for part in ordered])
    ordinals = np.concatenate([part[2] for part in ordered])
    _, first = np.unique(hashes, return_index=True)
    repeated = np.ones(len(hashes), bool)
    repeated[first] = False
    for index in np.unique(files[repeated]):
        yield int(index), ordinals[repeated & (files == index)]
