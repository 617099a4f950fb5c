"""Fills the placeholders of a command: `{{$}}`, `{{$.inputs.parameters['rows']}}` and their kin."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute import values
from pipeline.kubeflow.execute.failure import TaskFailed

_PLACEHOLDER = re.compile(r"\{\{\$(?:\.((?:[^{}']|'[^']*')*))?\}\}")
_PART = re.compile(
    r"(?P<side>inputs|outputs)\.(?P<what>parameters|artifacts)\['(?P<name>[^']*)'\]"
    r"(?:\.(?P<field>uri|path|name|value|output_file|metadata)(?:\['(?P<key>[^']*)'\])?)?"
)
_STRUCTURES = ('{"IfPresent":', '{"Concat":')


def command(arguments: Sequence[str], given: pb.ExecutorInput, job: Mapping[str, str]) -> list[str]:
    """A command with its placeholders filled; one that is not known stays as it is, as on the backends.

    Args:
      arguments: of the spec: command and args.
      given: what the task is given.
      job: `pipeline_job_uuid` and the like, where the backend fills these in a command too.

    Raises:
      TaskFailed: an IfPresent or Concat can't be read.
    """
    found: list[str] = []
    for argument in arguments:
        for part in _structured(argument, given):
            found.append(fill(part, given, job))
    return found


def fill(text: str, given: pb.ExecutorInput, job: Mapping[str, str]) -> str:
    """One text with its placeholders filled, all in one pass: what is put in is not looked at again."""
    return _PLACEHOLDER.sub(lambda match: _value(match, given, job), text)


def filled(parts: Mapping[str, str | None], given: pb.ExecutorInput) -> dict[str, str | None]:
    """The same for several texts."""
    return {key: text and fill(text, given, {}) for key, text in parts.items()}


def as_json(given: pb.ExecutorInput) -> str:
    """What `{{$}}` stands for."""
    return values.as_json(values.whole(json_format.MessageToDict(given)))


def _value(match: re.Match[str], given: pb.ExecutorInput, job: Mapping[str, str]) -> str:
    path = match[1]
    if path is None:
        return as_json(given)
    if path in job:
        return job[path]
    if path == "json_escape[1]" and job:
        return json.dumps(as_json(given), ensure_ascii=False)[1:-1]
    if path in ("outputs.output_file", "outputs.output_metadata_uri"):
        return str(given.outputs.output_file)
    part = _PART.fullmatch(path)
    found = _looked_up(part, given) if part else None
    return match[0] if found is None else found


def _looked_up(part: re.Match[str], given: pb.ExecutorInput) -> str | None:
    """The text for a part of the ExecutorInput; None where there is no such part."""
    side = getattr(given, part["side"])
    name, field = part["name"], part["field"]
    if part["what"] == "artifacts":
        if name not in side.artifacts or not side.artifacts[name].artifacts:
            return None
        return _of_artifact(side.artifacts[name].artifacts[0], field, part["key"])
    if part["side"] == "outputs":
        return side.parameters[name].output_file if name in side.parameters and field == "output_file" else None
    if name in side.parameter_values:
        return values.text(side.parameter_values[name])
    return values.text(values.from_legacy(side.parameters[name])) if name in side.parameters else None


def _of_artifact(artifact: pb.RuntimeArtifact, field: str | None, key: str | None) -> str | None:
    if field == "uri":
        return str(artifact.uri)
    if field == "path":
        return str(artifact.custom_path or artifact.uri)
    if field == "name":
        return str(artifact.name)
    if field == "metadata":
        if key is None:
            return values.as_json(values.whole(json_format.MessageToDict(artifact.metadata)))
        return values.text(artifact.metadata.fields[key]) if key in artifact.metadata.fields else None
    return None


def _structured(argument: str, given: pb.ExecutorInput) -> list[str]:
    """An argument; or what an IfPresent or Concat comes to, which can be several arguments or none."""
    if not argument.lstrip().startswith(_STRUCTURES):
        return [argument]
    try:
        return _flat(json.loads(argument), given)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TaskFailed(f"the argument {argument:.200} can't be read: {error!r}") from error


def _flat(found: Any, given: pb.ExecutorInput) -> list[str]:
    if found is None:
        return []
    if isinstance(found, str):
        return [found]
    if isinstance(found, list):
        return [text for each in found for text in _flat(each, given)]
    if "Concat" in found:
        return ["".join(_flat(found["Concat"], given))]
    choice = found["IfPresent"]
    return _flat(choice.get("Then" if _present(choice["InputName"], given) else "Else"), given)


def _present(name: str, given: pb.ExecutorInput) -> bool:
    inputs = given.inputs
    null = name in inputs.parameter_values and inputs.parameter_values[name].WhichOneof("kind") == "null_value"
    return not null and (name in inputs.parameter_values or name in inputs.parameters or name in inputs.artifacts)
