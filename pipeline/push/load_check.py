"""Whether a version can be served: it loads in a session, as TF Serving loads it, and answers its warm-up requests."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import MillraceError

WARM_UP = "assets.extra/tf_serving_warmup_requests"
"""Where TF Serving looks for the requests: a TFRecord file of PredictionLogs."""


def check(folder: Path) -> int:
    """Loads a version and asks it its warm-up requests.

    Args:
      folder: of the version.

    Returns:
      How many requests it has answered; 0 where it has none.

    Raises:
      MillraceError: it does not load, or fails on a request.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from serving.errors import ServingError
    from serving.session import SessionModel

    try:
        model = SessionModel(folder)
    except ServingError as error:
        raise MillraceError(f"it does not load: {error.message}") from error
    count = 0
    try:
        for signature, inputs in _requests(folder / WARM_UP, model):
            model.run(signature, inputs)
            count += 1
    except (ServingError, KeyError) as error:
        said = error.message if isinstance(error, ServingError) else f"it has no {error}"
        raise MillraceError(f"it fails on warm-up request {count + 1}: {said}") from error
    finally:
        model.close()
    return count


def _requests(path: Path, model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Signature and inputs of each warm-up request; those of the kinds classify and regress hold tf.Examples."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    if not path.is_file():
        return
    try:
        for record in tf.data.TFRecordDataset([str(path)]).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            kind = log.WhichOneof("log_type")
            if kind not in ("predict_log", "classify_log", "regress_log"):
                continue
            request = getattr(log, kind).request
            name = request.model_spec.signature_name or "serving_default"
            if kind == "predict_log":
                yield name, {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            else:
                examples = [example.SerializeToString() for example in request.input.example_list.examples]
                yield name, {only: examples for only in model.signatures[name].inputs}
    except (tf.errors.OpError, DecodeError, ValueError) as error:
        raise MillraceError(f"its warm-up requests can't be read: {error}") from error
