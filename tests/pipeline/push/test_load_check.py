"""Whether a version can be served: it loads, and answers its warm-up requests."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from pipeline.errors import MillraceError
from pipeline.push.load_check import WARM_UP, check


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that divides a column of whole numbers into 12, and counts serialised examples."""
    path = tmp_path_factory.mktemp("model") / "1"

    class Dozen(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dozen = tf.Variable(12, dtype=tf.int64)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="by")])
        def divide(self, by: Any) -> dict[str, Any]:
            return {"parts": self.dozen // by}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def length(self, examples: Any) -> dict[str, Any]:
            parsed = tf.io.parse_example(examples, {"by": tf.io.FixedLenFeature([], tf.int64)})
            return {"outputs": tf.cast(parsed["by"], tf.float32)}

    module = Dozen()
    signatures = {"serving_default": module.divide, "examples": module.length}
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


@pytest.fixture
def model(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "7"))


def predict(signature: str, **columns: Sequence[int]) -> Any:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    for name, values in columns.items():
        tensor = tf.make_tensor_proto(list(values), tf.int64)
        log.predict_log.request.inputs[name].CopyFrom(tensor)
    return log


def regress(signature: str, by: int) -> Any:
    log = prediction_log_pb2.PredictionLog()
    log.regress_log.request.model_spec.signature_name = signature
    example = log.regress_log.request.input.example_list.examples.add()
    example.features.feature["by"].int64_list.value.append(by)
    return log


def warm_up(model: Path, *logs: Any) -> None:
    (model / WARM_UP).parent.mkdir()
    with tf.io.TFRecordWriter(str(model / WARM_UP)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def test_a_model_without_requests_loads(model: Path) -> None:
    assert check(model) == 0


def test_it_answers_all_requests(model: Path) -> None:
    other = prediction_log_pb2.PredictionLog(session_run_log=prediction_log_pb2.SessionRunLog())
    warm_up(model, predict("", by=[3, 4]), other, predict("serving_default", by=[]), regress("examples", 5))
    assert check(model) == 3


def test_what_it_fails_on_is_said(model: Path) -> None:
    warm_up(model, predict("", by=[1]), predict("", by=[0]))
    with pytest.raises(MillraceError, match=r"(?s)it fails on warm-up request 2: .*division by zero"):
        check(model)


@pytest.mark.parametrize(("log", "name"), [(predict("gone", by=[1]), "gone"), (predict("", other=[1]), "by")])
def test_a_signature_or_input_that_is_not_there(model: Path, log: Any, name: str) -> None:
    warm_up(model, log)
    with pytest.raises(MillraceError, match=f"it fails on warm-up request 1: it has no '{name}'"):
        check(model)


@pytest.mark.parametrize("content", [b"no TFRecord, but a text of some length", b""])
def test_requests_that_can_not_be_read(model: Path, content: bytes) -> None:
    (model / WARM_UP).parent.mkdir()
    (model / WARM_UP).write_bytes(content)
    if content:
        with pytest.raises(MillraceError, match="its warm-up requests can't be read"):
            check(model)
    else:
        assert check(model) == 0


@pytest.mark.parametrize("spoil", ["saved_model.pb", "variables/variables.index", ""])
def test_a_broken_model_does_not_load(model: Path, spoil: str) -> None:
    if spoil:
        (model / spoil).write_bytes(b"half")
    else:
        shutil.rmtree(model)
    with pytest.raises(MillraceError, match="it does not load"):
        check(model)
