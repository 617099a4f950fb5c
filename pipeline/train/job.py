"""What the processes of a cluster are told: the task and its data, as a JSON file.

The file may lie on storage that several machines share: it holds plain values, and only settings of our own are made of
them. Nothing in it is executed.
"""

import dataclasses
import importlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import MillraceError
from pipeline.task import Task

FILE = "job.json"
_KIND = "="
_PAIRS = "{}"


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
      task: with all that was set for this training.
      train_files: of transformed rows.
      eval_files: of transformed rows.
      transform: folder of Transform's output.
      log_dir: for TensorBoard.
      checkpoints: folder, or None.
      start: file of the weights that the model begins with, or None.
      result: file for the weights that it ends with.
      stand_ins: root in a bucket -> the folder of this machine that stands for it; see `pipeline.mirrored`.
      id: of this training.
    """

    task: Task
    train_files: Sequence[str]
    eval_files: Sequence[str]
    transform: str
    log_dir: str
    checkpoints: str | None
    start: str | None
    result: str
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


def write(job: Job, path: Path) -> None:
    """Writes the file; it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps(values_of(job), indent=1))
    temporary.replace(path)


def values_of(job: Job) -> dict[str, Any]:
    """A job as JSON can hold it; `job_of` makes the job of it."""
    values = {f.name: getattr(job, f.name) for f in dataclasses.fields(job)}
    return {**values, "stand_ins": dict(job.stand_ins), "task": encoded(job.task)}


def read(path: Path) -> Job:
    """What `write` has written.

    Raises:
      MillraceError: it is not that.
    """
    try:
        saved = json.loads(path.read_text())
    except ValueError as error:
        raise _unreadable(str(path), error) from error
    return job_of(saved, str(path))


def job_of(values: Any, place: str) -> Job:
    """What `values_of` was given.

    Args:
      values: of a file.
      place: of the file, for the message.

    Raises:
      MillraceError: it is not that.
    """
    try:
        return Job(**{**values, "task": decoded(values["task"])})
    except (ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise _unreadable(place, error) from error


def _unreadable(place: str, error: Exception) -> MillraceError:
    return MillraceError(
        f"{place} is not a job that this version of Millrace can read: {error}. "
        "Next: install the same version on all machines of the cluster"
    )


def encoded(value: Any) -> Any:
    """Settings as JSON can hold them: a dataclass is its class and its fields."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = f"{type(value).__module__}:{type(value).__qualname__}"
        return {_KIND: kind, **{f.name: encoded(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}}
    if isinstance(value, Mapping):
        return {_PAIRS: [[encoded(key), encoded(item)] for key, item in value.items()]}
    if isinstance(value, tuple | list | frozenset):
        items = sorted(value) if isinstance(value, frozenset) else value
        return {_KIND: type(value).__name__, "items": [encoded(item) for item in items]}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise MillraceError(f"a setting can't be told to another process. Expected plain values. Received: {value!r}")


def decoded(value: Any) -> Any:
    """What `encoded` was given."""
    if not isinstance(value, dict):
        return value
    if _PAIRS in value:
        return {decoded(key): decoded(item) for key, item in value[_PAIRS]}
    kind = value[_KIND]
    containers: dict[str, Any] = {"tuple": tuple, "list": list, "frozenset": frozenset}
    if kind in containers:
        return containers[kind](decoded(item) for item in value["items"])
    module, _, name = kind.partition(":")
    if not module.startswith("pipeline."):
        raise ValueError(f"{kind} is not one of our settings")
    made: Any = getattr(importlib.import_module(module), name)
    if not (isinstance(made, type) and dataclasses.is_dataclass(made)):
        raise ValueError(f"{kind} is not one of our settings")
    return made(**{field: decoded(item) for field, item in value.items() if field != _KIND})
