"""Rows as ExampleGen leaves them beside the tf.Examples."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder

from pipeline.ingest.column_shards import ColumnShards

_TYPES = {
    "miles": (3, pa.float32()),
    "fare": (3, pa.float32()),
    "tips": (3, pa.float32()),
    "company": (1, pa.binary()),
    "hour": (2, pa.int64()),
    "area": (2, pa.int64()),
}


@pytest.fixture(scope="session")
def stored() -> Callable[[list[bytes], Path], list[str]]:
    """Writes rows of the tiny task as columns, in shards of 70."""

    def write(rows: list[bytes], folder: Path) -> list[str]:
        schema = schema_pb2.Schema(
            feature=[schema_pb2.Feature(name=name, type=kind) for name, (kind, _) in _TYPES.items()]
        )
        batch = example_coder.ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(rows)
        shards = ColumnShards(str(folder / "rows"), lambda path: Path(path).open("wb"), 70)
        batch = pa.RecordBatch.from_pydict(
            {name: batch.column(name).cast(pa.list_(kind)) for name, (_, kind) in _TYPES.items()}
        )
        shards.write(batch, np.arange(batch.num_rows, dtype=np.uint64))
        shards.close()
        return [str(shard.path) for shard in shards.written]

    return write
