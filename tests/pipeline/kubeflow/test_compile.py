"""Compiled specs: the same bytes each time, what the official schema takes, and what a cluster can't do is refused."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import components
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline import image
from pipeline.config import RunConfig
from pipeline.errors import UsageError
from pipeline.kubeflow import compile as compiler
from pipeline.kubeflow import container
from pipeline.kubeflow.settings import Settings, read

GOLDEN = Path(__file__).parent / "golden"
ROOT = {"kfp": "s3://bucket/runs", "vertex": "gs://bucket/runs"}
GIVEN: dict[str, dict[str, Any]] = {
    "kfp": {
        "secrets": [{"env": "AWS_SECRET_ACCESS_KEY", "secret": "s3-credentials", "key": "secretkey"}],
        "image_pull_secrets": ["registry"],
        "node_selector": {"pool": "batch"},
        "resources": {"default": {"cpu": "2", "memory": "8G"}, "Trainer": {"accelerator": "nvidia.com/gpu:1"}},
    },
    "vertex": {
        "secrets": [{"env": "HOOK", "secret": "projects/p/secrets/hook/versions/latest"}],
        "notify": "HOOK",
        "service_account": "runner@p.iam.gserviceaccount.com",
        "resources": {"default": {"cpu": "4"}, "Trainer": {"memory": "32Gi", "accelerator": "NVIDIA_TESLA_T4:1"}},
    },
}


def _settings(target: str) -> Settings:
    common = {"image": "registry.example/millrace:1", "env": {"A": "b"}, "labels": {"team": "pricing"}}
    return read(None, {**common, "retries": {"count": 1, "backoff_seconds": 10}, **GIVEN[target]})


def _config(target: str, **changes: Any) -> RunConfig:
    return dataclasses.replace(RunConfig("taxi_tips", root=ROOT[target]), **changes)


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Target -> what is compiled for it, with the fingerprint of the code in place of itself."""
    found = {target: compiler.compiled(_config(target), _settings(target), target) for target in compiler.TARGETS}
    return {target: text.replace(image.fingerprint(), "CODE") for target, text in found.items()}


@pytest.mark.parametrize("target", compiler.TARGETS)
def test_the_taxi_task_is_compiled_as_reviewed(texts: dict[str, str], target: str) -> None:
    """A spec that changes is looked at: `python -m tests.pipeline.kubeflow.golden` is not there on purpose.

    Where the change is meant, write the text that is received here to the golden file, and read the difference.
    """
    file = GOLDEN / f"taxi_tips.{'yaml' if target == 'kfp' else 'json'}"
    assert texts[target] == file.read_text("utf-8")


@pytest.mark.parametrize("target", compiler.TARGETS)
def test_the_same_input_gives_the_same_bytes(texts: dict[str, str], target: str) -> None:
    again = compiler.compiled(_config(target), _settings(target), target)
    assert again.replace(image.fingerprint(), "CODE") == texts[target]


def _spec(texts: dict[str, str], target: str) -> pb.PipelineSpec:
    """As the official message, without a field that it does not know."""
    if target == "kfp":
        return json_format.ParseDict(next(yaml.safe_load_all(texts["kfp"])), pb.PipelineSpec())
    job = json.loads(texts["vertex"])
    job.pop("serviceAccount")
    return json_format.ParseDict(json_format.MessageToDict(json_format.ParseDict(job, pb.PipelineJob()).pipeline_spec), pb.PipelineSpec())  # fmt: skip


@pytest.mark.parametrize("target", compiler.TARGETS)
def test_the_official_schema_knows_every_field(texts: dict[str, str], target: str) -> None:
    spec = _spec(texts, target)
    assert spec.schema_version == "2.1.0"
    assert spec.default_pipeline_root == ROOT[target]
    deployment = json_format.ParseDict(json_format.MessageToDict(spec.deployment_spec), pb.PipelineDeploymentConfig())
    labels = {component.executor_label for component in spec.components.values() if component.executor_label}
    assert set(deployment.executors) == labels
    for executor in deployment.executors.values():
        assert executor.container.image == "registry.example/millrace:1"
        assert list(executor.container.command) == ["python", "-m", "pipeline.kubeflow.container"]


