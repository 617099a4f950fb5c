import asyncio
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
import trustme
from google.protobuf.wrappers_pb2 import Int32Value, StringValue
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving import grpc_server
from serving.config_file import parse
from serving.manager import Manager
from serving.metrics import Metrics
from serving.settings import Limits, ModelConfig, Settings, VersionPolicy


class Grpc:
    """A server in a thread."""

    def __init__(self, settings):
        self.metrics = Metrics()
        self.manager = Manager(settings, self.metrics)
        self.manager.start()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._start(settings), self.loop).result(20)

    async def _start(self, settings):
        self.server = grpc_server.build(self.manager, settings, self.metrics)
        port = grpc_server.listen(self.server, settings)
        await self.server.start()
        return port

    def stop(self):
        asyncio.run_coroutine_threadsafe(self.server.stop(5), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.manager.stop()


@pytest.fixture(scope="module")
def serve():
    """A function: settings to a server."""
    servers = []

    def run(half_plus, **settings):
        models = (ModelConfig("half", str(half_plus), VersionPolicy("all"), {"stable": 1}),)
        server = Grpc(Settings(models=models, grpc_port=0, **settings))
        servers.append(server)
        return server

    yield run
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def server(serve, half_plus):
    return serve(half_plus, limits=Limits(body_mb=1))


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield model_service_pb2_grpc.ModelServiceStub(channel)


def ask(x=(2.0, 4.0), signature="", outputs=(), **spec):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = spec.get("name", "half"), signature
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array(x, np.float32)))
    return request


def refused(call, request, **how):
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=20, **how)
    return raised.value.code().name, raised.value.details()


def examples(message, *values):
    for value in values:
        message.input.example_list.examples.add().features.feature["x"].float_list.value.append(value)
    return message


def test_predict(stub):
    answer = stub.Predict(ask(), 20)
    assert tf.make_ndarray(answer.outputs["y"]).tolist() == [4.0, 5.0]
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half", 3, "serving_default")
    assert stub.Predict(ask(version=1), 20).outputs["y"].float_val == [2.0, 3.0]
    assert stub.Predict(ask(label="stable"), 20).model_spec.version.value == 1


def test_the_output_filter(stub):
    assert set(stub.Predict(ask(signature="pair"), 20).outputs) == {"y", "names"}
    assert stub.Predict(ask(signature="pair", outputs=["names"]), 20).outputs["names"].string_val == [b"a", b"b"]
    assert refused(stub.Predict, ask(outputs=["z"])) == (
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
    )
    assert refused(stub.Predict, ask(outputs=["y", "y"])) == (
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: y",
    )


@pytest.mark.parametrize(
    "request_, code, message",
    [
        (ask(name="no"), "NOT_FOUND", "Servable not found for request: Latest(no)"),
        (ask(version=9), "NOT_FOUND", "Servable not found for request: Specific(half, 9)"),
        (ask(label="x"), "INVALID_ARGUMENT", "Unrecognized servable version label: x"),
        (ask(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (ask(signature="no"), "FAILED_PRECONDITION", 'Serving signature key "no" not found.'),
    ],
)
def test_what_is_not_there(stub, request_, code, message):
    assert refused(stub.Predict, request_) == (code, message)


def test_wrong_inputs(stub):
    extra = ask()
    extra.inputs["z"].CopyFrom(extra.inputs["x"])
    code, message = refused(stub.Predict, extra)
    assert code == "INVALID_ARGUMENT"
    assert message == (
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}."
    )
    text = ask()
    text.inputs["x"].CopyFrom(tf.make_tensor_proto(["a"]))
    assert refused(stub.Predict, text) == (
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but string is provided",
    )
    whole = ask()
    whole.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([2], np.int64)))
    assert refused(stub.Predict, whole) == (
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but int64 is provided",
    )
    short = ask()
    short.inputs["x"].tensor_shape.dim[0].size = 3
    code, message = refused(stub.Predict, short)
    assert code == "INVALID_ARGUMENT" and message.startswith("tensor parsing error: x: expected 3 values")
    huge = ask()
    huge.inputs["x"].ClearField("tensor_content")
    huge.inputs["x"].tensor_shape.dim[0].size = 1 << 40
    assert refused(stub.Predict, huge)[0] == "INVALID_ARGUMENT"
    code, message = refused(stub.Predict, ask([13.0], "picky"))
    assert code == "INVALID_ARGUMENT" and "13 is refused" in message
    assert stub.Predict(ask(), 20).outputs["y"].float_val == [4.0, 5.0]


def test_a_message_beyond_the_limit(stub):
    assert refused(stub.Predict, ask(np.zeros(300_000)))[0] == "RESOURCE_EXHAUSTED"


