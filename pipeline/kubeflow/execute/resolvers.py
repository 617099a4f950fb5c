"""Resolvers of Vertex: artifacts of earlier runs, looked up by a filter.

TFX's compiler writes three kinds of filter: the latest of a type, the latest blessing, and the model of a name. These can be
judged here, over the artifacts that earlier runs have left under the same root.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute import artifacts, placeholders, values

_HISTORY = "artifacts.jsonl"
_CLAUSE = re.compile(
    r"""schema_title="(?P<title>[^"]*)"
      | state=(?P<state>LIVE)
      | name="(?P<name>.*)"
      | metadata\.(?P<key>\w+)\.number_value=(?P<number>-?[\d.]+)""",
    re.VERBOSE,
)


def unknown_clauses(written: str) -> Iterator[str]:
    """Those parts of a filter that can't be judged here."""
    for clause in written.split(" AND "):
        if not _CLAUSE.fullmatch(clause.strip()):
            yield clause.strip()


def remember(folder: Path, found: artifacts.Outputs) -> None:
    """Adds a task's artifacts to those that later runs may look up.

    Args:
      folder: of the pipeline, over all of its runs.
      found: what the task gave.
    """
    lines = [json.dumps(json_format.MessageToDict(each)) + "\n" for group in found.artifacts.values() for each in group]
    if lines:
        with (folder / _HISTORY).open("a", encoding="utf-8") as stream:
            stream.writelines(lines)


def resolve(
    folder: Path, resolver: pb.PipelineDeploymentConfig.ResolverSpec, given: pb.ExecutorInput
) -> artifacts.Outputs:
    """The latest artifact for each query; none where there is none."""
    path = folder / _HISTORY
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    history = [json_format.ParseDict(json.loads(line), pb.RuntimeArtifact()) for line in lines]
    found = {}
    for key, query in resolver.output_artifact_queries.items():
        clauses = [_CLAUSE.fullmatch(clause.strip()) for clause in query.filter.split(" AND ")]
        wanted = [placeholders.filled(match, given) for match in (clause.groupdict() for clause in clauses if clause)]
        matching = [each for each in reversed(history) if all(_matches(each, clause) for clause in wanted)]
        found[key] = matching[: query.limit or 1]
    return artifacts.Outputs({}, found)


def _matches(artifact: pb.RuntimeArtifact, clause: Mapping[str, Any]) -> bool:
    if clause["title"] is not None:
        return artifacts.title(artifact) == clause["title"]
    if clause["name"] is not None:
        return bool(artifact.name == clause["name"])
    if clause["key"] is not None:
        metadata = values.whole(json_format.MessageToDict(artifact.metadata))
        return bool(metadata.get(clause["key"]) == float(clause["number"]))
    return True
