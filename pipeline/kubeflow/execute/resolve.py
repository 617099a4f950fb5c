"""Gives a task its inputs: from the graph that it is in, from other tasks, or as constants."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute import artifacts, conditions, values
from pipeline.kubeflow.execute.failure import TaskFailed
from pipeline.kubeflow.execute.parameters import Parameters
from pipeline.kubeflow.execute.profiles import Profile

_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['([^']*)'\]\}\}")
_JOB = re.compile(r"\{\{\$\.(pipeline_\w+)\}\}")


@dataclass(frozen=True)
class Inputs:
    """What a task is given.

    Attributes:
      parameters: name -> value.
      artifacts: name -> artifacts as recorded.
      from_task: those of `artifacts` that come from another task, and not from the graph's own inputs.
    """

    parameters: Parameters
    artifacts: dict[str, list[pb.RuntimeArtifact]]
    from_task: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ended:
    """What became of a task, for those that wait for it.

    Attributes:
      state: done, failed, skipped, not_run or stopped.
      outputs: what it gave.
      error: why it failed.
    """

    state: str
    outputs: artifacts.Outputs = artifacts.NOTHING
    error: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """Where a task's inputs can come from.

    Attributes:
      profile: the backend that is followed.
      inputs: of the graph that the task is in.
      ended: task of the same graph -> what became of it.
      job: `pipeline_job_uuid` and the like.
      root: the root's parameters, which an old spec may name from anywhere.
    """

    profile: Profile
    inputs: Inputs
    ended: Mapping[str, Ended]
    job: Mapping[str, str]
    root: Parameters = field(default_factory=dict)


class _Null(Exception):
    """An optional parameter of the graph without a value."""


def resolve(task: pb.PipelineTaskSpec, component: pb.ComponentSpec, around: Surroundings) -> Inputs:
    """The inputs of a task.

    Raises:
      TaskFailed: one is missing, or of another type.
    """
    specs = component.input_definitions
    parameters: Parameters = {}
    constants = []
    if component.HasField("dag"):
        for name, spec in specs.parameters.items():
            if name not in task.inputs.parameters and spec.is_optional:
                parameters[name] = spec.default_value if spec.HasField("default_value") else values.value(None)
    for name, wanted in task.inputs.parameters.items():
        optional = name in specs.parameters and specs.parameters[name].is_optional
        try:
            found = _parameter(name, wanted, task, around)
        except _Null:
            if not optional:
                raise TaskFailed(f"input parameter {name!r} has no value, and is not optional") from None
            continue
        if found is None:
            if not optional and not specs.parameters[name].HasField("default_value"):
                producer = wanted.task_output_parameter
                raise TaskFailed(
                    f"input parameter {name!r}: task {producer.producer_task!r} gave no output "
                    f"{producer.output_parameter_key!r}"
                )
            continue
        if wanted.WhichOneof("kind") == "runtime_value":
            constants.append(name)
        parameters[name] = found
    for name in constants:
        parameters[name] = _interpolated(parameters[name], parameters)
    for name, wanted in task.inputs.parameters.items():
        if wanted.parameter_expression_selector and name in parameters:
            parameters[name] = conditions.select(wanted.parameter_expression_selector, parameters[name])
    found_artifacts, from_task = _artifacts(task, component, around)
    return Inputs(parameters, found_artifacts, from_task)


def checked(inputs: Inputs, component: pb.ComponentSpec, skip: frozenset[str] = frozenset()) -> Inputs:
    """The inputs, with each parameter of the type that the component declares.

    Args:
      inputs: as resolved.
      component: what they are for.
      skip: names that a loop does not fill.

    Raises:
      TaskFailed: one is missing, of another type, or not one of its literals.
    """
    parameters = dict(inputs.parameters)
    for name, spec in component.input_definitions.parameters.items():
        if name in skip:
            continue
        if name not in parameters:
            if not spec.is_optional and not spec.HasField("default_value"):
                raise TaskFailed(f"input parameter {name!r} has neither a value nor a default, and is not optional")
            continue
        if parameters[name].WhichOneof("kind") == "null_value" and spec.is_optional:
            continue
        try:
            parameters[name] = values.fitted(parameters[name], values.kind(spec))
        except ValueError as error:
            raise TaskFailed(f"input parameter {name!r}: {error}") from error
        literals = [values.plain(each) for each in spec.literals]
        if literals and values.plain(parameters[name]) not in literals:
            raise TaskFailed(
                f"input parameter {name!r}: expected one of {literals}. Received: {values.plain(parameters[name])!r}"
            )
    return Inputs(parameters, inputs.artifacts, inputs.from_task)


def _parameter(name: str, wanted: Any, task: pb.PipelineTaskSpec, around: Surroundings) -> struct_pb2.Value | None:
    """One parameter; None where the task that should have given it did not."""
    kind = wanted.WhichOneof("kind")
    if kind == "component_input_parameter":
        source = wanted.component_input_parameter
        if source not in around.inputs.parameters:
            raise TaskFailed(f"input parameter {name!r}: the graph has no input parameter {source!r}")
        if around.inputs.parameters[source].WhichOneof("kind") == "null_value":
            raise _Null
        return around.inputs.parameters[source]
    if kind == "task_output_parameter":
        producer = around.ended[wanted.task_output_parameter.producer_task]
        return producer.outputs.parameters.get(wanted.task_output_parameter.output_parameter_key)
    if kind == "runtime_value":
        return _constant(wanted.runtime_value, around)
    if kind == "task_final_status":
        return _final_status(wanted.task_final_status.producer_task or next(iter(task.dependent_tasks), ""), around)
    raise TaskFailed(f"input parameter {name!r} comes from nowhere")


def _constant(wanted: pb.ValueOrRuntimeParameter, around: Surroundings) -> struct_pb2.Value:
    which = wanted.WhichOneof("value")
    if which == "runtime_parameter":
        if wanted.runtime_parameter not in around.root:
            raise TaskFailed(f"the pipeline has no parameter {wanted.runtime_parameter!r}")
        return around.root[wanted.runtime_parameter]
    found = values.from_legacy(wanted.constant_value) if which == "constant_value" else wanted.constant
    if found.WhichOneof("kind") != "string_value":
        return found
    text = found.string_value
    if around.profile.embeds or _JOB.fullmatch(text):
        return values.value(_JOB.sub(lambda match: around.job.get(match[1], match[0]), text))
    return found


def _interpolated(found: struct_pb2.Value, parameters: Parameters) -> struct_pb2.Value:
    """A constant that has other parameters of the task in its text, as an f-string compiles to."""
    if found.WhichOneof("kind") != "string_value" or not _PARAMETER.search(found.string_value):
        return found
    return values.value(
        _PARAMETER.sub(
            lambda match: values.text(parameters[match[1]]) if match[1] in parameters else match[0],
            found.string_value,
        )
    )


def _final_status(producer: str, around: Surroundings) -> struct_pb2.Value:
    """What an exit handler is told of the task before it, in the words of its backend."""
    if producer not in around.ended:
        raise TaskFailed("a final status was asked for, but the task waits for no other")
    ended = around.ended[producer]
    states = {"done": around.profile.succeeded, "skipped": around.profile.succeeded, "failed": "FAILED"}
    status: dict[str, Any] = {
        "state": states.get(ended.state, around.profile.cancelled),
        "pipelineTaskName": producer,
        "pipelineJobResourceName": around.job["pipeline_job_resource_name"],
        "error": {},
    }
    if around.profile.types and ended.error:
        # 9 is FAILED_PRECONDITION, Vertex's code for a container that failed. KFP's backend fills neither field.
        status["error"] = {"code": 9, "message": ended.error}
    return values.value(status)


def _artifacts(
    task: pb.PipelineTaskSpec, component: pb.ComponentSpec, around: Surroundings
) -> tuple[dict[str, list[pb.RuntimeArtifact]], frozenset[str]]:
    specs = component.input_definitions.artifacts
    found: dict[str, list[pb.RuntimeArtifact]] = {}
    from_task = set()
    for name, wanted in task.inputs.artifacts.items():
        if wanted.WhichOneof("kind") == "component_input_artifact":
            key = wanted.component_input_artifact
            given = around.inputs.artifacts.get(key)
            source = f"the graph has no input artifact {key!r}"
        else:
            output = wanted.task_output_artifact
            given = around.ended[output.producer_task].outputs.artifacts.get(output.output_artifact_key)
            source = f"task {output.producer_task!r} gave no output {output.output_artifact_key!r}"
            from_task.add(name)
        if given is not None:
            found[name] = given
        elif not (name in specs and specs[name].is_optional):
            raise TaskFailed(f"input artifact {name!r}: {source}")
    for name, spec in specs.items():
        if name not in task.inputs.artifacts and not spec.is_optional:
            raise TaskFailed(f"input artifact {name!r} comes from nowhere, and is not optional")
    return found, frozenset(from_task)


def items(task: pb.PipelineTaskSpec, inputs: Inputs) -> list[struct_pb2.Value]:
    """What a loop runs over.

    Raises:
      TaskFailed: there is no list.
    """
    wanted = task.parameter_iterator.items
    try:
        if wanted.WhichOneof("kind") == "raw":
            found = values.parse(wanted.raw, pb.ParameterType.LIST)
        else:
            given = inputs.parameters[wanted.input_parameter]
            text = given.WhichOneof("kind") == "string_value"
            found = values.parse(given.string_value, pb.ParameterType.LIST) if text else given
    except (ValueError, KeyError) as error:
        raise TaskFailed(f"there are no items to loop over: {error}") from error
    if found.WhichOneof("kind") != "list_value":
        raise TaskFailed(f"there are no items to loop over: expected a list. Received: {values.plain(found)!r:.100}")
    return list(found.list_value.values)


def outputs(dag: pb.DagSpec, ended: Mapping[str, Ended]) -> artifacts.Outputs:
    """What a graph gives: outputs of its tasks, or of that one of several that ran."""
    parameters: dict[str, Any] = {}
    found: dict[str, list[pb.RuntimeArtifact]] = {}
    for key, spec in dag.outputs.parameters.items():
        one = spec.WhichOneof("kind") == "value_from_parameter"
        for each in [spec.value_from_parameter] if one else spec.value_from_oneof.parameter_selectors:
            given = ended[each.producer_subtask].outputs.parameters
            if key not in parameters and each.output_parameter_key in given:
                parameters[key] = given[each.output_parameter_key]
    for key, spec in dag.outputs.artifacts.items():
        for each in spec.artifact_selectors:
            made = ended[each.producer_subtask].outputs.artifacts
            if key not in found and each.output_artifact_key in made:
                found[key] = made[each.output_artifact_key]
    return artifacts.Outputs(parameters, found)


def collected(component: pb.ComponentSpec, rounds: list[artifacts.Outputs]) -> artifacts.Outputs:
    """What a loop gives: of each output a list, over its iterations."""
    dag = component.dag.outputs
    return artifacts.Outputs(
        {
            key: values.value([values.plain(each.parameters[key]) for each in rounds if key in each.parameters])
            for key in dag.parameters
        },
        {key: [one for each in rounds for one in each.artifacts.get(key, [])] for key in dag.artifacts},
    )
