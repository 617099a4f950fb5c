"""Reads a compiled pipeline: KFP's YAML (a spec, and perhaps its platforms) or a PipelineJob as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.errors import UsageError
from pipeline.kubeflow.execute.profiles import Profile

FAIL_FAST = "PIPELINE_FAILURE_POLICY_FAIL_FAST"


@dataclass(frozen=True)
class Document:
    """A compiled pipeline.

    Attributes:
      path: the file.
      spec: the graph, as a proto.
      executors: label -> how a component is executed.
      kubernetes: executor label -> its settings of the `platforms` document (secrets and the like).
      runtime: what a PipelineJob is run with: root and parameters.
      display_name: the job's, or the pipeline's.
      fail_fast: a PipelineJob asks for it.
    """

    path: Path
    spec: pb.PipelineSpec
    executors: Mapping[str, pb.PipelineDeploymentConfig.ExecutorSpec]
    kubernetes: Mapping[str, Mapping[str, Any]]
    runtime: pb.PipelineJob.RuntimeConfig
    display_name: str
    fail_fast: bool

    @property
    def name(self) -> str:
        """The pipeline's name, fit for a folder."""
        return self.spec.pipeline_info.name.rsplit("/", 1)[-1]

    @property
    def legacy(self) -> bool:
        """Whether parameters are of schema 2.0: INT, DOUBLE, STRING, in `parameters` and not in `parameterValues`."""
        return bool(self.spec.schema_version.startswith("2.0"))

    @property
    def root(self) -> str:
        """Where the artifacts go on the backend."""
        return self.runtime.gcs_output_directory or self.spec.default_pipeline_root


def read(path: Path, profile: Profile) -> Document:
    """Reads a file.

    Raises:
      UsageError: it is not there, is neither YAML nor JSON, is no spec, or is one that the backend does not take.
    """
    documents = _documents(path)
    first = documents[0]
    if "pipelineSpec" in first:
        if not profile.jobs:
            raise UsageError(
                f"{path} is a PipelineJob. {profile.title} takes only the bare spec: a mapping with pipelineInfo, root, "
                "components and deploymentSpec. Next: compile for that target, or use --profile vertex"
            )
        job, raw = first, first["pipelineSpec"]
    else:
        job, raw = {}, first
    if not isinstance(raw, dict) or "pipelineInfo" not in raw or "root" not in raw:
        raise UsageError(
            f"{path} is no pipeline spec. Expected the keys pipelineInfo, root, components and deploymentSpec"
            f"{', or pipelineSpec with these' if profile.jobs else ''}. Received: {', '.join(map(str, raw)) or 'none'}"
        )
    spec = _parse(raw, pb.PipelineSpec(), path, "pipeline spec", strict=True)
    if spec.schema_version not in profile.schema_versions:
        raise UsageError(
            f"{path}: schemaVersion {spec.schema_version or 'missing'!r}. {profile.title} takes only "
            f"{' or '.join(profile.schema_versions)}. Next: compile it again for that target"
        )
    deployment = _parse(
        raw.get("deploymentSpec", {}), pb.PipelineDeploymentConfig(), path, "deploymentSpec", strict=False
    )
    runtime = job.get("runtimeConfig", {})
    return Document(
        path=path,
        spec=spec,
        executors=deployment.executors,
        kubernetes=_kubernetes(documents[1:], path),
        runtime=_parse(runtime, pb.PipelineJob.RuntimeConfig(), path, "runtimeConfig", strict=False),
        display_name=job.get("displayName") or spec.pipeline_info.name,
        fail_fast=runtime.get("failurePolicy") == FAIL_FAST,
    )


def _documents(path: Path) -> list[dict[str, Any]]:
    """The one or two mappings of a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path} can't be read: {reason}. Expected a compiled pipeline, as YAML or JSON") from error
    try:
        found = [json.loads(text)] if text.lstrip().startswith("{") else list(yaml.safe_load_all(text))
    except (ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}") from error
    found = [document for document in found if document is not None]
    if not 1 <= len(found) <= 2 or not all(isinstance(document, dict) for document in found):
        raise UsageError(
            f"{path} is no compiled pipeline. Expected one mapping (the spec), or two (the spec and its platforms). "
            f"Received: {', '.join(type(document).__name__ for document in found) or 'an empty file'}"
        )
    return found


def _parse(raw: Any, message: Any, path: Path, what: str, *, strict: bool) -> Any:
    """A part of a file as the proto that it is; a backend ignores unknown keys of a deployment, not of a spec."""
    try:
        return json_format.ParseDict(raw, message, ignore_unknown_fields=not strict)
    except (json_format.ParseError, AttributeError, TypeError) as error:
        raise UsageError(f"{path}: not a {what}: {error}") from error


def _kubernetes(platforms: list[dict[str, Any]], path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Executor label -> settings, of the second document."""
    if not platforms:
        return {}
    found: Any = platforms[0]
    for key in ("platforms", "kubernetes", "deploymentSpec", "executors"):
        if not isinstance(found, dict) or (key == "platforms" and key not in found):
            raise UsageError(
                f"{path}: the second document is no platform spec. Expected the key platforms, with mappings below it. "
                f"Received: {found!r:.100}"
            )
        found = found.get(key, {})
    return dict(found)
