"""How the two backends differ, as far as a spec can tell."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """What a backend does with a spec.

    Attributes:
      name: as on the command line.
      title: for messages.
      schema_versions: those that it accepts.
      jobs: a PipelineJob is accepted, not the bare spec alone.
      drivers: runs `lifecycle.preCacheCheck` before the container.
      types: hands over the type of an input artifact. KFP's metadata client leaves the schema of an artifact that it read
        back empty, and gives none at all to one that came in through a component's own inputs.
      resolvers: has resolver executors.
      importer_conditions: an importer may have a condition. On KFP its driver and its work are one container.
      embeds: replaces `{{$.pipeline_job_uuid}}` and the like anywhere in a constant, and in a command. KFP does so only
        where a constant is the placeholder and nothing else, and does not know `{{$.pipeline_root}}`.
      fail_fast: starts no further task of a graph after one of it has failed.
      exits_count: an exit handler that fails makes the run fail. On KFP it is a lifecycle hook of Argo, and a hook's
        failure does not change the state of its node. Vertex is taken to count it; this was not tried there.
      succeeded: the name of that state, for an exit handler that asks.
      cancelled: likewise.
    """

    name: str
    title: str
    schema_versions: tuple[str, ...]
    jobs: bool
    drivers: bool
    types: bool
    resolvers: bool
    importer_conditions: bool
    embeds: bool
    fail_fast: bool
    exits_count: bool
    succeeded: str
    cancelled: str


KFP = Profile(
    name="kfp",
    title="open-source Kubeflow Pipelines",
    schema_versions=("2.1.0",),
    jobs=False,
    drivers=False,
    types=False,
    resolvers=False,
    importer_conditions=False,
    embeds=False,
    fail_fast=True,
    exits_count=False,
    succeeded="COMPLETE",
    cancelled="CANCELED",
)
VERTEX = Profile(
    name="vertex",
    title="Vertex AI Pipelines",
    schema_versions=("2.0.0", "2.1.0"),
    jobs=True,
    drivers=True,
    types=True,
    resolvers=True,
    importer_conditions=True,
    embeds=True,
    fail_fast=False,
    exits_count=True,
    succeeded="SUCCEEDED",
    cancelled="CANCELLED",
)
PROFILES = {profile.name: profile for profile in (KFP, VERTEX)}
