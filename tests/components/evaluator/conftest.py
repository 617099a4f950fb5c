"""Rows as ExampleGen leaves them, tf.Examples and the columns beside them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder

from components.shards import Shard
from pipeline.ingest.column_shards import ColumnShards

_TYPES = {
    "miles": (3, pa.float32()),
    "fare": (3, pa.float32()),
    "tips": (3, pa.float32()),
    "company": (1, pa.binary()),
    "hour": (2, pa.int64()),
    "area": (2, pa.int64()),
}
_ROWS = 70


@pytest.fixture(scope="session")
def stored() -> Callable[[list[bytes], Path], list[str]]:
    """Writes rows of the tiny task as columns, in shards of 70."""

    def write(rows: list[bytes], folder: Path) -> list[str]:
        schema = schema_pb2.Schema(
            feature=[schema_pb2.Feature(name=name, type=kind) for name, (kind, _) in _TYPES.items()]
        )
        batch = example_coder.ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(rows)
        shards = ColumnShards(str(folder / "rows"), lambda path: Path(path).open("wb"), _ROWS)
        batch = pa.RecordBatch.from_pydict(
            {name: batch.column(name).cast(pa.list_(kind)) for name, (_, kind) in _TYPES.items()}
        )
        shards.write(batch, np.arange(batch.num_rows, dtype=np.uint64))
        shards.close()
        return [str(shard.path) for shard in shards.written]

    return write


@pytest.fixture(scope="session")
def sharded(stored: Callable[[list[bytes], Path], list[str]]) -> Callable[..., list[Shard]]:
    """Writes rows of the tiny task as tf.Examples and, if wanted, as columns, in shards of 70."""

    def write(rows: list[bytes], folder: Path, *, columns: bool = True) -> list[Shard]:
        records = [str(folder / f"data_tfrecord-{number:05d}.gz") for number in range(-(-len(rows) // _ROWS))]
        for number, path in enumerate(records):
            with tf.io.TFRecordWriter(path, "GZIP") as writer:
                for row in rows[number * _ROWS : (number + 1) * _ROWS]:
                    writer.write(row)
        beside = stored(rows, folder) if columns else [None] * len(records)
        return [Shard(*pair) for pair in zip(records, beside, strict=True)]

    return write
