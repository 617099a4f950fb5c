"""Transformed rows into gzipped TFRecord shards, from columns: one for each raw shard, with its rows in its order."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from components.shards import Shard
from components.transform.rows import BATCH_BYTES, BATCH_ROWS, FIRST_ROWS, Rows, length
from pipeline.ingest import tf_examples
from pipeline.ingest.shards import compressor, framed


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
      path: gzipped TFRecord file of serialised transformed tf.Examples, in the same order.

    Returns:
      The number of rows.
    """
    gzip = compressor()
    count = 0
    with tf.io.gfile.GFile(path, "wb") as stream:
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