def test_vertex_s_own_message_takes_the_job(texts: dict[str, str]) -> None:
    from google.cloud import aiplatform_v1

    job = json.loads(texts["vertex"])
    taken = aiplatform_v1.PipelineJob.from_json(json.dumps(job), ignore_unknown_fields=False)
    assert taken.display_name == "taxi-tips"
    assert taken.labels["team"] == "pricing"
    assert taken.service_account == "runner@p.iam.gserviceaccount.com"
    assert taken.runtime_config.parameter_values["steps"] == 1000


def test_kfp_s_own_loader_takes_the_spec(texts: dict[str, str]) -> None:
    loaded = components.load_component_from_text(texts["kfp"])
    assert loaded.component_spec.name == "taxi-tips"
    assert {name: spec.default for name, spec in loaded.component_spec.inputs.items()} == {
        **{"data": "", "span": -1, "window": 1, "steps": 1000, "overrides": [], "cache": True},
        **{"serving_log": "", "force": ""},
    }


def test_every_artifact_that_is_read_is_given_by_a_step_that_comes_before(texts: dict[str, str]) -> None:
    spec = _spec(texts, "kfp")
    dag = spec.components["comp-pipeline"].dag.tasks
    read_ = 0
    for name, task in dag.items():
        for key, source in task.inputs.artifacts.items():
            producer = source.task_output_artifact.producer_task
            outputs = spec.components[dag[producer].component_ref.name].output_definitions.artifacts
            assert source.task_output_artifact.output_artifact_key in outputs, (name, key)
            assert key in spec.components[task.component_ref.name].input_definitions.artifacts
            assert producer in task.dependent_tasks
            read_ += 1
    assert read_ > 20
    assert list(dag["trainer"].dependent_tasks) == ["example-gen", "transform", "data-gate"]
    assert "evaluator" in dag["pusher"].dependent_tasks


