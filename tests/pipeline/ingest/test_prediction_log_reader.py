"""TF Serving's request logs: every form of a request becomes the rows that it asked about."""

import io
import os
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tensorflow_serving.apis import input_pb2, prediction_log_pb2

from pipeline.errors import DataBlocked
from pipeline.ingest.batch import RawBatch
from pipeline.ingest.prediction_log_reader import read_prediction_log


def example(**values: Any) -> tf.train.Example:
    made = tf.train.Example()
    for name, value in values.items():
        feature = made.features.feature[name]
        kind = {int: feature.int64_list, float: feature.float_list, bytes: feature.bytes_list}[type(value)]
        kind.value.append(value)
    return made


def predict(**inputs: Any) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = "taxi_tips"
    for name, value in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return log.SerializeToString()


def asked(kind: str, request: input_pb2.Input) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    getattr(log, kind).request.input.CopyFrom(request)
    return log.SerializeToString()


@pytest.fixture
def read(tmp_path: Any) -> Any:
    def run(*records: bytes, compression: str = "") -> list[RawBatch]:
        path = str(tmp_path / "requests")
        with tf.io.TFRecordWriter(path, compression) as writer:
            for record in records:
                writer.write(record)
        with open(path, "rb") as stream:
            return list(read_prediction_log(io.BytesIO(stream.read()), "requests"))

    return run


ROWS = [example(fare=1.5, company=b"Blue", hour=7), example(hour=8)]
EXPECTED = [{"company": b"Blue", "fare": 1.5, "hour": 7}, {"company": None, "fare": None, "hour": 8}]
INPUT = input_pb2.Input(example_list=input_pb2.ExampleList(examples=ROWS))
CONTEXT = input_pb2.Input(
    example_list_with_context=input_pb2.ExampleListWithContext(
        context=example(company=b"Blue", hour=0), examples=[example(fare=1.5), example(hour=8)]
    )
)


@pytest.mark.parametrize("name", ["examples", "inputs", "x"])
@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_predict_with_examples(read: Any, name: str, compression: str) -> None:
    serialised = [row.SerializeToString() for row in ROWS]
    (batch,) = read(predict(**{name: serialised}), predict(**{name: serialised[1:]}), compression=compression)
    assert batch.columns.to_pylist() == [*EXPECTED, EXPECTED[1]]
    assert batch.lines.tolist() == [1, 1, 2]
    assert batch.malformed == ()


@pytest.mark.parametrize("kind", ["classify_log", "regress_log", "multi_inference_log"])
def test_classify_and_regress(read: Any, kind: str) -> None:
    (batch,) = read(asked(kind, INPUT), asked(kind, CONTEXT))
    with_context = [{"company": b"Blue", "fare": 1.5, "hour": 0}, {"company": b"Blue", "fare": None, "hour": 8}]
    assert batch.columns.to_pylist() == EXPECTED + with_context
    assert batch.lines.tolist() == [1, 1, 2, 2]


def test_predict_with_columns(read: Any) -> None:
    first = predict(
        fare=np.array([1.5, np.nan], np.float32), company=[b"Blue", b""], hour=np.array([7, -(2**63)], np.int64)
    )
    second = predict(fare=np.array([[2.5]], np.float32), hour=np.array([[-1]], np.int64))
    (batch,) = read(first, second)
    assert batch.columns.schema == pa.schema({"company": pa.binary(), "fare": pa.float32(), "hour": pa.int64()})
    assert batch.columns.to_pylist() == [
        {"company": b"Blue", "fare": 1.5, "hour": 7},
        {"company": None, "fare": None, "hour": None},
        {"company": None, "fare": 2.5, "hour": -1},
    ]
    assert batch.lines.tolist() == [1, 1, 2]


def test_a_single_column_of_text_is_no_example(read: Any) -> None:
    (batch,) = read(predict(company=[b"Blue", b"Green"]))
    assert batch.columns.to_pylist() == [{"company": b"Blue"}, {"company": b"Green"}]


def test_both_forms_in_one_log(read: Any) -> None:
    examples, columns = read(
        predict(hour=np.array([7], np.int64)), asked("regress_log", INPUT), predict(hour=np.array([9], np.int64))
    )
    assert examples.lines.tolist() == [2, 2]
    assert columns.lines.tolist() == [1, 3]
    assert columns.columns.to_pylist() == [{"hour": 7}, {"hour": 9}]


def test_a_column_whose_type_changes_is_text(read: Any) -> None:
    (batch,) = read(predict(hour=np.array([7], np.int64)), predict(hour=np.array([7.5], np.float32)))
    assert batch.columns["hour"].to_pylist() in ([7.0, 7.5], ["7", "7.5"])


def test_records_that_are_no_requests_cost_no_others(read: Any) -> None:
    empty = prediction_log_pb2.PredictionLog().SerializeToString()
    session = prediction_log_pb2.PredictionLog()
    session.session_run_log.request.model_spec.name = "x"
    matrix = predict(x=np.zeros((2, 3), np.float32), y=np.zeros(2, np.float32))
    (batch,) = read(b"\xff\xff", empty, asked("regress_log", INPUT), session.SerializeToString(), matrix)
    assert batch.lines.tolist() == [3, 3]
    assert [(record.line, record.message) for record in batch.malformed] == [
        (1, "expected a PredictionLog, received another record"),
        (2, "expected a Predict, Classify or Regress request, received none"),
        (4, "expected a Predict, Classify or Regress request, received session_run_log"),
        (5, "expected one tensor of shape [rows] a column, received x [2, 3], y [2]"),
    ]


def test_a_log_of_something_else_stops(read: Any) -> None:
    with pytest.raises(DataBlocked, match=r"no rows in the first 2 records\. Expected PredictionLogs of TF Serving\."):
        read(ROWS[0].SerializeToString(), ROWS[1].SerializeToString())