def test_a_deadline(stub):
    with pytest.raises(grpc.RpcError) as raised:
        stub.Predict(ask([300_000.0], signature="slow"), timeout=0.02)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_classify_and_regress(stub, server):
    request = examples(classification_pb2.ClassificationRequest(), 2.0, 4.0)
    request.model_spec.name, request.model_spec.signature_name = "half", "classify"
    answer = stub.Classify(request, 20)
    classes = [[(one.label, one.score) for one in row.classes] for row in answer.result.classifications]
    assert classes == [[("half", 4.0)], [("half", 5.0)]] and answer.model_spec.version.value == 3
    assert ':tensorflow:serving:request_example_counts_sum{model="half"} 2.0' in server.metrics.text().decode()
    request = examples(regression_pb2.RegressionRequest(), 2.0)
    request.model_spec.name, request.model_spec.signature_name = "half", "regress"
    assert [one.value for one in stub.Regress(request, 20).result.regressions] == [4.0]
    request.model_spec.signature_name = "serving_default"
    code, message = refused(stub.Regress, request)
    assert code == "INVALID_ARGUMENT" and message.startswith("No regression inputs found in SignatureDef: ")
    request.model_spec.signature_name = "no"
    assert refused(stub.Regress, request) == ("INVALID_ARGUMENT", "No signature was found with the name: no")
    request.ClearField("input")
    request.model_spec.signature_name = "regress"
    assert refused(stub.Regress, request) == ("INVALID_ARGUMENT", "Input is empty.")


def test_the_context_of_examples(stub):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "regress"
    joint = request.input.example_list_with_context
    joint.context.features.feature["x"].float_list.value.append(6.0)
    joint.examples.add()
    assert [one.value for one in stub.Regress(request, 20).result.regressions] == [6.0]


def test_multi_inference(stub):
    request = examples(inference_pb2.MultiInferenceRequest(), 2.0)
    for name in ("classify", "regress"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{name}")
        task.model_spec.name, task.model_spec.signature_name = "half", name
    first, second = stub.MultiInference(request, 20).results
    assert first.classification_result.classifications[0].classes[0].score == 4.0
    assert second.regression_result.regressions[0].value == 4.0 and second.model_spec.signature_name == "regress"
    request.tasks[1].model_spec.signature_name = "classify"
    assert refused(stub.MultiInference, request) == (
        "INVALID_ARGUMENT",
        "Duplicate evaluation of signature: classify",
    )
    request.tasks[1].model_spec.name = "other"
    assert refused(stub.MultiInference, request)[1].startswith("All ModelSpecs in a MultiInferenceRequest must")


def test_metadata(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    assert refused(stub.GetModelMetadata, request) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    request.model_spec.name = "half"
    answer = stub.GetModelMetadata(request, 20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures) and answer.model_spec.version.value == 3
    assert signatures.signature_def["serving_default"].inputs["x"].name == "x:0"
    request.metadata_field[0] = "other"
    assert refused(stub.GetModelMetadata, request)[1] == "Metadata field other is not supported"


def test_status_and_health(models, server):
    request = get_model_status_pb2.GetModelStatusRequest()
    assert refused(models.GetModelStatus, request) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    request.model_spec.name = "half"
    versions = models.GetModelStatus(request, 20).model_version_status
    assert [(one.version, one.state, one.status.error_code) for one in versions] == [(3, 30, 0), (2, 30, 0), (1, 30, 0)]
    request.model_spec.version.value = 7
    assert refused(models.GetModelStatus, request) == ("NOT_FOUND", "Could not find version 7 of model half")
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check", StringValue.SerializeToString, Int32Value.FromString
        )
        assert [check(StringValue(value=name)).value for name in ("", "half")] == [1, 1]
        assert refused(check, StringValue(value="no"))[0] == "NOT_FOUND"


def test_reload_config(serve, half_plus):
    server = serve(half_plus)
    request = model_management_pb2.ReloadConfigRequest()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        assert refused(stub.HandleReloadConfigRequest, request)[0] == "INVALID_ARGUMENT"
        request.config.CopyFrom(
            parse(
                f'model_config_list {{ config {{ name: "b" base_path: "{half_plus}" model_platform: "tensorflow" }} }}',
                "",
            )
        )
        assert stub.HandleReloadConfigRequest(request, 20).status.error_code == 0
    assert server.manager.models() == ["b"] and server.manager.ready()


def test_a_token(serve, half_plus):
    server = serve(half_plus, token="s3cret")
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        for metadata in ((), (("authorization", "Bearer wrong"),), (("authorization", "s3cret"),)):
            code, message = refused(predict, ask(), metadata=metadata)
            assert code == "UNAUTHENTICATED" and "s3cret" not in message
        right = (("authorization", "Bearer s3cret"),)
        assert predict(ask(), timeout=20, metadata=right).outputs["y"].float_val == [4.0, 5.0]
    assert "s3cret" not in repr(Settings(token="s3cret"))


def test_tls(serve, half_plus, tmp_path):
    authority = trustme.CA()
    cert = authority.issue_cert("127.0.0.1")
    for blob, name in ((cert.cert_chain_pems[0], "cert.pem"), (cert.private_key_pem, "key.pem")):
        blob.write_to_path(tmp_path / name)
    server = serve(half_plus, tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    with grpc.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(ask(), 20).outputs["y"].float_val == [4.0, 5.0]


def test_requests_are_counted(stub, server):
    stub.Predict(ask(), 20)
    refused(stub.Predict, ask(name="nobody-knows-it"))
    text = server.metrics.text().decode()
    assert ':tensorflow:serving:request_count{model_name="half",status="OK"} ' in text
    assert ':tensorflow:serving:request_count{model_name="unknown",status="NOT_FOUND"} ' in text
    assert "nobody-knows-it" not in text and "_created" not in text
    assert ':request_latency_count{API="Predict",entrypoint="GRPC",model_name="half"} ' in text
    assert "# TYPE :tensorflow:serving:request_count counter" in text
