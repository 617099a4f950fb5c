"""The manifest of a training on several machines, as text.

    text = render(task, Settings(kind="tfjob", image="registry/millrace:1.0", root="s3://bucket/runs", workers=3))

Each container has the same command; by TF_CONFIG it knows whether it is the chief, which runs the pipeline, or helps. What
failed inside is begun again inside, so that the others wait and a gate is never asked twice; what was killed from
outside is started anew by the cluster. Either way the training goes on from its last checkpoint.
"""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from pipeline import image
from pipeline.kubeflow import secrets
from pipeline.kubeflow.manifests import pods
from pipeline.kubeflow.manifests.settings import Settings, check
from pipeline.task import Task
from pipeline.train import published

_OPERATORS_NAMES = {"chief": "Chief", "worker": "Worker", "ps": "PS"}
_TFJOB_CONTAINER = "tensorflow"
_TRAINER_CONTAINER = "node"
_MACHINE = "n1-standard-4"
_JOBSET = "jobset.sigs.k8s.io"


def render(task: Task, settings: Settings, code: str | None = None) -> str:
    """The manifest: YAML for Kubernetes, JSON for Vertex AI.

    Args:
      task: with the settings of its training.
      settings: of the machines.
      code: fingerprint of the code that the image must have; that of this code by default.

    Returns:
      One TFJob; a TrainingRuntime and the TrainJob that refers to it; or a CustomJob as Vertex AI's API takes it.

    Raises:
      UsageError: with all that is wrong.
    """
    check(task, settings)
    code = code or image.fingerprint()
    if settings.kind == "customjob":
        return json.dumps(custom_job(task, settings, code), indent=2) + "\n"
    found = [tf_job(task, settings, code)] if settings.kind == "tfjob" else train_job(task, settings, code)
    header = f"# Made by: kubeflow_runner.py manifest --task {task.name} --kind {settings.kind}\n"
    return header + yaml.dump_all(found, Dumper=_Plain, sort_keys=False, width=1000)


class _Plain(yaml.SafeDumper):
    """YAML without anchors: who edits one container edits that one."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def tf_job(task: Task, settings: Settings, code: str) -> dict[str, Any]:
    """kubeflow.org/v1 TFJob. A pod whose exit code is 128 or more, which says that it was killed, is made anew."""
    args = _args(task, settings, code)
    strategy = task.training.strategy
    replicas = {
        _OPERATORS_NAMES[kind]: {
            "replicas": count,
            "restartPolicy": "ExitCode",
            "template": {
                "metadata": {"labels": _labels(task, code)},
                "spec": pods.pod(settings, kind, args, _TFJOB_CONTAINER),
            },
        }
        for kind, count in settings.counts(strategy).items()
    }
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": _metadata(task, settings, code),
        "spec": {
            "runPolicy": {"cleanPodPolicy": "Running", "backoffLimit": settings.attempts},
            "tfReplicaSpecs": replicas,
        },
    }


def train_job(task: Task, settings: Settings, code: str) -> list[dict[str, Any]]:
    """trainer.kubeflow.org/v1alpha1: the runtime of this training, a JobSet, and the TrainJob that starts it.

    The JobSet is over when the chief is. `trainer.image`, `trainer.args` and `trainer.env` of a TrainJob reach all pods;
    `trainer.numNodes` must stay unset: it would multiply the chief.
    """
    counts = settings.counts(task.training.strategy)
    args = ["--cluster", ",".join(f"{kind}={count}" for kind, count in counts.items()), *_args(task, settings, code)]
    variables = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{_JOBSET}/{label}']"}}}
        for name, label in (("MILLRACE_JOB", "jobset-name"), ("MILLRACE_ROLE", "replicatedjob-name"))
    ]
    metadata = _metadata(task, settings, code)
    jobs = [
        {
            "name": kind,
            "replicas": 1,
            "template": {
                "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                "spec": {
                    "parallelism": count,
                    "completions": count,
                    "completionMode": "Indexed",
                    "backoffLimit": settings.attempts,
                    "podFailurePolicy": _POD_FAILURES,
                    "template": {
                        "metadata": {"labels": _labels(task, code)},
                        "spec": {
                            "restartPolicy": "Never",
                            **pods.pod(settings, kind, args, _TRAINER_CONTAINER, variables),
                        },
                    },
                },
            },
        }
        for kind, count in counts.items()
    ]
    runtime = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": metadata,
        "spec": {
            "template": {
                "spec": {
                    "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
                    "successPolicy": {"operator": "All", "targetReplicatedJobs": ["chief"]},
                    "failurePolicy": {"maxRestarts": 0},
                    "replicatedJobs": jobs,
                }
            }
        },
    }
    reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": metadata["name"]}
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": _metadata(task, settings, code),
        "spec": {"runtimeRef": reference},
    }
    return [runtime, job]


_POD_FAILURES = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": _TRAINER_CONTAINER, "operator": "In", "values": list(pods.FINAL)},
        },
    ]
}
"""What a drained node ended does not count; a final exit code ends the job at once; all else counts as an attempt."""


def custom_job(task: Task, settings: Settings, code: str) -> dict[str, Any]:
    """Vertex AI's CustomJob: pool 0 is the chief, 1 the workers, 2 the servers. `jobSpec` is what gcloud's --config takes."""
    machines = settings.machines
    variables = {**settings.environment, published.WAIT: str(settings.wait)}
    if settings.secrets:
        variables[secrets.VARIABLE] = json.dumps(dict(settings.secrets))
    container = {
        "imageUri": settings.image,
        "command": pods.COMMAND,
        "args": _args(task, settings, code),
        "env": [{"name": name, "value": value} for name, value in variables.items()],
    }

    def machine(kind: str) -> dict[str, Any]:
        found: dict[str, Any] = {"machineType": machines.machine or _MACHINE}
        if machines.accelerator and kind != "ps":
            found |= {"acceleratorType": machines.accelerator[0], "acceleratorCount": machines.accelerator[1]}
        return found

    pools = [
        {"machineSpec": machine(kind), "replicaCount": count, "containerSpec": container}
        for kind, count in settings.counts(task.training.strategy).items()
    ]
    spec: dict[str, Any] = {"workerPoolSpecs": pools}
    if settings.service_account:
        spec["serviceAccount"] = settings.service_account
    labels = {
        "millrace-task": task.name[:63],
        "millrace-code": code,
        "millrace-version": image.version().replace(".", "-").lower(),
    }
    return {"displayName": settings.named(task), "labels": labels, "jobSpec": spec}


def _args(task: Task, settings: Settings, code: str) -> Sequence[str]:
    known = ["--task", task.name, "--root", settings.root.rstrip("/"), "--strategy", task.training.strategy]
    return [*known, "--code", code, "--attempts", str(settings.attempts), "--", *settings.flags]


def _metadata(task: Task, settings: Settings, code: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": settings.named(task)}
    if settings.namespace:
        found["namespace"] = settings.namespace
    return {**found, "labels": _labels(task, code), "annotations": {"millrace/question": task.question}}


def _labels(task: Task, code: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "millrace",
        "app.kubernetes.io/component": "training",
        "app.kubernetes.io/version": image.version(),
        "millrace/task": task.name[:63],
        "millrace/code": code,
    }
