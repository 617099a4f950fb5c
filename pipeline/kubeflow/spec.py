"""Steps as a PipelineSpec of schema version 2.1.0, which both KFP's backend and Vertex AI read.

    spec = pipeline_spec(steps, config, settings, target="kfp")

Every step runs the same command on the same image, and says which node it is. Parameters of the job go to every step,
with the defaults that they were compiled with.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from google.protobuf import duration_pb2, json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline import image, tasks
from pipeline.config import RunConfig
from pipeline.kubeflow.secrets import VARIABLE
from pipeline.kubeflow.settings import Settings
from pipeline.kubeflow.steps import Step

SCHEMA_VERSION = "2.1.0"
COMMAND = ("python", "-m", "pipeline.kubeflow.container")
PIPELINE = "pipeline"
START = "start"
FINISH = "finish"
JOB = {"kfp": "{{$.pipeline_job_uuid}}", "vertex": "{{$.pipeline_job_resource_name}}"}
"""What names the job in the container, and to who waits for it."""
_GATES = ("DataGate", "Pusher")
"""Steps that end a job by their verdict: trying them again changes nothing."""
_KINDS = {"Examples": "system.Dataset", "Model": "system.Model", "PushedModel": "system.Model"}
_TYPES = {
    str: pb.ParameterType.STRING,
    int: pb.ParameterType.NUMBER_INTEGER,
    bool: pb.ParameterType.BOOLEAN,
    list: pb.ParameterType.LIST,
}
_DESCRIPTIONS = {
    "data": "File, folder or pattern in place of the task's own; empty: the task's own.",
    "span": "The newest span to read; -1: the newest there is.",
    "window": "How many spans to read, up to and with the newest.",
    "steps": "Training steps; 0: as the task says.",
    "overrides": "More settings of the task, each section.field=value.",
    "cache": "Whether results of earlier runs are reused.",
    "serving_log": "Logged requests to compare the data with; empty: none.",
    "predict": "Rows that the model answers once it is pushed.",
    "force": "Why the model is promoted though a gate on it fails; empty: it is not.",
}


def pipeline_spec(steps: Sequence[Step], config: RunConfig, settings: Settings, target: str) -> pb.PipelineSpec:
    """The spec.

    Args:
      steps: of the pipeline.
      config: of the run; its data, span and the like become defaults of parameters.
      settings: of the cluster.
      target: kfp or vertex.
    """
    spec = pb.PipelineSpec(
        pipeline_info=pb.PipelineInfo(name=name_of(config.task), description=tasks.load(config.task).question),
        sdk_version=f"millrace-{image.version()}",
        schema_version=SCHEMA_VERSION,
        default_pipeline_root=config.root,
    )
    values = parameters(config)
    _declare(spec.root.input_definitions.parameters, values, defaults=True)
    inner = spec.components[f"comp-{PIPELINE}"]
    _declare(inner.input_definitions.parameters, values)
    containers: dict[str, pb.PipelineDeploymentConfig.PipelineContainerSpec] = {}
    builder = _Builder(spec, containers, config, settings, target, tuple(values))
    builder.task(inner.dag, START, START, [], retries=0)
    _output_parameter(spec, START, "run_id")
    for step in steps:
        task = builder.task(
            inner.dag,
            task_name(step.node),
            step.node,
            ["--place", str(step.place), *(["--lookups", ",".join(step.lookups)] if step.lookups else [])],
            retries=0 if step.node in _GATES else settings.retries.count,
        )
        task.dependent_tasks.extend(task_name(node) for node in step.after)
        if not step.after:
            task.dependent_tasks.append(START)
        component = spec.components[task.component_ref.name]
        for key, (node, output) in sorted(step.inputs.items()):
            source = task.inputs.artifacts[key].task_output_artifact
            source.producer_task, source.output_artifact_key = task_name(node), output
            kinds = next(other.outputs for other in steps if other.node == node)
            _kind(component.input_definitions.artifacts[key].artifact_type, kinds[output])
        for key, kind in sorted(step.outputs.items()):
            _kind(component.output_definitions.artifacts[key].artifact_type, kind)
    outer = spec.root.dag.tasks[PIPELINE]
    outer.task_info.name = PIPELINE
    outer.component_ref.name = f"comp-{PIPELINE}"
    for name in values:
        outer.inputs.parameters[name].component_input_parameter = name
    nodes = [node for step in steps for node in (*step.lookups, step.node)]
    told = ["--nodes", ",".join(nodes), *(["--notify", settings.notify] if settings.notify else [])]
    last = builder.task(spec.root.dag, FINISH, FINISH, told, retries=0)
    last.dependent_tasks.append(PIPELINE)
    last.trigger_policy.strategy = pb.PipelineTaskSpec.TriggerPolicy.TriggerStrategy.ALL_UPSTREAM_TASKS_COMPLETED
    results = spec.components[last.component_ref.name].output_definitions
    results.artifacts["metrics"].artifact_type.schema_title = "system.Metrics"
    results.artifacts["report"].artifact_type.schema_title = "system.HTML"
    for key in ("metrics", "report"):
        results.artifacts[key].artifact_type.schema_version = "0.0.1"
    deployment = pb.PipelineDeploymentConfig()
    for name, container in sorted(containers.items()):
        deployment.executors[name].container.CopyFrom(container)
    spec.deployment_spec.update(json_format.MessageToDict(deployment))
    return spec


def parameters(config: RunConfig) -> dict[str, Any]:
    """The parameters of a job, with the defaults that it was compiled with."""
    values: dict[str, Any] = {
        "data": config.data or "",
        "span": -1 if config.span is None else config.span,
        "window": config.window,
        "steps": tasks.load(config.task, config.overrides).training.steps or 0,
        "overrides": [],
        "cache": config.cache,
        "serving_log": config.serving_log or "",
        "force": config.force or "",
    }
    return values | ({"predict": config.predict} if config.predict else {})


def platform(spec: pb.PipelineSpec, settings: Settings) -> dict[str, Any]:
    """The second document of a KFP package: what only Kubernetes knows. Empty where there is nothing to say."""
    executor: dict[str, Any] = {}
    if settings.secrets:
        executor["secretAsEnv"] = [
            {
                "secretName": secret.secret,
                "secretNameParameter": {"runtimeValue": {"constant": secret.secret}},
                "keyToEnv": [{"secretKey": secret.key or secret.env, "envVar": secret.env}],
            }
            for secret in settings.secrets
        ]
    if settings.labels:
        executor["podMetadata"] = {"labels": dict(sorted(settings.labels.items()))}
    if settings.node_selector:
        executor["nodeSelector"] = {"labels": dict(sorted(settings.node_selector.items()))}
    if settings.image_pull_secrets:
        executor["imagePullSecret"] = [
            {"secretName": name, "secretNameParameter": {"runtimeValue": {"constant": name}}}
            for name in settings.image_pull_secrets
        ]
    if not executor:
        return {}
    labels = sorted(json_format.MessageToDict(spec.deployment_spec)["executors"])
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {label: executor for label in labels}}}}}


def name_of(task: str) -> str:
    """A task's name as a pipeline's: `taxi_tips` is `taxi-tips`."""
    return task.replace("_", "-").lower()


def task_name(node: str) -> str:
    """A node's name as a step's: `DataGate` is `data-gate`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", node).lower()


