"""The manifests: what they say, and that each official schema takes them without dropping a word."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import yaml

from pipeline import image, tasks
from pipeline.errors import UsageError
from pipeline.kubeflow.manifests.render import render
from pipeline.kubeflow.manifests.settings import Machines, Settings

CODE = "0123456789abcdef"
MULTI = Settings(kind="tfjob", image="registry/millrace:1.0", root="s3://bucket/runs/", workers=3)
_COUNT = {"type": "integer", "minimum": 1}
TFJOB = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "kubeflow.org/v1"},
        "kind": {"const": "TFJob"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["tfReplicaSpecs"],
            "properties": {
                "runPolicy": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "activeDeadlineSeconds": _COUNT,
                        "backoffLimit": _COUNT,
                        "cleanPodPolicy": {"enum": ["All", "None", "Running"]},
                        "managedBy": {"type": "string"},
                        "schedulingPolicy": {"type": "object"},
                        "suspend": {"type": "boolean"},
                        "ttlSecondsAfterFinished": _COUNT,
                    },
                },
                "successPolicy": {"enum": ["", "AllWorkers"]},
                "enableDynamicWorker": {"type": "boolean"},
                "tfReplicaSpecs": {
                    "type": "object",
                    "propertyNames": {"enum": ["Chief", "Worker", "PS", "Evaluator", "Master"]},
                    "additionalProperties": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["template"],
                        "properties": {
                            "replicas": _COUNT,
                            "restartPolicy": {"enum": ["Always", "ExitCode", "Never", "OnFailure"]},
                            "template": {"type": "object"},
                        },
                    },
                },
            },
        },
    },
}
"""The fields of TFJob v1 around its pod templates, as Training Operator 1.9 defines them."""


def rendered(settings: Settings = MULTI, strategy: str = "multi_worker", *overrides: str) -> list[Any]:
    task = tasks.load("taxi_tips", [f"training.strategy={strategy}", *overrides])
    text = render(task, settings, CODE)
    return [json.loads(text)] if settings.kind == "customjob" else list(yaml.safe_load_all(text))


def unchanged(model: Any, document: Any) -> None:
    """A model of a Kubernetes SDK reads a document, and has a place for each word of it; it may add defaults."""
    assert_within(document, model.from_dict(document).to_dict())


def assert_within(document: Any, read: Any, place: str = "") -> None:
    if isinstance(document, dict):
        assert isinstance(read, dict), place
        for key, value in document.items():
            assert key in read, f"{place}.{key} is not known"
            assert_within(value, read[key], f"{place}.{key}")
    elif isinstance(document, list):
        assert len(document) == len(read), place
        for number, (value, other) in enumerate(zip(document, read, strict=True)):
            assert_within(value, other, f"{place}[{number}]")
    else:
        assert document == read, place


def container(template: Any) -> Any:
    (found,) = template["spec"]["containers"]
    return found


def test_a_tfjob_has_a_chief_among_those_that_compute() -> None:
    (job,) = rendered(replace(MULTI, namespace="team", service_account="trainer"))
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    assert job["metadata"]["name"] == "taxi-tips-training"
    assert job["metadata"]["namespace"] == "team"
    assert job["metadata"]["labels"] == {
        "app.kubernetes.io/name": "millrace",
        "app.kubernetes.io/component": "training",
        "app.kubernetes.io/version": image.version(),
        "millrace/task": "taxi_tips",
        "millrace/code": CODE,
    }
    assert job["spec"]["runPolicy"] == {"cleanPodPolicy": "Running", "backoffLimit": 3}
    replicas = job["spec"]["tfReplicaSpecs"]
    assert {kind: (spec["replicas"], spec["restartPolicy"]) for kind, spec in replicas.items()} == {
        "Chief": (1, "ExitCode"),
        "Worker": (2, "ExitCode"),
    }
    for spec in replicas.values():
        pod, own = spec["template"]["spec"], container(spec["template"])
        assert own["name"] == "tensorflow"  # the operator looks for this one
        assert own["image"] == "registry/millrace:1.0"
        assert own["command"] == ["python", "-m", "pipeline.kubeflow.manifests.member"]
        assert own["args"] == [
            *("--task", "taxi_tips", "--root", "s3://bucket/runs", "--strategy", "multi_worker"),
            *("--code", CODE, "--attempts", "3", "--"),
        ]
        assert own["ports"] == [{"name": "tfjob-port", "containerPort": 2222}]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert own["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert pod["serviceAccountName"] == "trainer"
        assert {"name": "scratch", "emptyDir": {}} in pod["volumes"]


def test_a_tfjob_of_servers_has_all_three_kinds_and_only_those_that_compute_have_accelerators() -> None:
    machines = Machines(cpu="4", memory="16Gi", accelerator=("nvidia.com/gpu", 2))
    (job,) = rendered(replace(MULTI, servers=2, machines=machines), "parameter_server")
    replicas = job["spec"]["tfReplicaSpecs"]
    assert {kind: spec["replicas"] for kind, spec in replicas.items()} == {"Chief": 1, "Worker": 3, "PS": 2}
    size = {"cpu": "4", "memory": "16Gi"}
    wanted = {**size, "nvidia.com/gpu": "2"}
    assert container(replicas["Worker"]["template"])["resources"] == {"requests": wanted, "limits": wanted}
    assert container(replicas["PS"]["template"])["resources"] == {"requests": size, "limits": size}


def test_secrets_are_named_and_what_millrace_run_is_told_comes_last() -> None:
    settings = replace(
        MULTI,
        environment={"AWS_ENDPOINT_URL": "http://store:9000"},
        secrets={"AWS_SECRET_ACCESS_KEY": "s3-credentials/secretkey"},
        flags=("--set", "training.steps=500"),
        wait=60,
    )
    (job,) = rendered(settings)
    own = container(job["spec"]["tfReplicaSpecs"]["Worker"]["template"])
    assert own["args"][-3:] == ["--", "--set", "training.steps=500"]
    assert own["env"] == [
        {"name": "AWS_ENDPOINT_URL", "value": "http://store:9000"},
        {"name": "MILLRACE_CACHE", "value": "/scratch"},
        {"name": "TMPDIR", "value": "/scratch"},
        {"name": "MILLRACE_WAIT", "value": "60"},
        {
            "name": "AWS_SECRET_ACCESS_KEY",
            "valueFrom": {"secretKeyRef": {"name": "s3-credentials", "key": "secretkey"}},
        },
    ]


def test_a_trainjob_comes_with_the_runtime_that_it_refers_to() -> None:
    runtime, job = rendered(replace(MULTI, kind="trainjob", namespace="team"), "parameter_server")
    assert (runtime["kind"], job["kind"]) == ("TrainingRuntime", "TrainJob")
    assert job["spec"]["runtimeRef"] == {
        "apiGroup": "trainer.kubeflow.org",
        "kind": "TrainingRuntime",
        "name": runtime["metadata"]["name"],
    }
    assert runtime["metadata"]["namespace"] == job["metadata"]["namespace"] == "team"
    jobset = runtime["spec"]["template"]["spec"]
    assert jobset["successPolicy"] == {"operator": "All", "targetReplicatedJobs": ["chief"]}
    jobs = {part["name"]: part["template"] for part in jobset["replicatedJobs"]}
    assert {name: part["spec"]["parallelism"] for name, part in jobs.items()} == {"chief": 1, "worker": 3, "ps": 1}
    for part in jobs.values():
        assert part["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
        spec = part["spec"]
        assert (spec["completions"], spec["completionMode"]) == (spec["parallelism"], "Indexed")
        assert spec["template"]["spec"]["restartPolicy"] == "Never"  # which podFailurePolicy asks for
        ended = spec["podFailurePolicy"]["rules"][1]
        assert (ended["action"], ended["onExitCodes"]["values"]) == ("FailJob", [1, 2, 10, 11, 12])
        own = container(spec["template"])
        assert own["name"] == "node"
        assert own["args"][:2] == ["--cluster", "chief=1,worker=3,ps=1"]
        paths = {v["name"]: v["valueFrom"]["fieldRef"]["fieldPath"] for v in own["env"] if "valueFrom" in v}
        assert paths == {
            "MILLRACE_JOB": "metadata.labels['jobset.sigs.k8s.io/jobset-name']",
            "MILLRACE_ROLE": "metadata.labels['jobset.sigs.k8s.io/replicatedjob-name']",
        }


def test_a_customjob_has_a_pool_for_each_kind_in_vertex_order() -> None:
    settings = replace(
        MULTI,
        kind="customjob",
        root="gs://bucket/runs",
        servers=2,
        service_account="trainer@project.iam.gserviceaccount.com",
        machines=Machines(machine="n1-standard-8", accelerator=("NVIDIA_TESLA_T4", 1)),
        secrets={"WEBHOOK": "projects/p/secrets/webhook/versions/latest"},
    )
    (job,) = rendered(settings, "parameter_server")
    assert job["labels"]["millrace-task"] == "taxi_tips"
    chief, workers, servers = job["jobSpec"]["workerPoolSpecs"]
    assert [pool["replicaCount"] for pool in (chief, workers, servers)] == [1, 3, 2]
    assert chief["machineSpec"] == workers["machineSpec"]
    assert workers["machineSpec"] == {
        "machineType": "n1-standard-8",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    }
    assert servers["machineSpec"] == {"machineType": "n1-standard-8"}
    env = {variable["name"]: variable["value"] for variable in chief["containerSpec"]["env"]}
    assert json.loads(env["MILLRACE_SECRETS"]) == {"WEBHOOK": "projects/p/secrets/webhook/versions/latest"}
    assert job["jobSpec"]["serviceAccount"] == "trainer@project.iam.gserviceaccount.com"


def test_no_yaml_has_anchors_and_the_same_input_gives_the_same_bytes() -> None:
    task = tasks.load("taxi_tips", ["training.strategy=multi_worker"])
    for kind in ("tfjob", "trainjob"):
        text = render(task, replace(MULTI, kind=kind), CODE)
        assert "&id" not in text
        assert text == render(task, replace(MULTI, kind=kind), CODE)


def test_the_image_must_have_this_code() -> None:
    task = tasks.load("taxi_tips", ["training.strategy=multi_worker"])
    assert f'"{image.fingerprint()}"' in render(task, replace(MULTI, kind="customjob", root="gs://bucket/runs"))


# The official schemas.


def _tfjob() -> None:
    from kubeflow_trainer_api import models

    (job,) = rendered(replace(MULTI, namespace="team", secrets={"A": "b/c"}), "parameter_server")
    jsonschema.validate(job, TFJOB)
    for spec in job["spec"]["tfReplicaSpecs"].values():
        unchanged(models.IoK8sApiCoreV1PodTemplateSpec, spec["template"])


def _trainjob() -> None:
    from kubeflow_trainer_api import models

    machines = Machines(cpu="4", memory="16Gi", accelerator=("nvidia.com/gpu", 2))
    settings = replace(MULTI, kind="trainjob", namespace="team", secrets={"A": "b/c"}, machines=machines)
    runtime, job = rendered(settings, "parameter_server")
    unchanged(models.TrainerV1alpha1TrainingRuntime, runtime)
    unchanged(models.TrainerV1alpha1TrainJob, job)


def _customjob() -> None:
    from google.cloud.aiplatform_v1 import types
    from google.protobuf import json_format

    machines = Machines(machine="n1-standard-8", accelerator=("NVIDIA_TESLA_T4", 1))
    (job,) = rendered(replace(MULTI, kind="customjob", root="gs://bucket/runs", machines=machines), "parameter_server")
    parsed = json_format.ParseDict(job, types.CustomJob()._pb, ignore_unknown_fields=False)
    pools = types.CustomJob.wrap(parsed).job_spec.worker_pool_specs
    assert [pool.replica_count for pool in pools] == [1, 3, 1]
    assert pools[0].machine_spec.accelerator_type == types.AcceleratorType.NVIDIA_TESLA_T4


@pytest.mark.parametrize("check", [_tfjob, _trainjob, _customjob])
def test_the_official_schema_takes_it_word_for_word(check: Callable[[], None]) -> None:
    check()


def test_the_check_against_a_schema_sees_a_word_too_many() -> None:
    from kubeflow_trainer_api import models

    _, job = rendered(replace(MULTI, kind="trainjob"))
    job["spec"]["numNodes"] = 3
    with pytest.raises(AssertionError, match=r"spec.numNodes is not known"):
        unchanged(models.TrainerV1alpha1TrainJob, job)


# What is refused.


@pytest.mark.parametrize(
    ("change", "strategy", "said"),
    [
        ({}, "auto", "strategy auto is of one process, .* Next: --strategy multi_worker"),
        ({}, "mirrored", "Expected multi_worker or parameter_server"),
        ({"kind": "tfjbo"}, "multi_worker", "--kind: no kind 'tfjbo'. Did you mean 'tfjob'"),
        ({"workers": 0}, "parameter_server", "--workers: expected at least 1. Received: --workers 0"),
        ({"workers": 1}, "multi_worker", "--workers: expected at least 2, the chief among them"),
        ({"servers": 1}, "multi_worker", "--ps: multi_worker has no servers. Next: --strategy parameter_server"),
        ({"servers": -1}, "parameter_server", "--ps: expected at least 1"),
        ({"image": ""}, "multi_worker", "--image: expected the image of this code"),
        ({"image": "https://registry/millrace"}, "multi_worker", "--image: expected registry/name:tag"),
        ({"root": "runs"}, "multi_worker", "--root: the machines share nothing but a bucket. .* Received: runs"),
        ({"kind": "customjob"}, "multi_worker", "--root: the machines of Vertex AI reach gs:// .* Received: s3://"),
        ({"name": "Train_1"}, "multi_worker", "--name: expected at most 40 of a-z"),
        ({"namespace": "a b"}, "multi_worker", "--namespace: expected a name of Kubernetes"),
        ({"attempts": 0}, "multi_worker", "--attempts: expected at least 1"),
        ({"machines": Machines(cpu="four")}, "multi_worker", "--cpu: expected a quantity such as 500m"),
        ({"machines": Machines(machine="n1-standard-4")}, "multi_worker", "--machine: is of Vertex AI"),
        ({"machines": Machines(accelerator=("gpu", 1))}, "multi_worker", r"such as nvidia.com/gpu=1. Received: gpu=1"),
        ({"environment": {"TF_CONFIG": "{}"}}, "multi_worker", "TF_CONFIG is written by the cluster"),
        ({"secrets": {"A": "hunter2"}}, "multi_worker", "--secret: A: expected secret/key"),
    ],
)
def test_what_no_cluster_could_run_is_refused_by_name(change: dict[str, Any], strategy: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        rendered(replace(MULTI, **change), strategy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"machines": Machines(accelerator=("tesla", 1))}, "such as NVIDIA_TESLA_T4=1. Received: tesla=1"),
        ({"machines": Machines(cpu="4")}, "--cpu: Vertex AI has types of machines. Next: --machine"),
        ({"namespace": "team"}, "--namespace: is of Kubernetes"),
        ({"service_account": "trainer"}, "expects name@project.iam.gserviceaccount.com"),
        ({"secrets": {"A": "secret/key"}}, "--secret: A: expected projects/P/secrets/S/versions/V"),
    ],
)
def test_what_vertex_does_not_have_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        rendered(replace(MULTI, kind="customjob", root="gs://bucket/runs", **change))


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_SECRET_ACCESS_KEY", "hunter2"), ("HF_TOKEN", "hunter2"), ("PROXY", "http://me:hunter2@proxy:80")],
)
def test_a_secret_in_clear_is_refused_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=rf"--env: {name} looks like a secret.* --secret {name}=SECRET/KEY") as caught:
        rendered(replace(MULTI, environment={name: value}))
    assert "hunter2" not in str(caught.value)


def test_a_file_with_credentials_is_named_by_its_path() -> None:
    (job,) = rendered(replace(MULTI, environment={"GOOGLE_APPLICATION_CREDENTIALS": "/var/secrets/key.json"}))
    own = container(job["spec"]["tfReplicaSpecs"]["Chief"]["template"])
    assert {"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/var/secrets/key.json"} in own["env"]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError, match="taxi_tips can't be trained as a tfjob") as caught:
        rendered(replace(MULTI, image="", root="runs", workers=0))
    assert all(flag in str(caught.value) for flag in ("--image", "--root", "--workers"))
