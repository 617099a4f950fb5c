"""The curated schema of a task: `schemas/<task>/schema.pbtxt`, reviewed and versioned."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.errors import TaskError, UsageError, nearest, raise_all
from pipeline.features.base import Feature
from pipeline.rows import Matches
from pipeline.task import Task

SCHEMAS = Path(__file__).parent.parent / "schemas"


def path_of(task: str) -> Path | None:
    """The task's curated schema, or None where it has none: the run then infers one."""
    path = SCHEMAS / task / "schema.pbtxt"
    return path if path.exists() else None


def curated(task: str) -> Path:
    """The task's curated schema.

    Raises:
      UsageError: it has none.
    """
    path = path_of(task)
    if path is None:
        raise UsageError(
            f"task {task!r} has no curated schema: each run infers one from its own rows, which then always fit. "
            f"Next: millrace schema init --task {task}"
        )
    return path


def digest(path: Path) -> str:
    """What tells one text of a schema from another: the SHA-256 of the file.

    Raises:
      UsageError: it can't be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"schema: {path} can't be read: {error.strerror}") from error


def write(path: Path, text: str) -> None:
    """Writes a file beside its place and renames it, so that a run never reads half of it; newlines stay as they are.

    Raises:
      UsageError: the folder can't be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise UsageError(
            f"{path} can't be written: {error.strerror}. Next: check the disk and the folder's permissions"
        ) from error


def parse(text: str, path: Path) -> schema_pb2.Schema:
    """The schema that a text says.

    Args:
      text: of the file.
      path: of the file, for the message.

    Raises:
      UsageError: it does not parse; the message has the line.
    """
    try:
        return text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise UsageError(
            f"schema: {path} does not parse at line:column {error}. Next: `git diff {path}` shows what changed it."
        ) from error


def text_of(path: Path) -> str:
    """The text of a schema, newlines as they are.

    Raises:
      UsageError: it can't be read.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"schema: {path} can't be read: {error}") from error


def read(path: Path) -> schema_pb2.Schema:
    """The schema in a text file.

    Raises:
      UsageError: it can't be read or does not parse; the message has the line.
    """
    return parse(text_of(path), path)


def with_images(schema: schema_pb2.Schema, features: Sequence[Feature]) -> schema_pb2.Schema:
    """The schema with `image_domain {}` where a feature reads images: nobody counts how often each of these occurs."""
    marked = schema_pb2.Schema()
    marked.CopyFrom(schema)
    images = {feature.name for feature in features if feature.modality == "image"}
    for column in marked.feature:
        if column.name in images and column.type == schema_pb2.BYTES and column.WhichOneof("domain_info") is None:
            column.image_domain.SetInParent()
    return marked


def of_images(features: Sequence[Feature]) -> schema_pb2.Schema | None:
    """What is known of a task's columns without a schema: which hold images; None where none does."""
    names = [feature.name for feature in features if feature.modality == "image"]
    columns = [schema_pb2.Feature(name=name, type=schema_pb2.BYTES) for name in names]
    return with_images(schema_pb2.Schema(feature=columns), features) if names else None


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
        accepted = task.label.accepts
        if types.get(column, accepted[0]) not in accepted:
            problems.append(
                f"label column {column!r}: expected {' or '.join(accepted)}. Received: type={types[column]}"
            )
    for rule in task.rows.rules:
        wanted = ("BYTES",) if isinstance(rule, Matches) else ("FLOAT", "INT")
        problems += [
            f"rule {rule.name!r}: expected {column!r} to be {' or '.join(wanted)}. Received: type={types[column]}"
            for column in sorted(rule.columns)
            if column in types and types[column] not in wanted
        ]
    problems += task.checks.unknown_columns({*types, *task.columns})
    problems += [
        f"sensitive: no column {column!r}.{nearest(column, {*types, *task.columns})}"
        for column in task.sensitive
        if column not in {*types, *task.columns}
    ]
    raise_all(TaskError, f"task {task.name!r} does not fit its schema:", problems)