class _Builder:
    """Makes tasks, each with its component and its container."""

    def __init__(
        self,
        spec: pb.PipelineSpec,
        containers: dict[str, Any],
        config: RunConfig,
        settings: Settings,
        target: str,
        names: tuple[str, ...],
    ) -> None:
        self._spec, self._containers, self._settings, self._target = spec, containers, settings, target
        self._names = names
        self._config = json.dumps(_settled(config), sort_keys=True)
        self._values = parameters(config)
        self._code = image.fingerprint()

    def task(self, dag: Any, name: str, node: str, told: Sequence[str], retries: int) -> pb.PipelineTaskSpec:
        """Adds a task to a DAG.

        Args:
          dag: of the spec.
          name: the task's.
          node: that it runs.
          told: flags for the container, beside those that all have.
          retries: after a failure.
        """
        task: pb.PipelineTaskSpec = dag.tasks[name]
        task.task_info.name = node
        task.component_ref.name = f"comp-{name}"
        task.caching_options.SetInParent()
        component = self._spec.components[f"comp-{name}"]
        component.executor_label = f"exec-{name}"
        _declare(component.input_definitions.parameters, {**self._values, "job_id": ""})
        for parameter in self._names:
            task.inputs.parameters[parameter].component_input_parameter = parameter
        task.inputs.parameters["job_id"].runtime_value.constant.string_value = JOB[self._target]
        if retries:
            policy, own = task.retry_policy, self._settings.retries
            policy.max_retry_count = retries
            policy.backoff_duration.CopyFrom(duration_pb2.Duration(seconds=own.backoff_seconds))
            policy.backoff_factor = 2.0
            policy.backoff_max_duration.CopyFrom(
                duration_pb2.Duration(seconds=own.max_seconds if self._target == "kfp" else min(own.max_seconds, 3600))
            )
        self._containers[f"exec-{name}"] = self._container(node, told)
        return task

    def _container(self, node: str, told: Sequence[str]) -> Any:
        container = pb.PipelineDeploymentConfig.PipelineContainerSpec(
            image=self._settings.image,
            command=COMMAND,
            args=[
                *("--node", node),
                *told,
                *("--config", self._config),
                *("--code", self._code),
                *("--compiled-by", image.version()),
                *("--executor-input", "{{$}}"),
            ],
        )
        env = dict(self._settings.env)
        if self._target == "vertex" and self._settings.secrets:
            env[VARIABLE] = json.dumps({s.env: s.secret for s in self._settings.secrets}, sort_keys=True)
        for name, value in sorted(env.items()):
            container.env.add(name=name, value=value)
        found = self._settings.of(node)
        if found.cpu:
            container.resources.cpu_limit = found.cores
            container.resources.resource_cpu_limit = found.cpu
        if found.memory:
            container.resources.memory_limit = found.gigabytes
            container.resources.resource_memory_limit = found.memory
        if found.accelerator:
            kind, _, count = found.accelerator.rpartition(":")
            accelerator = container.resources.accelerator
            accelerator.type, accelerator.count = kind, int(count)
            accelerator.resource_type, accelerator.resource_count = kind, count
        return container


def _settled(config: RunConfig) -> dict[str, Any]:
    """What of the configuration is no parameter of the job, and not the default."""
    # `overrides` is a parameter too, but of those that come to what was compiled.
    gone = {*parameters(config), "predict", "mirror", "only_structure"} - {"overrides"}
    defaults = {field.name: field.default for field in fields(RunConfig)}
    return {key: value for key, value in asdict(config).items() if key not in gone and value != defaults[key]}


def _declare(definitions: Any, values: Mapping[str, Any], defaults: bool = False) -> None:
    for name, value in values.items():
        definitions[name].parameter_type = _TYPES[type(value)]
        if defaults:
            definitions[name].default_value.CopyFrom(
                json_format.ParseDict(value, type(definitions[name].default_value)())
            )
            definitions[name].description = _DESCRIPTIONS[name]


def _output_parameter(spec: pb.PipelineSpec, task: str, name: str) -> None:
    spec.components[f"comp-{task}"].output_definitions.parameters[name].parameter_type = pb.ParameterType.STRING


def _kind(schema: Any, type_name: str) -> None:
    schema.schema_title = _KINDS.get(type_name, "system.Artifact")
    schema.schema_version = "0.0.1"
