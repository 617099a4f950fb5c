"""Rows of two artifacts are compared by their values, whatever their order, split and empty features."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks.examples import compare, rows_of


def write(folder: Path, **splits: list[dict[str, Any]]) -> Path:
    for split, rows in splits.items():
        (folder / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "data.gz"), "GZIP") as writer:
            for row in rows:
                features = {name: feature(value) for name, value in row.items()}
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
    return folder


def feature(value: Any) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value] if value is not None else []))


def test_equal_in_another_order_and_split(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": b"x"}, {"a": 2, "b": b"y"}, {"a": 1, "b": b"x"}]
    left = write(tmp_path / "left", train=rows)
    right = write(tmp_path / "right", train=[rows[1]], eval=[{**rows[0], "c": None}, rows[2]])
    found = compare(rows_of(left), rows_of(right))
    assert found.equal
    assert (found.left, found.right, found.missing) == (3, 3, 0)


def test_a_value_a_kind_and_a_count_differ(tmp_path: Path) -> None:
    left = write(tmp_path / "left", train=[{"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}])
    right = write(tmp_path / "right", train=[{"a": 1}, {"a": 2.0}, {"a": 3}])
    found = compare(rows_of(left), rows_of(right))
    assert not found.equal
    assert found.missing == 3
    assert found.only_left == ((("a", "int64_list", (2,)),), (("a", "int64_list", (3,)),))
    assert found.only_right == ((("a", "float_list", (2.0,)),),)


def test_no_rows_are_not_equal(tmp_path: Path) -> None:
    empty = write(tmp_path / "empty", train=[])
    assert not compare(rows_of(empty), rows_of(empty)).equal
