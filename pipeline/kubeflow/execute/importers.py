"""Importers: artifacts that are there already, and become an output."""

from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute import artifacts, placeholders, values
from pipeline.kubeflow.execute.failure import TaskFailed
from pipeline.kubeflow.execute.resolve import Inputs


def run(
    importer: pb.PipelineDeploymentConfig.ImporterSpec,
    component: pb.ComponentSpec,
    inputs: Inputs,
    given: pb.ExecutorInput,
    ledger: artifacts.Ledger,
    bucket: tuple[str, str],
) -> artifacts.Outputs:
    """The artifact of an importer.

    Args:
      importer: what it imports.
      component: its interface: one output.
      inputs: of the task.
      given: the same, for placeholders.
      ledger: of the run.
      bucket: the pipeline root, and the folder that stands for it.

    Raises:
      TaskFailed: there is no URI, or not one output.
    """
    keys = list(component.output_definitions.artifacts)
    if len(keys) != 1:
        raise TaskFailed(f"an importer has one output artifact. Received: {', '.join(keys) or 'none'}")
    made = given.outputs.artifacts[keys[0]].artifacts[0]
    made.uri = _local(_uri(importer, inputs), bucket)
    made.type.CopyFrom(importer.type_schema)
    made.metadata.update(_filled(json_format.MessageToDict(importer.metadata), given))
    return artifacts.Outputs({}, {keys[0]: [ledger.record(keys[0], made, imported=True)]})


def _uri(importer: pb.PipelineDeploymentConfig.ImporterSpec, inputs: Inputs) -> str:
    source = importer.artifact_uri
    which = source.WhichOneof("value")
    if which == "runtime_parameter":
        if source.runtime_parameter not in inputs.parameters:
            raise TaskFailed(
                f"an importer's URI comes from the parameter {source.runtime_parameter!r}, which is not given"
            )
        found = inputs.parameters[source.runtime_parameter]
    else:
        found = values.from_legacy(source.constant_value) if which == "constant_value" else source.constant
    uri = values.text(found) if found.WhichOneof("kind") else ""
    if not uri:
        raise TaskFailed("an importer has an empty URI")
    return uri


def _local(uri: str, bucket: tuple[str, str]) -> str:
    """A URI below the pipeline root, as a path below the folder that stands for it."""
    url, folder = bucket
    prefix = url.rstrip("/") + "/"
    return f"{folder}/{uri.removeprefix(prefix)}" if "://" in url and uri.startswith(prefix) else uri


def _filled(metadata: Any, given: pb.ExecutorInput) -> Any:
    """Metadata with its placeholders filled."""
    if isinstance(metadata, str):
        return placeholders.fill(metadata, given, {})
    if isinstance(metadata, dict):
        return {key: _filled(each, given) for key, each in metadata.items()}
    return [_filled(each, given) for each in metadata] if isinstance(metadata, list) else metadata
