"""Artifacts on their way from one task to the next: what a backend keeps of them, and what it hands over."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute import values
from pipeline.kubeflow.execute.failure import TaskFailed
from pipeline.kubeflow.execute.profiles import Profile

_BUCKETS = ("gs://", "s3://", "minio://")
_STORE = "projects/local/locations/local/metadataStores/default/artifacts/"


@dataclass(frozen=True)
class Outputs:
    """What a task, or a graph, gave.

    Attributes:
      parameters: name -> value.
      artifacts: name -> artifacts as recorded; one, or those of all iterations of a loop.
    """

    parameters: Mapping[str, Any]
    artifacts: Mapping[str, list[pb.RuntimeArtifact]]

    def record(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "parameters": {name: values.plain(value) for name, value in sorted(self.parameters.items())},
            "artifacts": {
                name: [
                    {
                        "uri": each.uri,
                        "type": title(each),
                        "metadata": values.whole(json_format.MessageToDict(each.metadata)),
                    }
                    for each in found
                ]
                for name, found in sorted(self.artifacts.items())
            },
        }


NOTHING = Outputs({}, {})


class Ledger:
    """Records artifacts as the backend's metadata store does."""

    def __init__(self, profile: Profile, job_id: str) -> None:
        """For one run."""
        self._profile = profile
        self._job_id = job_id
        self._ids = itertools.count(1)

    def resource_name(self, task: str, key: str) -> str:
        """The name of an output before the task runs: KFP's is its key, Vertex's that of a resource."""
        return f"{_STORE}{self._job_id}-{task}-{key}" if self._profile.types else key

    def check_place(self, key: str, said: str, given: str) -> None:
        """Compares the URI that a container told with the one that it was given.

        KFP's launcher sends what is at an output's local path, and fails where the URI is in a bucket, and not in the
        run's own folder of the pipeline root.

        Raises:
          TaskFailed: it would on KFP.
        """
        folder, found, _ = given.partition(f"/{self._job_id}/")
        in_a_bucket = said.startswith(_BUCKETS) or said.startswith(f"{folder.rpartition('/')[0]}/")
        if said and not self._profile.types and found and in_a_bucket and not said.startswith(f"{folder}{found}"):
            raise TaskFailed(
                f"output {key!r}: URI {said!r} does not have expected bucket prefix {folder + found!r}. "
                "Next: leave the URI out, or name a place in the run's own folder"
            )

    def record(self, key: str, artifact: pb.RuntimeArtifact, *, imported: bool = False) -> pb.RuntimeArtifact:
        """An output, as it can be read back.

        KFP puts the metadata through ML Metadata: a boolean comes back as a number, a list or a mapping inside of a mapping
        of its own, null is an error, and two properties are added.

        Raises:
          TaskFailed: the store does not take the metadata.
        """
        kept = pb.RuntimeArtifact()
        kept.CopyFrom(artifact)
        if self._profile.types:
            return kept
        kept.name = str(next(self._ids))
        metadata = {name: _stored(key, name, each) for name, each in json_format.MessageToDict(kept.metadata).items()}
        if not imported:
            metadata.setdefault("display_name", key)
        metadata.setdefault("store_session_info", '{"Provider":"","Params":{"fromEnv":"true"}}')
        kept.metadata.Clear()
        kept.metadata.update(metadata)
        return kept

    def hand_over(self, artifact: pb.RuntimeArtifact, *, from_task: bool) -> pb.RuntimeArtifact:
        """An input artifact, as the backend gives it to a container.

        On KFP the type of one that comes from another task is an empty `instanceSchema`, and one that comes in through the
        inputs of the graph has no type at all: the driver does not look it up (tensorflow/tfx#7768).
        """
        given = pb.RuntimeArtifact()
        given.CopyFrom(artifact)
        if not self._profile.types:
            given.ClearField("type")
            if from_task:
                given.type.instance_schema = ""
        return given


def _stored(key: str, name: str, value: Any) -> Any:
    if value is None:
        raise TaskFailed(f"output {key!r}: its metadata {name!r} is null, which the metadata store does not take")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return {"list": value}
    return {"struct": value} if isinstance(value, dict) else value


def merge(given: pb.RuntimeArtifact, into: pb.RuntimeArtifact) -> None:
    """Takes over what a container said of an output: a URI, metadata key by key, a path of its own."""
    if given.uri:
        into.uri = given.uri
    for name, value in given.metadata.fields.items():
        into.metadata.fields[name].CopyFrom(value)
    if given.custom_path:
        into.custom_path = given.custom_path


def title(artifact: pb.RuntimeArtifact) -> str:
    """`system.Model`, or `tfx.Examples`; empty where it is not known."""
    if artifact.type.WhichOneof("kind") == "instance_schema":
        lines = artifact.type.instance_schema.splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("title:")), "")
    return str(artifact.type.schema_title)
