"""Rows of a split as columns: the label of text, of integers and of several names; columns that are left out."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from components.data_checks import sample
from pipeline.ingest import files, typed
from pipeline.ingest.column_shards import ColumnShards
from pipeline.labels import Binary, MultiClass, MultiLabel, Regression

NAN = float("nan")
TABLE = pa.table(
    {
        "animal": pa.array([[b"dog"], None, [b"cat"], [b"newt"]], pa.list_(pa.binary())),
        "tags": pa.array([[b"a|b"], [b"-"], None, [b"x"]], pa.list_(pa.binary())),
        "number": pa.array([[1], [0], None, [7]], pa.list_(pa.int64())),
    }
)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (MultiClass("animal", ("cat", "dog")), [1, NAN, 0, NAN]),
        (MultiClass("number", 3), [1, 0, NAN, NAN]),
        (MultiLabel("tags", ("a", "b"), none="-"), [[1, 1], [0, 0], [NAN, NAN], [NAN, NAN]]),
        (Regression("number"), [1, 0, NAN, 7]),
        (Binary("number"), [1, 0, NAN, 7]),
    ],
)
def test_the_label_is_what_the_model_learns(label: Any, expected: Any) -> None:
    received = sample.from_table(TABLE, label).label
    assert received.dtype == np.float64
    np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("label", [Regression("animal"), MultiClass("none", 3), Binary("none")])
def test_a_label_whose_column_is_not_there_or_of_another_type_is_empty(label: Any) -> None:
    assert sample.from_table(TABLE, label).label.size == 0


def test_columns_that_are_left_out_are_not_kept(tmp_path: Path, example: Any) -> None:
    file = str(tmp_path / "rows.gz")
    with tf.io.TFRecordWriter(file, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for i in range(6):
            writer.write(example({"image": b"\x00" * 1000, "animal": "cat" if i % 2 else "dog", "miles": float(i)}))
    schema = schema_pb2.Schema()
    for name, kind in (("image", "BYTES"), ("animal", "BYTES"), ("miles", "FLOAT")):
        schema.feature.add(name=name, type=schema_pb2.FeatureType.Value(kind))
    read = sample.read([file], 4, schema, MultiClass("animal", ("cat", "dog")), ["image"])
    assert (set(read.texts), set(read.numbers), read.rows) == ({"animal"}, {"miles"}, 4)
    assert read.label.tolist() == [1, 0, 1, 0]
    assert "image" in sample.read([file], 4, schema, MultiClass("animal", ("cat", "dog"))).texts


def test_columns_give_the_sample_of_the_tf_examples(tmp_path: Path) -> None:
    """The first rows of each file, with a column that no row has."""
    schema = schema_pb2.Schema()
    for name, kind in (("none", "FLOAT"), ("animal", "BYTES"), ("miles", "FLOAT"), ("many", "INT")):
        schema.feature.add(name=name, type=schema_pb2.FeatureType.Value(kind))
    records, columns = [], []
    for number in range(2):
        some = range(number * 10, number * 10 + 10)
        batch = pa.RecordBatch.from_pydict(
            {
                "animal": pa.array([b"cat" if i % 2 else None for i in some], pa.binary()),
                "many": pa.array([[i, i] if i % 3 else None for i in some], pa.list_(pa.int64())),
                "miles": pa.array([float(i) for i in some], pa.float32()),
                "other": pa.array(list(some), pa.int64()),
            }
        )
        writer = ColumnShards(f"{tmp_path}/{number}", files.create, 100)
        writer.write(batch, np.zeros(10, np.uint64))
        writer.close()
        columns.append(str(writer.written[0].path))
        records.append(f"{tmp_path}/{number}.gz")
        lists = pa.RecordBatch.from_pydict({n: typed.as_lists(batch.column(n)) for n in batch.schema.names})
        with tf.io.TFRecordWriter(records[-1], "GZIP") as stream:
            for record in RecordBatchToExamplesEncoder().encode(lists):
                stream.write(record)
    for rows in (1, 7, 100):
        expected = sample.read(records, rows, schema, Regression("miles"))
        found = sample.read(columns, rows, schema, Regression("miles"))
        assert found.rows == expected.rows == min(2 * -(-rows // 2), 20)
        np.testing.assert_array_equal(found.label, expected.label)
        assert found.texts["animal"].tolist() == expected.texts["animal"].tolist()
        assert set(found.numbers) == set(expected.numbers)
        for name in found.numbers:
            np.testing.assert_array_equal(found.numbers[name], expected.numbers[name])
