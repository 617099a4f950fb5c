"""The two ways to ask a server: JSON over HTTP, and TF Serving's own client over gRPC."""

import base64
import http.client
import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from components.serving_check import rows
from pipeline.errors import MillraceError
from pipeline.export import COLUMNS_SIGNATURE, SERVING_SIGNATURE

_SECONDS = 60.0
Answers = dict[str, np.ndarray]


class Refused(MillraceError):
    """The server has answered with an error.

    Attributes:
      code: HTTP status, or the name of gRPC's code.
    """

    def __init__(self, code: int | str, message: str) -> None:
        """See the class."""
        super().__init__(f"{code}: {message}")
        self.code = code


class Rest:
    """One connection that stays open.

    Attributes:
      title: for people.
    """

    title = "REST"

    def __init__(self, port: int, model: str) -> None:
        """`model` is the served model's name."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        self._path = f"/v1/models/{model}:predict"

    def __enter__(self) -> "Rest":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def examples(self, examples: Sequence[bytes], outputs: Sequence[str]) -> Answers:
        """Answers to serialised tf.Examples, in row form."""
        listed = [{"b64": base64.b64encode(example).decode()} for example in examples]
        answered = self.post({"signature_name": SERVING_SIGNATURE, "instances": listed})["predictions"]
        if len(outputs) == 1:
            return {outputs[0]: np.array(answered)}
        return {name: np.array([row[name] for row in answered]) for name in outputs}

    def columns(self, columns: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Answers:
        """Answers to raw columns, in column form."""
        answered = self.post(self.asked(columns))["outputs"]
        named = answered if isinstance(answered, dict) else {outputs[0]: answered}
        return {name: np.array(named[name]) for name in outputs}

    @staticmethod
    def asked(columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The request for raw columns."""
        inputs = {name: rows.as_json(values) for name, values in columns.items()}
        return {"signature_name": COLUMNS_SIGNATURE, "inputs": inputs}

    def post(self, request: Any) -> Any:
        """Sends a request to predict.

        Raises:
          Refused: with the server's reason.
        """
        self._connection.request("POST", self._path, json.dumps(request), {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answered = json.loads(response.read())
        if response.status != http.HTTPStatus.OK:
            raise Refused(response.status, str(answered.get("error", answered))[:400])
        return answered


class Grpc:
    """One channel.

    Attributes:
      title: for people.
    """

    title = "gRPC"

    def __init__(self, port: int, model: str) -> None:
        """`model` is the served model's name."""
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", unlimited)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model

    def __enter__(self) -> "Grpc":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._channel.close()

    def examples(self, examples: Sequence[bytes], outputs: Sequence[str]) -> Answers:
        """Answers to serialised tf.Examples."""
        return self._ask(SERVING_SIGNATURE, {"examples": np.array(examples, object)}, outputs)

    def columns(self, columns: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Answers:
        """Answers to raw columns."""
        return self._ask(COLUMNS_SIGNATURE, columns, outputs)

    def _ask(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Answers:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        try:
            answered = self._stub.Predict(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            raise Refused(error.code().name, str(error.details())[:400]) from error
        return {name: tf.make_ndarray(answered.outputs[name]) for name in outputs}
