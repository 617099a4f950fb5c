"""Logs of serving requests in all their formats."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data_checks import distance, serving
from components.data_checks.facts import Dataset, columns_of
from pipeline.errors import MillraceError, UsageError
from pipeline.features.base import INT_MISSING

ROWS: list[dict[str, Any]] = [
    {"fare": 1.5, "hour": 7, "company": "a"},
    {"fare": 2.5, "hour": None, "company": "b", "unknown": 9},
    {"fare": None, "hour": 9, "company": "a"},
]


def counted(dataset: Dataset) -> dict[str, tuple[int, int]]:
    """Column -> rows with and without a value."""
    return {name: distance.rows_of(feature) for name, feature in columns_of(dataset).items()}


EXPECTED = {"fare": (2, 1), "hour": (2, 1), "company": (3, 0)}


def test_json_lines(tmp_path: Path, schema: schema_pb2.Schema) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    logged = serving.reference(str(file), schema)
    assert (logged.name, logged.rows, logged.uri) == ("the logged requests", 3, str(file))
    assert counted(logged.splits["requests"]) == EXPECTED
    assert columns_of(logged.splits["requests"])["fare"].num_stats.mean == 2.0


def test_stand_ins_for_missing_values(tmp_path: Path, schema: schema_pb2.Schema) -> None:
    rows = [{"fare": 1.5, "hour": INT_MISSING, "company": ""}, {"fare": float("nan"), "hour": 3, "company": "a"}]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "requests.parquet")
    logged = serving.reference(str(tmp_path / "requests.parquet"), schema)
    assert counted(logged.splits["requests"]) == {"fare": (1, 1), "hour": (1, 1), "company": (1, 1)}


def test_a_folder_of_csv(tmp_path: Path, schema: schema_pb2.Schema) -> None:
    (tmp_path / "1.csv").write_text("fare,hour\n1.5,7\n2.5,\n")
    (tmp_path / "2.csv").write_text("hour,company\n9,a\n")
    logged = serving.reference(str(tmp_path), schema)
    assert logged.rows == 3
    assert counted(logged.splits["requests"]) == {"fare": (2, 1), "hour": (2, 1), "company": (1, 2)}


def write(file: Path, records: list[bytes]) -> str:
    import tensorflow as tf

    options = tf.io.TFRecordOptions(compression_type="GZIP" if file.name.endswith(".gz") else "")
    with tf.io.TFRecordWriter(str(file), options) as writer:
        for record in records:
            writer.write(record)
    return str(file)


@pytest.mark.parametrize("name", ["requests.tfrecord", "requests.tfrecord.gz"])
def test_examples(tmp_path: Path, schema: schema_pb2.Schema, example: Callable[..., bytes], name: str) -> None:
    file = write(tmp_path / name, [example(row) for row in ROWS])
    logged = serving.reference(file, schema)
    assert logged.rows == 3
    assert {n: c for n, c in counted(logged.splits["requests"]).items() if n in EXPECTED} == EXPECTED


def test_prediction_logs_by_examples_and_by_columns(
    tmp_path: Path, schema: schema_pb2.Schema, example: Callable[..., bytes]
) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    by_examples, by_columns, classified = (prediction_log_pb2.PredictionLog() for _ in range(3))
    inputs = by_examples.predict_log.request.inputs
    inputs["examples"].CopyFrom(tf.make_tensor_proto([example(row) for row in ROWS]))
    inputs = by_columns.predict_log.request.inputs
    inputs["fare"].CopyFrom(tf.make_tensor_proto(np.array([1.0, np.nan], np.float32)))
    inputs["hour"].CopyFrom(tf.make_tensor_proto(np.array([INT_MISSING, 5], np.int64)))
    inputs["company"].CopyFrom(tf.make_tensor_proto([b"", b"b"]))
    listed = classified.classify_log.request.input.example_list.examples
    listed.append(tf.train.Example.FromString(example(ROWS[0])))
    logs = [log.SerializeToString() for log in (by_examples, by_columns, classified)]
    logged = serving.reference(write(tmp_path / "requests.tfrecord", logs), schema)
    assert logged.rows == 6
    found = counted(logged.splits["requests"])
    assert {name: found[name] for name in EXPECTED} == {"fare": (4, 2), "hour": (4, 2), "company": (5, 1)}


def test_a_damaged_log_is_named(tmp_path: Path, schema: schema_pb2.Schema) -> None:
    (tmp_path / "requests.tfrecord").write_bytes(b"no TFRecord at all, but long enough to be read")
    with pytest.raises(MillraceError, match=r"serving log: .*requests\.tfrecord: not a TFRecord file"):
        serving.reference(str(tmp_path / "requests.tfrecord"), schema)


def test_no_log(tmp_path: Path, schema: schema_pb2.Schema) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        serving.reference(str(tmp_path / "requests.jsonl"), schema)
