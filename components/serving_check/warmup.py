"""The requests that a server sends to the model before it calls it available, so that no client waits for first calls.

TF Serving reads them from `assets.extra/tf_serving_warmup_requests`, and a model that fails on one is not loaded. They
hold no data: the row in them has no value in any column, unless the model can't answer that.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from components.serving_check import rows
from pipeline.export import COLUMNS_SIGNATURE, SERVING_SIGNATURE
from pipeline.probes import Probe
from serving.errors import ServingError
from serving.session import SessionModel

FOLDER = "warmup"
NAME = "tf_serving_warmup_requests"
_PLACE = "assets.extra"


def write(folder: Path, model: SessionModel, name: str, asked: Sequence[Probe]) -> str | None:
    """Writes the requests, one for each signature that clients use.

    Args:
      folder: that the file is to be in.
      model: the candidate.
      name: of the served model.
      asked: the probes; the first is used where a row without values is refused.

    Returns:
      A sentence where the model answers neither; else None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    refusal = None
    for example in (tf.train.Example().SerializeToString(), asked[0].example):
        requests = _requests(model, example)
        try:
            for signature, inputs in requests.items():
                model.run(signature, inputs)
        except ServingError as error:
            refusal = f"the model does not answer a single row: {error.message}"
            continue
        with tf.io.TFRecordWriter(str(folder / NAME)) as file:
            for signature, inputs in requests.items():
                file.write(_log(name, signature, inputs).SerializeToString())
        return None
    return refusal


def place(folder: Path, version: Path) -> None:
    """Puts the requests where a server looks for them in a version's folder."""
    if (folder / NAME).exists():
        (version / _PLACE).mkdir(exist_ok=True)
        shutil.copy(folder / NAME, version / _PLACE / NAME)


def _requests(model: SessionModel, example: bytes) -> dict[str, dict[str, np.ndarray]]:
    types = {name: tensor.dtype for name, tensor in model.signatures[COLUMNS_SIGNATURE].inputs.items()}
    return {
        SERVING_SIGNATURE: {"examples": np.array([example], object)},
        COLUMNS_SIGNATURE: rows.columns([example], types),
    }


def _log(name: str, signature: str, inputs: Mapping[str, Any]) -> prediction_log_pb2.PredictionLog:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, values in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
