"""The curated schema of a task: `schemas/<task>/schema.pbtxt`, reviewed and versioned."""

from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.errors import TaskError, UsageError, nearest, raise_all
from pipeline.task import Task

SCHEMAS = Path(__file__).parent.parent / "schemas"


def path_of(task: str) -> Path | None:
    """The task's curated schema, or None where it has none: the run then infers one."""
    path = SCHEMAS / task / "schema.pbtxt"
    return path if path.exists() else None


def read(path: Path) -> schema_pb2.Schema:
    """The schema in a text file.

    Raises:
      UsageError: it can't be read or does not parse; the message has the line.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"schema: {path} can't be read: {error}") from error
    except text_format.ParseError as error:
        raise UsageError(
            f"schema: {path} does not parse at line:column {error}. Next: `git diff {path}` shows what changed it."
        ) from error


def check(task: Task, schema: schema_pb2.Schema) -> None:
    """Compares what the task reads with what the schema holds.

    Raises:
      TaskError: a column that the schema lacks, or a feature kind that can't take its column's type; all at once.
    """
    types = {feature.name: schema_pb2.FeatureType.Name(feature.type) for feature in schema.feature}
    problems = [
        f"column {column!r} is not in the schema.{nearest(column, types)}"
        for column in task.columns
        if column not in types
    ]
    for feature in task.features:
        received = types.get(feature.name)
        if received is not None and received not in feature.accepts:
            problems.append(
                f"feature {feature.name!r}: {type(feature).__name__} takes {' or '.join(feature.accepts)}. "
                f"Received: type={received}"
            )
    for column in sorted(task.label.columns):
        if types.get(column) == "BYTES":
            problems.append(f"label column {column!r}: expected FLOAT or INT. Received: type=BYTES")
    raise_all(TaskError, f"task {task.name!r} does not fit its schema:", problems)
