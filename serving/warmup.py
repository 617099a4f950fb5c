"""Requests that a model brings along: answered once before it is served, so that no client waits for the first run.

<version>/assets.extra/tf_serving_warmup_requests        a TFRecord of PredictionLog
"""

import asyncio
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving import inference, tensors
from serving.errors import Code, ServingError
from serving.servable import Servable

FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1_000


def run(servable: Servable, path: Path) -> int:
    """Replays a model's warm-up requests; in a thread without an event loop.

    Args:
      servable: the version, not served yet.
      path: its folder.

    Returns:
      How many there were; 0 where there is no file.

    Raises:
      ServingError: one fails, or the file is no such TFRecord or has more than MAX_RECORDS.
    """
    file = path / FILE
    if not file.is_file():
        return 0
    records = _records(file)
    try:
        asyncio.run(_replay(servable, records))
    except ServingError as error:
        raise ServingError(error.code, f"A warm-up request fails: {error.message}") from error
    return len(records)


def _records(file: Path) -> list[prediction_log_pb2.PredictionLog]:
    records = []
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(file)):
            records.append(prediction_log_pb2.PredictionLog.FromString(record))
            if len(records) > MAX_RECORDS:
                raise ServingError(
                    Code.INVALID_ARGUMENT, f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {file}"
                )
    except tf.errors.OpError as error:
        raise ServingError(
            Code.DATA_LOSS, f"{error.message}. Please verify your warmup data is in TFRecord format."
        ) from error
    except DecodeError as error:
        raise ServingError(Code.INVALID_ARGUMENT, f"Failed to parse warmup record: {error} from {file}") from error
    return records


async def _replay(servable: Servable, records: list[prediction_log_pb2.PredictionLog]) -> None:
    for record in records:
        await _one(servable, record)


async def _one(servable: Servable, record: prediction_log_pb2.PredictionLog) -> Any:
    kind = record.WhichOneof("log_type")
    if kind == "predict_log":
        request = record.predict_log.request
        signature = servable.signature(request.model_spec.signature_name)
        return await servable.run(signature, tensors.decode_all(request.inputs), tuple(request.output_filter))
    if kind in ("classify_log", "regress_log"):
        request = getattr(record, kind).request
        answer = inference.classify if kind == "classify_log" else inference.regress
        return await answer(servable, request.model_spec.signature_name, inference.examples_of(request.input))
    if kind == "multi_inference_log":
        request = record.multi_inference_log.request
        tasks = [(task.model_spec.signature_name, task.method_name) for task in request.tasks]
        return await inference.multi(servable, tasks, inference.examples_of(request.input))
    raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
