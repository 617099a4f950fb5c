"""Transformed rows into gzipped TFRecord shards, from columns: one for each raw shard, with its rows in its order."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx.dsl.io import fileio

from components.by_shard import JSON, Spread
from components.shards import Shard, brought_here
from components.transform.phases import Transforming
from components.transform.rows import BATCH_BYTES, BATCH_ROWS, FIRST_ROWS, Rows, length
from pipeline.ingest import files, tf_examples
from pipeline.ingest.shards import compressor, framed

_PARTS = ".parts"


@dataclass(frozen=True)
class Materialise:
    """Transforms the rows of a shard into a file of an attempt of its own; travels to workers.

    Attributes:
      transform: the transform.
    """

    transform: Transforming

    def __call__(self, job: tuple[Shard, str]) -> str:
        """The file that was written, for a shard and the folder of such files."""
        shard, folder = job
        path = f"{folder}/{uuid.uuid4().hex}"
        with brought_here(shard) as local:
            materialise(*self.transform.ready(), local, path)
        return path


def materialise_all(spread: Spread, transform: Transforming, splits: Mapping[str, Sequence[Shard]]) -> None:
    """Transforms the rows of all shards.

    Args:
      spread: has every shard transformed.
      transform: the transform.
      splits: folder of transformed shards -> the raw ones.
    """
    jobs = [(shard, f"{folder}/{_PARTS}") for folder, raw in splits.items() for shard in raw]
    names = [
        f"{folder}/transformed_examples-{number:05d}-of-{len(raw):05d}.gz"
        for folder, raw in splits.items()
        for number in range(len(raw))
    ]
    for folder in splits:
        fileio.makedirs(f"{folder}/{_PARTS}")
    for name, part in zip(names, spread.each("Transform", Materialise(transform), jobs, JSON), strict=True):
        fileio.rename(part, name, overwrite=True)
    for folder in splits:
        with suppress(fileio.NotFoundError):  # a bucket has no empty folders
            fileio.rmtree(f"{folder}/{_PARTS}")


def materialise(
    rows: Rows,
    function: Callable[[Mapping[str, Any]], dict[str, tf.Tensor]],
    file: Shard,
    path: str,
) -> int:
    """Transforms the rows of one shard.

    Args:
      rows: reads what the function needs.
      function: raw columns -> transformed columns, dense, of shape [rows, …].
      file: the shard.
      path: gzipped TFRecord file of serialised transformed tf.Examples, in the same order; local or in a bucket.

    Returns:
      The number of rows.
    """
    gzip = compressor()
    count = 0
    with files.create(path) as stream:
        for raw in rows.batches(file, _rows_at_once(rows, file, function)):
            examples = tf_examples.encode(record_batch(function(raw)))
            stream.write(gzip.compress(framed(examples)))
            count += len(examples)
        stream.write(gzip.flush())
    return count


def _rows_at_once(rows: Rows, file: Shard, function: Callable[[Mapping[str, Any]], dict[str, tf.Tensor]]) -> int:
    """16,384 rows, or fewer where the first ones say that these would be more than 64 MB, before or after."""
    for first in rows.batches(file, FIRST_ROWS):
        before = sum(_bytes(part.numpy()) for part in tf.nest.flatten(first, expand_composites=True))
        after = sum(_bytes(column.numpy()) for column in function(first).values())
        return int(max(1, min(BATCH_ROWS, BATCH_BYTES * length(first) // max(1, before, after))))
    return BATCH_ROWS


def _bytes(values: np.ndarray) -> int:
    return sum(map(len, values.ravel())) if values.dtype == object else values.nbytes


def record_batch(columns: Mapping[str, tf.Tensor]) -> pa.RecordBatch:
    """Dense columns of shape [rows] or [rows, values] as Arrow lists, sorted by name."""
    return pa.RecordBatch.from_pydict({name: _lists(columns[name].numpy()) for name in sorted(columns)})


def _lists(values: np.ndarray) -> pa.Array:
    width = int(np.prod(values.shape[1:], dtype=int))
    offsets = np.arange(len(values) + 1, dtype=np.int32) * width
    return pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
