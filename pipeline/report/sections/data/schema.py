"""The schema that the rows were read by, and what would have to change in it."""

import contextlib
import shlex
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline import schema as schemas
from pipeline.errors import MillraceError, UsageError
from pipeline.report.sections.data.facts import Facts
from pipeline.report.values import share, text
from pipeline.schema_cycle import proposal as proposals
from pipeline.schema_cycle import table as tables

_DIFF_LINES = 200
_MOST = 100


def table(facts: Facts) -> dict[str, Any] | None:
    """Each column's type, presence and domain; None without a schema."""
    if facts.schema is None:
        return None
    nodes = list(facts.run.record.get("nodes") or {})
    behind = [node in nodes for node in ("SchemaGen", "StatisticsGen")]
    inferred = all(behind) and nodes.index("SchemaGen") > nodes.index("StatisticsGen")
    return {
        "inferred": inferred,
        "count": len(facts.schema.feature),
        "file": None if inferred else f"schemas/{facts.run.record['task']}/schema.pbtxt",
        "columns": [
            {
                "column": text(feature.name, 20_000),
                "type": schema_pb2.FeatureType.Name(feature.type),
                "presence": tables.presence(feature),
                "withheld": facts.privacy.hides(feature.name),
                "allowed": None
                if facts.privacy.hides(feature.name)
                else text(tables.allowed(facts.schema, feature), 300),
                "role": facts.roles.get(feature.name),
                "environments": tables.environments(facts.schema, feature),
                "thresholds": ", ".join(tables.thresholds(feature)),
            }
            for feature in facts.schema.feature
        ],
    }


def proposal(facts: Facts) -> dict[str, Any] | None:
    """What `millrace schema propose` says of the run, against the curated schema as it is now; None without a task.

    `why` says why there is none.
    """
    run = facts.run
    if run.task is None:
        return None
    name = run.record["task"]
    where = f"--task {name} --root {shlex.quote(str(run.home.parent))} --run {run.record['run_id']}"
    told: dict[str, Any] = {"why": None, "changes": [], "count": 0, "others": [], "diff": [], "commands": []}
    try:
        made = proposals.propose(run.task, run.record)
    except UsageError as error:
        return {**told, "why": text(str(error))}
    except MillraceError as error:
        return {**told, "why": f"It could not be made: {text(str(error))}"}
    hidden = {change.column for change in made.changes if facts.privacy.hides(change.column)}
    told["changes"] = [
        {
            "column": text(change.column),
            "kind": change.kind,
            "withheld": change.column in hidden,
            "text": None if change.column in hidden else text(change.text),
            "rows": change.rows,
            "total": change.total,
            "share": share(change.rows, change.total),
            "examples": [] if change.column in hidden else [text(example) for example in change.examples],
            "doubts": [] if change.column in hidden else [text(doubt) for doubt in change.doubts],
            "doubtful": bool(change.doubts),
        }
        for change in made.changes[:_MOST]
    ]
    told["count"] = len(made.changes)
    if not facts.privacy.any:
        told["others"] = [{key: text(str(value)) for key, value in other.items()} for other in made.others]
    if made.changes and not hidden:
        with contextlib.suppress(MillraceError):
            path = schemas.curated(name)
            lines = proposals.diff(path, proposals.changed(path, proposals.sound(made.changes))).splitlines()
            told["diff"] = [text(line, 300) for line in lines[2 : 2 + _DIFF_LINES]]
    if made.changes:
        only_doubts = all(change.doubts for change in made.changes)
        told["commands"] = [
            f"millrace schema propose {where}",
            f"millrace schema accept {where}{' --doubtful' if only_doubts else ''}",
        ]
    return told
