"""The rows of shards (components/shards.py), in batches of tensors as TFX's Transform would feed them.

Where ExampleGen left columns (pipeline/ingest/columnar.py) these are read, and no tf.Example is parsed; else TFX's own
decoder reads the TFRecords. Both give the same batches.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder
from tfx_bsl.tfxio import tensor_adapter, tf_example_record

from components.shards import Shard
from pipeline.ingest import columnar, tfrecord_frames
from pipeline.ingest import files as stored

BATCH_ROWS = 16_384
BATCH_BYTES = 64 << 20
FIRST_ROWS = 64


def batch_rows(files: Sequence[Shard]) -> int:
    """Rows of a batch: 16,384, or fewer where the first rows say that these would be more than 64 MB.

    The same for the same data, so that what is added up batch by batch comes out the same from run to run.
    """
    for file in files:
        if first := _first(file.records):
            return int(max(1, min(BATCH_ROWS, BATCH_BYTES * len(first) // max(1, sum(map(len, first))))))
    return BATCH_ROWS


class Rows:
    """Reads shards as tensors of the raw columns."""

    def __init__(self, schema: schema_pb2.Schema, names: Sequence[str] | None = None) -> None:
        """See the class.

        Args:
          schema: of the raw rows; as TFX does, a column is dense where it has a shape and sparse where it has none.
          names: the columns to read; None for all of them.
        """
        source = tf_example_record.TFExampleBeamRecord("inmem", ["millrace", "transform"], schema=schema)
        source = source if names is None else source.Project(sorted(names))
        self._schema = schema
        self._arrow = source.ArrowSchema()
        self._adapter: tensor_adapter.TensorAdapter = source.TensorAdapter()
        wanted = set(self._arrow.names)
        projected = schema_pb2.Schema()
        projected.CopyFrom(schema)
        del projected.feature[:]
        projected.feature.extend(feature for feature in schema.feature if feature.name in wanted)
        self._decoded_as = projected.SerializeToString()

    @property
    def specs(self) -> dict[str, tf.TypeSpec]:
        """Raw column -> what its tensors look like, of all columns."""
        return dict(self._adapter.OriginalTypeSpecs())

    def only(self, names: Sequence[str]) -> "Rows":
        """Reads these columns."""
        return Rows(self._schema, names)

    def batches(self, file: Shard, rows: int) -> Iterator[dict[str, Any]]:
        """The rows of a shard, in their order.

        Args:
          file: the shard.
          rows: of a batch; the last one may have fewer.

        Yields:
          Raw column -> tensor or sparse tensor.
        """
        for batch in self._columns(file.columns, rows) if file.columns else self._decoded(file.records, rows):
            yield self._adapter.ToBatchTensors(batch, produce_eager_tensors=True)

    def _columns(self, path: str, rows: int) -> Iterator[pa.RecordBatch]:
        for batch in columnar.batches([path], rows, self._arrow.names):
            columns = [_as(batch.column(field.name), field.type) for field in self._arrow]
            yield pa.RecordBatch.from_arrays(columns, schema=self._arrow)

    def _decoded(self, path: str, rows: int) -> Iterator[pa.RecordBatch]:
        decoder = example_coder.ExamplesToRecordBatchDecoder(self._decoded_as)  # not to be shared by threads
        for serialised in _records([path], rows).prefetch(1).as_numpy_iterator():
            yield decoder.DecodeBatch(serialised)


def _as(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column that has no values at all is of the type null."""
    return column if column.type == kind else column.cast(kind)


def _records(paths: Sequence[str], rows: int) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(list(paths), compression_type="GZIP").batch(rows)


def _first(path: str) -> list[bytes]:
    """The first rows, serialised; of a file in a bucket no more is read than these take."""
    if not stored.scheme(path):
        return [row for rows in _records([path], FIRST_ROWS).take(1).as_numpy_iterator() for row in rows]
    with stored.open_binary(path, decompress=False) as stream:
        return next((some.records[:FIRST_ROWS] for some in tfrecord_frames.frames(stream, path)), [])


def length(batch: dict[str, Any]) -> int:
    """How many rows a batch of tensors has."""
    column = next(iter(batch.values()))
    return int(np.asarray(column.dense_shape[0]) if isinstance(column, tf.SparseTensor) else column.shape[0])