def test_resources_retries_and_secrets_are_where_the_backend_looks(texts: dict[str, str]) -> None:
    spec = _spec(texts, "kfp")
    deployment = json_format.ParseDict(json_format.MessageToDict(spec.deployment_spec), pb.PipelineDeploymentConfig())
    trainer = deployment.executors["exec-trainer"].container.resources
    assert (trainer.cpu_limit, trainer.memory_limit, trainer.accelerator.resource_type) == (2.0, 8.0, "nvidia.com/gpu")
    assert trainer.resource_memory_limit == "8G"
    dag = spec.components["comp-pipeline"].dag.tasks
    assert dag["trainer"].retry_policy.max_retry_count == 1
    assert not dag["data-gate"].HasField("retry_policy")
    assert not dag["pusher"].HasField("retry_policy")
    platform = list(yaml.safe_load_all(texts["kfp"]))[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(platform) == set(deployment.executors)
    (secret,) = platform["exec-trainer"]["secretAsEnv"]
    assert secret["keyToEnv"] == [{"secretKey": "secretkey", "envVar": "AWS_SECRET_ACCESS_KEY"}]
    assert platform["exec-trainer"]["nodeSelector"] == {"labels": {"pool": "batch"}}
    finish = spec.root.dag.tasks["finish"]
    assert finish.trigger_policy.strategy == pb.PipelineTaskSpec.TriggerPolicy.ALL_UPSTREAM_TASKS_COMPLETED


def test_predict_adds_a_step_and_a_parameter() -> None:
    text = compiler.compiled(_config("kfp", predict="s3://bucket/rows.csv"), _settings("kfp"), "kfp")
    spec = next(yaml.safe_load_all(text))
    assert spec["root"]["inputDefinitions"]["parameters"]["predict"]["defaultValue"] == "s3://bucket/rows.csv"
    assert "bulk-inferrer" in spec["components"]["comp-pipeline"]["dag"]["tasks"]


def test_settings_of_the_task_are_compiled_in_and_a_job_s_come_to_them() -> None:
    overrides = ("training.steps=60", "training.batch_size=50")
    spec = next(yaml.safe_load_all(compiler.compiled(_config("kfp", overrides=overrides), _settings("kfp"), "kfp")))
    args = spec["deploymentSpec"]["executors"]["exec-trainer"]["container"]["args"]
    settings = json.loads(args[args.index("--config") + 1])
    assert settings == {"task": "taxi_tips", "root": "s3://bucket/runs", "overrides": list(overrides)}
    defaults = spec["root"]["inputDefinitions"]["parameters"]
    assert (defaults["steps"]["defaultValue"], defaults["overrides"]["defaultValue"]) == (60, [])
    values = {name: parameter["defaultValue"] for name, parameter in defaults.items()}
    assert container.configured(settings, {**values, "overrides": ["model.dropout=0.2"]}).overrides == (
        *overrides,
        "model.dropout=0.2",
    )


def test_where_beam_jobs_run_is_compiled_in() -> None:
    beam = {"beam_runner": "flink", "beam_options": ("job_endpoint=jobs:8099",), "beam_nodes": ("Evaluator=local",)}
    spec = next(yaml.safe_load_all(compiler.compiled(_config("kfp", **beam), _settings("kfp"), "kfp")))
    args = spec["deploymentSpec"]["executors"]["exec-transform"]["container"]["args"]
    settings = json.loads(args[args.index("--config") + 1])
    values = {
        name: parameter["defaultValue"] for name, parameter in spec["root"]["inputDefinitions"]["parameters"].items()
    }
    config = container.configured(settings, values)
    assert {name: getattr(config, name) for name in beam} == beam


@pytest.mark.parametrize(
    ("target", "changes", "expected"),
    [
        ("kfp", {"root": "runs"}, "--root runs: a container of kfp can't reach it"),
        ("vertex", {"root": "s3://bucket/x"}, "Expected gs://BUCKET/PREFIX"),
        ("kfp", {"data": "trips.csv"}, "--data trips.csv: a path of this machine"),
        ("kfp", {"serving_log": "/log"}, "--serving-log /log"),
        ("kfp", {"predict": "rows.csv"}, "--predict rows.csv"),
        ("kfp", {"predict": "s3://b/rows.csv", "predict_out": "out"}, "--predict-out out"),
        ("kfp", {"beam_runner": "flink"}, "a container has no cluster beside it. Expected --beam job_endpoint="),
        ("kfp", {"beam_options": ("s3_endpont_url=x",)}, "Beam has no such option. Did you mean 's3_endpoint_url'?"),
        (
            "kfp",
            {"beam_runner": "flink", "beam_options": ("job_endpoint=127.0.0.1:8099",)},
            "--beam job_endpoint=127.0.0.1:8099: in a container this is the container itself",
        ),
        ("vertex", {"beam_runner": "dataflow", "beam_options": ("project=p",)}, "region: dataflow needs it"),
        ("kfp", {"metadata_service": "nonsense"}, "--metadata: expected HOST:PORT. Received: nonsense"),
    ],
)
def test_what_a_cluster_can_t_reach_is_refused(target: str, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError) as refused:
        compiler.check(_config(target, **changes), target)
    assert expected in str(refused.value)


def test_every_node_of_a_job_may_have_its_workers_elsewhere() -> None:
    flink = {"beam_runner": "flink", "beam_options": ("job_endpoint=jobs:8099",)}
    compiler.check(_config("kfp", predict="s3://b/rows.csv", **flink), "kfp")


def test_a_node_that_the_pipeline_has_not(texts: dict[str, str]) -> None:
    settings = read(None, {"image": "a/b:1", "resources": {"Tuner": {"cpu": "1"}}})
    with pytest.raises(UsageError, match=r"no node 'Tuner'\. Did you mean 'Trainer'"):
        compiler.compiled(_config("kfp"), settings, "kfp")
