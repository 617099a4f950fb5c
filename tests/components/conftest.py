"""Rows in shards, as ExampleGen leaves them."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from pipeline.ingest import columnar, files
from pipeline.ingest.column_shards import ColumnShards

Shards = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]


@pytest.fixture(scope="session")
def write_examples(example: Callable[[Mapping[str, Any]], bytes]) -> Callable[..., Any]:
    """A function that writes an Examples artifact: split -> shards -> rows.

    With `schema` as ExampleGen leaves it, with columns and their index; shard i of a split is of span `spans[i]`.
    """

    def write(
        folder: Path, splits: Shards, schema: schema_pb2.Schema | None = None, spans: Sequence[int] | None = None
    ) -> Any:
        index = []
        for split, shards in splits.items():
            (folder / f"Split-{split}").mkdir(parents=True)
            for number, rows in enumerate(shards):
                name = f"data_tfrecord-{number:05d}-of-{len(shards):05d}"
                records = f"Split-{split}/{name}.gz"
                serialised = [example(row) for row in rows]
                with tf.io.TFRecordWriter(str(folder / records), "GZIP") as writer:
                    for row in serialised:
                        writer.write(row)
                if schema:
                    (folder / "columns" / split).mkdir(parents=True, exist_ok=True)
                    path, digest = _write_columns(f"{folder}/columns/{split}/{name}", serialised, schema)
                    file = str(Path(path).relative_to(folder))
                    span = spans[number] if spans else 0
                    index.append(dataclasses.asdict(columnar.Shard(split, file, records, len(rows), span, digest)))
        if index:
            (folder / "columns" / columnar.INDEX).write_text(json.dumps({"shards": index}))
        artifact = standard_artifacts.Examples()
        artifact.uri, artifact.split_names = str(folder), artifact_utils.encode_split_names(list(splits))
        artifact.set_string_custom_property("file_format", "tfrecords_gzip")
        artifact.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
        return artifact

    return write


def _write_columns(prefix: str, rows: Sequence[bytes], schema: schema_pb2.Schema) -> tuple[str, str]:
    batch = ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(list(rows))
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = column.type.value_type
        columns[name] = column.cast(pa.list_(pa.binary() if kind == pa.large_binary() else kind))
    writer = ColumnShards(prefix, files.create, 10**9)
    hashes = np.array([int.from_bytes(row[-7:], "big") for row in rows], np.uint64)
    writer.write(pa.RecordBatch.from_pydict(columns), hashes)
    writer.close()
    (written,) = writer.written
    return str(written.path), written.digest
