"""The `ExecutorInput` that a container is given, and the `ExecutorOutput` that it leaves."""

from pathlib import Path

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute import artifacts, values
from pipeline.kubeflow.execute.failure import TaskFailed
from pipeline.kubeflow.execute.resolve import Inputs

OUTPUT_FILE = "executor_output.json"
_PARAMETERS = ".parameters"


def build(
    name: str, component: pb.ComponentSpec, inputs: Inputs, folder: Path, ledger: artifacts.Ledger, *, legacy: bool
) -> pb.ExecutorInput:
    """What a task is given.

    Args:
      name: of the task.
      component: what it runs.
      inputs: as resolved.
      folder: its own, for its outputs.
      ledger: of the run.
      legacy: parameters are of schema 2.0.
    """
    given = pb.ExecutorInput()
    given.inputs.SetInParent()
    specs = component.input_definitions.parameters
    parameters = dict(inputs.parameters)
    for key, spec in specs.items():
        # The launcher fills the defaults in, so a container sees them.
        if key not in parameters and spec.HasField("default_value"):
            parameters[key] = spec.default_value
    for key, value in parameters.items():
        if legacy:
            given.inputs.parameters[key].CopyFrom(values.to_legacy(value, values.kind(specs[key])))
        else:
            given.inputs.parameter_values[key].CopyFrom(value)
    for key, found in inputs.artifacts.items():
        handed = [ledger.hand_over(each, from_task=key in inputs.from_task) for each in found]
        given.inputs.artifacts[key].artifacts.extend(handed)
    for key in component.output_definitions.parameters:
        given.outputs.parameters[key].output_file = str(folder / _PARAMETERS / key)
    for key, spec in component.output_definitions.artifacts.items():
        made = given.outputs.artifacts[key].artifacts.add()
        made.name = ledger.resource_name(name, key)
        made.uri = str(folder / key)
        made.type.CopyFrom(spec.artifact_type)
        made.metadata.CopyFrom(spec.metadata)
    given.outputs.output_file = str(folder / OUTPUT_FILE)
    return given


def prepare(given: pb.ExecutorInput) -> None:
    """Makes the folders that outputs are written into, and removes what an attempt before left in place of parameters."""
    output = Path(given.outputs.output_file)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    for parameter in given.outputs.parameters.values():
        path = Path(parameter.output_file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)


def after_driver(given: pb.ExecutorInput) -> None:
    """Takes over what a driver says: execution properties, and properties of the outputs.

    Raises:
      TaskFailed: it can't be read.
    """
    said = _read(Path(given.outputs.output_file))
    for key, value in said.parameter_values.items():
        given.inputs.parameter_values[key].CopyFrom(value)
    for key, old in said.parameters.items():
        given.inputs.parameters[key].CopyFrom(old)
    _merge(said, given)


def collect(
    given: pb.ExecutorInput, component: pb.ComponentSpec, ledger: artifacts.Ledger, *, legacy: bool
) -> artifacts.Outputs:
    """What a container gave.

    A parameter of the output file goes before one that has a file of its own.

    Raises:
      TaskFailed: an output is missing or can't be read.
    """
    said = _read(Path(given.outputs.output_file))
    parameters = dict(said.parameter_values.items())
    if legacy:
        parameters |= {key: values.from_legacy(old) for key, old in said.parameters.items()}
    for key, spec in component.output_definitions.parameters.items():
        if key not in parameters:
            path = Path(given.outputs.parameters[key].output_file)
            try:
                parameters[key] = values.parse(path.read_text(encoding="utf-8"), values.kind(spec))
            except FileNotFoundError:
                raise TaskFailed(f"output parameter {key!r} was not written: expected it in {path}") from None
            except (OSError, ValueError) as error:
                raise TaskFailed(f"output parameter {key!r} in {path}: {error}") from error
    _merge(said, given, ledger)
    return artifacts.Outputs(
        parameters,
        {key: [ledger.record(key, each) for each in made.artifacts] for key, made in given.outputs.artifacts.items()},
    )


def _merge(said: pb.ExecutorOutput, given: pb.ExecutorInput, ledger: artifacts.Ledger | None = None) -> None:
    for key, made in given.outputs.artifacts.items():
        if key in said.artifacts and said.artifacts[key].artifacts:
            if ledger:
                ledger.check_place(key, said.artifacts[key].artifacts[0].uri, made.artifacts[0].uri)
            artifacts.merge(said.artifacts[key].artifacts[0], made.artifacts[0])


def _read(path: Path) -> pb.ExecutorOutput:
    """The output file; an empty one where there is none."""
    try:
        return json_format.Parse(path.read_text(encoding="utf-8"), pb.ExecutorOutput())
    except FileNotFoundError:
        return pb.ExecutorOutput()
    except (OSError, UnicodeDecodeError, json_format.ParseError) as error:
        raise TaskFailed(f"{path} is no ExecutorOutput: {' '.join(str(error).split())}") from error
