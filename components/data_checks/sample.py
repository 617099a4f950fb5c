"""Some rows of a split as columns, for what statistics cannot tell."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.ingest import columnar
from pipeline.labels import Label

_BATCH = 8192
_TYPES = {schema_pb2.INT: pa.int64(), schema_pb2.FLOAT: pa.float32(), schema_pb2.BYTES: pa.large_binary()}


@dataclass(frozen=True)
class Sample:
    """Rows of a split.

    Attributes:
      numbers: column -> float64 [rows], NaN where missing.
      texts: column -> object [rows] of bytes, None where missing.
      label: float64, NaN where unknown: what the model learns to predict. [rows]: a number, 0 and 1, or the position of
        a class; [rows, classes]: 0 and 1 for each of several classes.
      rows: how many there are.
    """

    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    texts: Mapping[str, np.ndarray] = field(default_factory=dict)
    label: np.ndarray = field(default_factory=lambda: np.empty(0))
    rows: int = 0


def read(files: list[str], rows: int, schema: schema_pb2.Schema, label: Label, without: Collection[str] = ()) -> Sample:
    """Reads the first rows of each file of a split, the same number of each.

    Args:
      files: of columns, whose names end with `.arrow`, or gzipped TFRecord files of serialised tf.Examples.
      rows: how many, together.
      schema: columns and types; other columns are left out.
      label: of the task.
      without: columns that are not kept, such as images, each of which may be megabytes.
    """
    each = -(-rows // max(len(files), 1))
    plain = _plain(schema, without)
    tables = [(_stored if file.endswith(".arrow") else _decoded)(file, each, plain) for file in sorted(files)]
    return from_table(pa.concat_tables(tables) if tables else pa.table({}), label)


def _stored(file: str, rows: int, schema: schema_pb2.Schema) -> pa.Table:
    """The first rows of a file of columns, as `_decoded` gives them."""
    types = {feature.name: pa.large_list(_TYPES[feature.type]) for feature in schema.feature}
    found = next(columnar.batches([file], rows, list(types)), None)
    if found is None:
        return pa.schema(types.items()).empty_table()
    return pa.table(
        {
            name: pa.nulls(len(column), types[name]) if pa.types.is_null(column.type) else column
            for name, column in zip(types, found.columns, strict=True)
        }
    )


def _decoded(file: str, rows: int, schema: schema_pb2.Schema) -> pa.Table:
    """The first rows of a TFRecord file."""
    import tensorflow as tf
    from tfx_bsl.coders import example_coder

    decoder = example_coder.ExamplesToRecordBatchDecoder(schema.SerializeToString())
    records = tf.data.TFRecordDataset(file, compression_type="GZIP").take(rows).batch(_BATCH)
    batches = [decoder.DecodeBatch(batch.tolist()) for batch in records.as_numpy_iterator()]
    return pa.Table.from_batches(batches, decoder.ArrowSchema())


def from_table(table: pa.Table, label: Label) -> Sample:
    """Columns of lists, as tfx_bsl decodes tf.Examples, with at most one value a row; longer lists are left out."""
    numbers: dict[str, np.ndarray] = {}
    texts: dict[str, np.ndarray] = {}
    for name in table.column_names:
        flat = _flat(table[name].combine_chunks())
        if flat is None:
            continue
        if pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type):
            numbers[name] = np.asarray(flat.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        else:
            texts[name] = np.asarray(flat.to_numpy(zero_copy_only=False), dtype=object)
    return Sample(numbers, texts, target(label, numbers, texts, table.num_rows), table.num_rows)


def target(label: Label, numbers: Mapping[str, np.ndarray], texts: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """What the model learns to predict in each row; empty where a column that it needs is not there, or of a type that
    it does not take."""
    import tensorflow as tf

    known = {*numbers, *(texts if "BYTES" in label.accepts else ())}
    if not rows or not label.columns <= known:
        return np.empty(0)
    values = {
        column: tf.constant([text or b"" for text in texts[column]])
        if column in texts
        else tf.constant(numbers[column], tf.float32)
        for column in label.columns
    }
    return np.asarray(label.target(values), dtype=np.float64)


def _plain(schema: schema_pb2.Schema, without: Collection[str]) -> schema_pb2.Schema:
    """Names and types only: a shape or a domain would make the decoder refuse rows."""
    return schema_pb2.Schema(
        feature=[
            schema_pb2.Feature(name=feature.name, type=feature.type)
            for feature in schema.feature
            if feature.name not in without
        ]
    )


def _flat(lists: Any) -> pa.Array | None:
    """The one value of each row, null where there is none; None for a column with more in a row."""
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.chunk(0) if lists.num_chunks else pa.array([], lists.type)
    if not pa.types.is_list(lists.type) and not pa.types.is_large_list(lists.type):
        return lists
    lengths = np.asarray(lists.value_lengths().fill_null(0))
    if lengths.size and lengths.max() > 1:
        return None
    positions = np.where(lengths > 0, np.cumsum(lengths) - 1, 0)
    return lists.flatten().take(pa.array(positions, mask=lengths == 0))
