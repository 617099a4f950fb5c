"""Rows materialised in columns equal those that TensorFlow Transform makes on Beam."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.transform.executor import materialise, record_batch


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
