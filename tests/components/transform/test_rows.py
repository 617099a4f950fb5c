"""Rows are read alike from columns and from TFRecords; batches and shards."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.components.transform import executor as transform_executor
from tfx.proto import example_gen_pb2

from components.shards import Shard, shards
from components.transform.batches import steady_batches
from components.transform.materialise import materialise, record_batch
from components.transform.rows import Rows, batch_rows, length
from pipeline.transform_graph import TransformGraph

SCHEMA: schema_pb2.Schema = schema_utils.schema_from_feature_spec(
    {
        "number": tf.io.VarLenFeature(tf.float32),
        "many": tf.io.VarLenFeature(tf.int64),
        "word": tf.io.VarLenFeature(tf.string),
        "never": tf.io.VarLenFeature(tf.int64),
        "fixed": tf.io.FixedLenFeature([2], tf.float32),
    }
)
ROWS = [
    {
        "number": None if i % 3 == 0 else float(i),
        "many": None if i % 5 == 0 else list(range(i % 4 + 1)),
        "word": None if i % 7 == 0 else f"word {i}",
        "fixed": [float(i), 0.5],
    }
    for i in range(100)
]


def values(batch: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (tensor.indices.numpy().tolist(), tensor.values.numpy().tolist(), tensor.dense_shape.numpy().tolist())
        if isinstance(tensor, tf.SparseTensor)
        else tensor.numpy().tolist()
        for name, tensor in batch.items()
    }


@pytest.mark.parametrize("names", [None, ("word", "never"), ("many", "fixed")])
def test_columns_and_records_give_the_same_batches(
    write_examples: Callable[..., Any], tmp_path: Path, names: tuple[str, ...] | None
) -> None:
    (file,) = shards(write_examples(tmp_path, {"train": [ROWS]}, SCHEMA), "train")
    assert file.columns
    rows = Rows(SCHEMA, names)
    columns = [values(batch) for batch in rows.batches(file, 33)]
    records = list(rows.batches(Shard(file.records), 33))
    assert columns == [values(batch) for batch in records]
    assert [length(batch) for batch in records] == [33, 33, 33, 1]
    assert set(columns[0]) == set(names or ("number", "many", "word", "never", "fixed"))
    assert set(rows.specs) == {"number", "many", "word", "never", "fixed"}


def test_shards_without_columns_or_of_an_index_of_others_are_read_from_their_records(
    write_examples: Callable[..., Any], tmp_path: Path
) -> None:
    examples = write_examples(tmp_path, {"train": [ROWS[:50], ROWS[50:]]}, SCHEMA, (4, 5))
    first, second = shards(examples, "train")
    assert (first.span, second.span) == (4, 5)
    assert first.digest != second.digest
    Path(str(second.columns)).unlink()
    assert [file.columns for file in shards(examples, "train")] == [None, None]
    Path(second.records).rename(tmp_path / "Split-train" / "other.gz")
    assert [(file.columns, file.span) for file in shards(examples, "train")] == [(None, None)] * 2


def test_batches_are_of_one_size_by_the_data_alone(write_examples: Callable[..., Any], tmp_path: Path) -> None:
    def size(name: str, *words: str) -> int:
        rows = [{"word": word} for word in words]
        return batch_rows(shards(write_examples(tmp_path / name, {"train": [rows]}), "train"))

    assert size("small", *["row"] * 100) == 16_384
    assert 1000 <= size("large", *["x" * (1 << 16)] * 100) <= 1024
    assert size("none") == batch_rows([]) == 16_384


def test_rows_equal_those_of_beam(tiny_data: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "rows.gz")
    graph = TransformGraph(tiny_data.transform)
    rows = Rows(tiny_data.transform.raw_metadata.schema)
    assert materialise(rows, graph, Shard(tiny_data.raw_files[0]), path) == len(tiny_data.raw)
    spec = tiny_data.transform.transformed_feature_spec()
    found = list(tf.data.TFRecordDataset(path, compression_type="GZIP").as_numpy_iterator())
    parsed = tf.io.parse_example(found, spec)
    assert set(parsed) == set(tiny_data.columns)
    for name, expected in tiny_data.columns.items():
        np.testing.assert_allclose(parsed[name].numpy().reshape(expected.shape), expected, rtol=1e-6, atol=1e-6)


def test_no_rows_make_an_empty_file(tiny_data: Any, tmp_path: Path) -> None:
    empty, path = str(tmp_path / "empty.gz"), str(tmp_path / "rows.gz")
    with tf.io.TFRecordWriter(empty, options="GZIP"):
        pass
    rows = Rows(tiny_data.transform.raw_metadata.schema)
    assert materialise(rows, TransformGraph(tiny_data.transform), Shard(empty), path) == 0
    assert not list(tf.data.TFRecordDataset(path, compression_type="GZIP"))


def test_columns_of_several_values() -> None:
    batch = record_batch({"b": tf.constant([[1, 2], [3, 4]], tf.int64), "a": tf.constant([0.5, 1.5])})
    assert batch.to_pydict() == {"a": [[0.5], [1.5]], "b": [[1, 2], [3, 4]]}


def test_tfx_asks_for_the_size_of_a_batch_where_it_did() -> None:
    """Where this fails TFX has changed, and a model is no longer the same from run to run."""
    assert "TransformProcessor().Transform(" in inspect.getsource(transform_executor.Executor.Do)
    source = inspect.getsource(transform_executor.TransformProcessor._RunBeamImpl)
    assert "desired_batch_size = self._GetDesiredBatchSize(" in source
    assert "desired_batch_size=desired_batch_size" in source
    assert "BeamSource(desired_batch_size)" in source
    ours = transform_executor.TransformProcessor
    asked = (example_gen_pb2.FORMAT_TF_EXAMPLE, schema_pb2.Schema())
    with steady_batches(77):
        assert transform_executor.TransformProcessor()._GetDesiredBatchSize(*asked) == 77
    assert transform_executor.TransformProcessor is ours
    assert ours()._GetDesiredBatchSize(*asked) is None
