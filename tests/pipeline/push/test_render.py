"""The files for other servers: what they say, and that those servers' own parsers take them."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from pipeline.errors import UsageError
from pipeline.push.render import Compose, KServe, render_compose, render_kserve
from pipeline.push.settings import ObjectStore, Push, Vertex
from pipeline.task import Task


@pytest.fixture
def compose(tiny: Task) -> dict[str, str]:
    return render_compose(tiny, Compose(Path("/srv/my runs/tiny/serving/tiny"), rest_port=9001, host="0.0.0.0"))


def test_compose_runs_tf_serving_on_the_folder(compose: dict[str, str], tiny: Task) -> None:
    made = yaml.safe_load(compose["compose.yaml"])
    (service,) = made["services"].values()
    assert service["image"] == "tensorflow/serving:2.19.1"
    assert service["ports"] == ["0.0.0.0:8500:8500", "0.0.0.0:9001:8501"]
    assert service["entrypoint"] == ["tensorflow_model_server"]
    assert "--model_config_file=/etc/serving/models.config" in service["command"]
    assert "--monitoring_config_file=/etc/serving/monitoring.config" in service["command"]
    folder, *configs = service["volumes"]
    assert folder == {
        **{"type": "bind", "source": "/srv/my runs/tiny/serving/tiny", "target": f"/models/{tiny.name}"},
        "read_only": True,
    }
    assert {mount["source"].removeprefix("./") for mount in configs} == set(compose) - {"compose.yaml"}
    assert all(mount["read_only"] for mount in configs)
    assert service["read_only"] is True


def test_the_model_config_is_what_tf_serving_reads(compose: dict[str, str], tiny: Task) -> None:
    parsed = text_format.Parse(compose["models.config"], model_server_config_pb2.ModelServerConfig())
    (model,) = parsed.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == (tiny.name, f"/models/{tiny.name}", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_the_metrics_are_where_prometheus_looks(compose: dict[str, str]) -> None:
    lines = [line.strip() for line in compose["monitoring.config"].splitlines() if not line.startswith("#")]
    assert lines == ["prometheus_config {", "enable: true", 'path: "/monitoring/prometheus/metrics"', "}"]


@pytest.mark.parametrize("ports", [{"rest_port": 0}, {"grpc_port": 70000}, {"rest_port": 8500}])
def test_ports_that_can_not_be(tiny: Task, ports: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"expected two ports in \[1, 65535\]. Received: rest="):
        render_compose(tiny, Compose(Path("/srv"), **ports))  # type: ignore[arg-type]


def kserve(task: Task, **settings: Any) -> Any:
    return yaml.safe_load(render_kserve(task, KServe(**settings)))


def test_an_inference_service(tiny: Task) -> None:
    asked = dataclasses.replace(tiny, name="taxi_tips", question='Is "yes: {no}" # a question?')
    made = kserve(asked, storage="s3://models/taxi_tips", version="7", cpu="500m", service_account="reader")
    assert (made["apiVersion"], made["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert made["metadata"]["name"] == "taxi-tips", "Kubernetes takes no underscore"
    assert made["metadata"]["annotations"] == {
        **{"millrace/task": "taxi_tips", "millrace/version": "7"},
        "millrace/question": 'Is "yes: {no}" # a question?',
    }
    predictor = made["spec"]["predictor"]
    assert predictor["annotations"] == {"millrace/version": "7"}
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 3)
    assert predictor["serviceAccountName"] == "reader"
    model = predictor["model"]
    assert model["modelFormat"] == {"name": "tensorflow"}
    assert model["runtime"] == "kserve-tensorflow-serving"
    assert model["storageUri"] == "s3://models/taxi_tips"
    assert model["resources"] == {key: {"cpu": "500m", "memory": "2Gi"} for key in ("requests", "limits")}


@pytest.mark.parametrize(
    ("target", "storage"),
    [
        (ObjectStore("s3://models/all"), "s3://models/all/tiny"),
        (Vertex("taxis", "europe-west4", "gs://staging"), "gs://staging/tiny"),
    ],
)
def test_the_bucket_is_that_of_the_task(tiny: Task, target: Any, storage: str) -> None:
    pushed = dataclasses.replace(tiny, push=Push(targets=(target,)))
    assert kserve(pushed)["spec"]["predictor"]["model"]["storageUri"] == storage
    assert "annotations" not in kserve(pushed)["spec"]["predictor"], "without a version there is none to name"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "tiny is pushed to none. Next: --storage s3://bucket/folder"),
        ({"storage": "s3://a", "replicas": (3, 2)}, r"replicas=\(3, 2\)"),
        ({"storage": "s3://a", "replicas": (0, 0)}, r"replicas=\(0, 0\)"),
        ({"storage": "s3://a", "cpu": "much"}, "cpu: expected a quantity such as 500m or 2Gi. Received: much"),
        ({"storage": "s3://a", "memory": "2 GB"}, "memory: expected a quantity"),
        ({"storage": "/srv"}, "storage: expected s3:// or gs://"),
    ],
)
def test_what_kserve_would_not_take(tiny: Task, settings: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        kserve(tiny, **settings)
