"""The gRPC front: TF Serving's PredictionService and ModelService, and grpc.health.v1 where its package is installed.

Messages are limited to `Limits.body_mb` (TF Serving: 2 GiB; gRPC's own default: 4 MB).
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving import inference, tensors
from serving.errors import Code, ServingError
from serving.grpc_health import add_health
from serving.manager import Manager, Servable
from serving.metrics import Metrics
from serving.settings import Settings

_log = logging.getLogger(__name__)
_STATUS = {status.value[0]: status for status in grpc.StatusCode}
_MESSAGE = 4_000  # characters; a status travels in a header, and headers are limited to 8 KiB
_METADATA_FIELD = "signature_def"
_Context = Any
_Handler = Callable[[Any, _Context], Awaitable[Any]]


def build(manager: Manager, settings: Settings, metrics: Metrics) -> grpc.aio.Server:
    """The server, without a port; in the event loop that it will run in."""
    size = settings.limits.body_bytes
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", size),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ]
    )
    guard = _Guard(settings, metrics)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Predictions(manager, guard, metrics), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(manager, guard), server)
    add_health(server, manager)
    return server


def listen(server: grpc.aio.Server, settings: Settings) -> int:
    """Binds the port, with TLS where there is a certificate; returns its number.

    Raises:
      OSError: it is taken, or the files can't be read.
    """
    address = f"{settings.host}:{settings.grpc_port}"
    try:
        if settings.tls_cert is None or settings.tls_key is None:
            return int(server.add_insecure_port(address))
        pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
        return int(server.add_secure_port(address, grpc.ssl_server_credentials([pair])))
    except RuntimeError as error:
        raise OSError(f"gRPC can't listen at {address}: {error}") from error


class _Guard:
    """What all calls share: the token, the clock, errors to statuses, and counting."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._expected = None if settings.token is None else f"Bearer {settings.token}".encode()

    async def call(self, api: str, model: str, context: _Context, answer: Awaitable[Any]) -> Any:
        """Awaits an answer; ends the call with a status where there is none."""
        started = time.monotonic()
        code = Code.OK
        try:
            if self._expected is not None:
                self._check_token(context)
            return await answer
        except ServingError as error:
            code, message = error.code, error.message
        except asyncio.CancelledError:
            code = Code.CANCELLED
            raise
        except Exception:  # A defect of ours: said in the log, and the server goes on.
            _log.exception("%s failed", api)
            code, message = Code.INTERNAL, "The server failed on this request; its log says why."
        finally:
            if hasattr(answer, "close"):
                answer.close()
            self._metrics.request(model, api, "GRPC", code, time.monotonic() - started)
        await context.abort(_STATUS[int(code)], message[:_MESSAGE])

    def _check_token(self, context: _Context) -> None:
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        data = given if isinstance(given, bytes) else given.encode()
        if not hmac.compare_digest(data, self._expected or b""):
            raise ServingError(Code.UNAUTHENTICATED, "Expected a bearer token that is this server's.")


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers requests to models."""

    def __init__(self, manager: Manager, guard: _Guard, metrics: Metrics) -> None:
        self._manager = manager
        self._guard = guard
        self._metrics = metrics

    async def Predict(self, request: Any, context: _Context) -> Any:
        return await self._guard.call(
            "Predict", request.model_spec.name, context, self._predict(request, _deadline(context))
        )

    async def Classify(self, request: Any, context: _Context) -> Any:
        return await self._guard.call(
            "Classify", request.model_spec.name, context, self._classify(request, _deadline(context))
        )

    async def Regress(self, request: Any, context: _Context) -> Any:
        return await self._guard.call(
            "Regress", request.model_spec.name, context, self._regress(request, _deadline(context))
        )

    async def MultiInference(self, request: Any, context: _Context) -> Any:
        name = request.tasks[0].model_spec.name if request.tasks else ""
        return await self._guard.call("MultiInference", name, context, self._multi(request, _deadline(context)))

    async def GetModelMetadata(self, request: Any, context: _Context) -> Any:
        return await self._guard.call("GetModelMetadata", request.model_spec.name, context, self._metadata(request))

    async def _predict(self, request: Any, deadline: float | None) -> Any:
        with self._manager.pinned(*_asked(request.model_spec)) as servable:
            signature = servable.signature(request.model_spec.signature_name)
            inputs = tensors.decode_all(request.inputs)
            answers = await servable.run(signature, inputs, tuple(request.output_filter), deadline)
            response = predict_pb2.PredictResponse()
            _say(response.model_spec, servable.name, signature.name, servable.version)
        for name, answer in answers.items():
            tensors.encode(answer, response.outputs[name])
        return response

    async def _classify(self, request: Any, deadline: float | None) -> Any:
        name = request.model_spec.signature_name
        with self._manager.pinned(*_asked(request.model_spec)) as servable:
            rows = await inference.classify(servable, name, self._examples(servable, request), deadline)
            response = classification_pb2.ClassificationResponse()
            _say(response.model_spec, servable.name, name, servable.version)
        _write_classes(response.result, rows)
        return response

    async def _regress(self, request: Any, deadline: float | None) -> Any:
        name = request.model_spec.signature_name
        with self._manager.pinned(*_asked(request.model_spec)) as servable:
            values = await inference.regress(servable, name, self._examples(servable, request), deadline)
            response = regression_pb2.RegressionResponse()
            _say(response.model_spec, servable.name, name, servable.version)
        _write_values(response.result, values)
        return response

    async def _multi(self, request: Any, deadline: float | None) -> Any:
        specs = [task.model_spec for task in request.tasks]
        if not specs:
            raise ServingError(Code.INVALID_ARGUMENT, "Inference request must have at least one task.")
        if not all(spec.name for spec in specs):
            raise ServingError(Code.INVALID_ARGUMENT, "Found ModelSpec with an empty model name.")
        if len({spec.name for spec in specs}) > 1:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
            )
        tasks = [(task.model_spec.signature_name, task.method_name) for task in request.tasks]
        response = inference_pb2.MultiInferenceResponse()
        with self._manager.pinned(*_asked(specs[0])) as servable:
            results = await inference.multi(servable, tasks, self._examples(servable, request), deadline)
            for (name, method), result in zip(tasks, results, strict=True):
                one = response.results.add()
                _say(one.model_spec, servable.name, name, servable.version)
                if method == inference.CLASSIFY:
                    _write_classes(one.classification_result, result)
                else:
                    _write_values(one.regression_result, result)
        return response

    def _examples(self, servable: Servable, request: Any) -> list[bytes]:
        """The tf.Examples of a request, counted."""
        rows = inference.examples_of(request.input)
        self._metrics.examples(servable.name, len(rows))
        return rows

    async def _metadata(self, request: Any) -> Any:
        if not request.HasField("model_spec"):
            raise ServingError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
        if not request.metadata_field:
            raise ServingError(
                Code.INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != _METADATA_FIELD:
                raise ServingError(Code.INVALID_ARGUMENT, f"Metadata field {field} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        with self._manager.pinned(*_asked(request.model_spec)) as servable:
            for name, signature in servable.model.meta_graph.items():
                signatures.signature_def[name].CopyFrom(signature)
            response.model_spec.name = servable.name
            response.model_spec.version.value = servable.version
        response.metadata[_METADATA_FIELD].Pack(signatures)
        return response


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    """Answers about models, and changes which are served."""

    def __init__(self, manager: Manager, guard: _Guard) -> None:
        self._manager = manager
        self._guard = guard

    async def GetModelStatus(self, request: Any, context: _Context) -> Any:
        return await self._guard.call("GetModelStatus", request.model_spec.name, context, self._status(request))

    async def HandleReloadConfigRequest(self, request: Any, context: _Context) -> Any:
        return await self._guard.call("HandleReloadConfigRequest", "", context, self._reload(request))

    async def _status(self, request: Any) -> Any:
        if not request.HasField("model_spec"):
            raise ServingError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
        response = get_model_status_pb2.GetModelStatusResponse()
        states = get_model_status_pb2.ModelVersionStatus.State
        for status in self._manager.status(*_asked(request.model_spec)):
            one = response.model_version_status.add(version=status.version, state=states.Value(status.state))
            one.status.error_code = int(status.code)
            one.status.error_message = status.message
        return response

    async def _reload(self, request: Any) -> Any:
        await asyncio.to_thread(self._manager.reload_config, request.config)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.error_code = 0
        return response


def _asked(spec: model_pb2.ModelSpec) -> tuple[str, int | None, str | None]:
    """Model, version and label of a request."""
    choice = spec.WhichOneof("version_choice")
    return (
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def _say(spec: model_pb2.ModelSpec, name: str, signature: str, version: int) -> None:
    """Which model, signature and version it was that answered."""
    spec.name = name
    spec.signature_name = signature or inference.DEFAULT_SIGNATURE
    spec.version.value = version


def _deadline(context: _Context) -> float | None:
    left = context.time_remaining()
    return None if left is None else time.monotonic() + left


def _write_classes(result: Any, rows: Any) -> None:
    for row in rows:
        classes = result.classifications.add().classes
        for label, score in row:
            classes.add(label=label, score=score)


def _write_values(result: Any, values: Any) -> None:
    for value in values:
        result.regressions.add(value=value)
