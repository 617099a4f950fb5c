import re

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.errors import Code
from serving.warmup import FILE


def predict(signature, value):
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([value]))
    return log


def of_examples(kind, signature):
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, kind).request
    if kind == "multi_inference_log":
        request.tasks.add(method_name="tensorflow/serving/regress").model_spec.signature_name = signature
    else:
        request.model_spec.signature_name = signature
    example = request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(1.0)
    return log


@pytest.fixture
def warm(put):
    """A function: records, to a version that is warmed up with these."""

    def write(*records):
        file = put(1) / FILE
        file.parent.mkdir()
        with tf.io.TFRecordWriter(str(file)) as writer:
            for record in records:
                writer.write(record if isinstance(record, bytes) else record.SerializeToString())
        return file

    return write


def test_each_kind_of_request_is_replayed(warm, start):
    kinds = [("classify_log", "classify"), ("regress_log", "regress"), ("multi_inference_log", "regress")]
    warm(predict("", 1.0), predict("picky", 1.0), *(of_examples(*kind) for kind in kinds))
    manager = start()
    assert manager.ready()
    runs = manager._metrics.registry.get_sample_value(
        ":tensorflow:serving:runtime_latency_count", {"model_name": "half", "API": "Predict", "runtime": "TF1"}
    )
    assert runs == 5.0


@pytest.mark.parametrize(
    "record, code, message",
    [
        (predict("picky", 13.0), Code.INVALID_ARGUMENT, "A warm-up request fails: .*13 is refused"),
        (predict("no", 1.0), Code.FAILED_PRECONDITION, 'Serving signature key "no" not found'),
        (b"\xff\xff", Code.INVALID_ARGUMENT, "Failed to parse warmup record"),
        (prediction_log_pb2.PredictionLog(), Code.UNIMPLEMENTED, "Unsupported log_type for warmup"),
    ],
)
def test_one_that_fails_fails_the_load(warm, start, record, code, message):
    warm(record)
    manager = start(load_attempts=1)
    (status,) = manager.status("half")
    assert (status.state, status.code) == ("END", code) and not manager.ready()
    assert re.search(message, status.message, re.DOTALL)


def test_a_file_that_is_no_tfrecord_fails_the_load(warm, start):
    warm().write_bytes(b"these are not records at all")
    (status,) = start(load_attempts=1).status("half")
    assert status.code is Code.DATA_LOSS and status.message.endswith("verify your warmup data is in TFRecord format.")
