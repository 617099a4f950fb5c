"""Rows materialised in columns equal those that TensorFlow Transform makes on Beam."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.transform import executor as transform_executor
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts

from components.transform.batches import steady_batches
from components.transform.executor import _rows_of, materialise, record_batch


def test_rows_equal_those_of_beam(tiny_data: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "rows.gz")
    assert materialise(tiny_data.transform, tiny_data.raw_files[0], path) == len(tiny_data.raw)
    spec = tiny_data.transform.transformed_feature_spec()
    rows = list(tf.data.TFRecordDataset(path, compression_type="GZIP").as_numpy_iterator())
    parsed = tf.io.parse_example(rows, spec)
    assert set(parsed) == set(tiny_data.columns)
    for name, expected in tiny_data.columns.items():
        np.testing.assert_allclose(parsed[name].numpy().reshape(expected.shape), expected, rtol=1e-6, atol=1e-6)


def test_no_rows_make_an_empty_file(tiny_data: Any, tmp_path: Path) -> None:
    empty = str(tmp_path / "empty.gz")
    with tf.io.TFRecordWriter(empty, options="GZIP"):
        pass
    assert materialise(tiny_data.transform, empty, str(tmp_path / "rows.gz")) == 0
    assert (tmp_path / "rows.gz").exists()


def test_columns_of_several_values() -> None:
    batch = record_batch({"b": tf.constant([[1, 2], [3, 4]], tf.int64), "a": tf.constant([0.5, 1.5])})
    assert batch.to_pydict() == {"a": [[0.5], [1.5]], "b": [[1, 2], [3, 4]]}


def _examples(folder: Path, *rows: bytes) -> standard_artifacts.Examples:
    (folder / "Split-train").mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "Split-train" / "data-0.gz"), options="GZIP") as writer:
        for row in rows:
            writer.write(row)
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(folder), '["train"]'
    return artifact


def test_the_analysis_has_batches_of_one_size_by_the_data_alone(tmp_path: Path) -> None:
    assert _rows_of([_examples(tmp_path / "small", *[b"row"] * 100)]) == 8192
    assert _rows_of([_examples(tmp_path / "large", *[bytes(1 << 16)] * 100)]) == 1024
    assert _rows_of([_examples(tmp_path / "none")]) == 8192


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
