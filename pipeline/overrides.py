"""`--set section.field=value`: a task with some of its settings replaced.

The first part names a section of the task (`training`, `model`, `evaluation`, `split`, `rows`, `checks`, `label`, `lite`, `serving`, `push`) or `features`,
followed by the feature's column; the rest walks into nested settings: `training.optimizer.learning_rate=0.01`,
`features.trip_miles.clip=[0,50]`. Values are JSON, or plain text where JSON does not parse. The new objects validate
themselves as those in the file do.

Where a field takes one of several kinds of settings, the value names the kind, alone or with fields:

    --set training.optimizer=sgd
    --set 'training.optimizer={"kind": "sgd", "momentum": 0.9}'
    --set 'training.optimizer.learning_rate={"kind": "cosine", "rate": 0.001, "warmup_steps": 100}'
"""

import dataclasses
import json
import typing
from collections.abc import Sequence
from typing import Any

from pipeline.errors import TaskError, UsageError, nearest
from pipeline.task import Task

_SECTIONS = (
    "training",
    "model",
    "evaluation",
    "split",
    "rows",
    "checks",
    "label",
    "features",
    "tuning",
    "lite",
    "serving",
    "push",
)


def apply(task: Task, overrides: Sequence[str]) -> Task:
    """The task with each override applied, in order.

    Raises:
      UsageError: not of the form `section.field=value`, an unknown field (the nearest is offered), or a value of
        another type or out of range.
    """
    for override in overrides:
        path, equals, text = override.partition("=")
        parts = path.split(".")
        if not equals or len(parts) < 2:
            raise UsageError(f"--set {override}: expected section.field=value, e.g. training.steps=500")
        if parts[0] not in _SECTIONS:
            raise UsageError(f"--set {override}: no section {parts[0]!r}.{nearest(parts[0], _SECTIONS)}")
        try:
            task = _replace(task, parts, _as_json(text), override)
        except TaskError as error:
            raise UsageError(f"--set {override}: {error}") from error
    return task


def section_of(override: str) -> str:
    """The section that an override changes."""
    return override.partition(".")[0]


def _as_json(text: str) -> str:
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text


def _replace(owner: Any, path: Sequence[str], value: str, override: str) -> Any:
    """`owner` with the field at `path` replaced by a value in JSON; tuples of features are walked by name."""
    head, rest = path[0], path[1:]
    if isinstance(owner, tuple):
        index = {feature.name: position for position, feature in enumerate(owner)}
        if head not in index:
            raise UsageError(f"--set {override}: no feature {head!r}.{nearest(head, index)}")
        if not rest:
            raise UsageError(f"--set {override}: expected features.<name>.<field>, e.g. features.{head}.name")
        changed = _replace(owner[index[head]], rest, value, override)
        return (*owner[: index[head]], changed, *owner[index[head] + 1 :])
    if not dataclasses.is_dataclass(owner):
        raise UsageError(f"--set {override}: {owner!r} has no field {head!r}")
    from pydantic import ValidationError
    from pydantic.errors import PydanticSchemaGenerationError

    fields = {field.name: field for field in dataclasses.fields(owner)}
    if head not in fields:
        raise UsageError(f"--set {override}: {type(owner).__name__} has no field {head!r}.{nearest(head, fields)}")
    if rest:
        return dataclasses.replace(owner, **{head: _replace(getattr(owner, head), rest, value, override)})  # type: ignore[type-var]
    try:
        checked = _checked(fields[head].type, json.loads(value))
    except PydanticSchemaGenerationError as error:
        raise UsageError(
            f"--set {override}: {head} can't be set here. Received: {value}. Next: edit the task"
        ) from error
    except ValidationError as error:
        detail = error.errors()[0]
        raise UsageError(
            f"--set {override}: {head}: {detail['msg'].lower()}. Expected {_spelled(fields[head].type)}. Received: {value}"
        ) from error
    return dataclasses.replace(owner, **{head: checked})  # type: ignore[type-var]


def _checked(annotation: Any, value: Any) -> Any:
    """A JSON value as a field takes it; {"kind": name, …}, or the name alone, makes one of several kinds of settings.

    Raises:
      ValidationError: it is of another type.
      TaskError: no such kind or field, or out of range.
    """
    from pydantic import TypeAdapter

    kinds = {_kind(one): one for one in (*typing.get_args(annotation), annotation) if _is_settings(one)}
    several = len(kinds) > 1
    if isinstance(value, str) and several:
        value = {"kind": value}
    if not kinds or not isinstance(value, dict) or (several and "kind" not in value):
        return TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)
    given = dict(value)
    named = str(given.pop("kind", next(iter(kinds))))
    if _normal(named) not in kinds:
        raise TaskError(f"no kind {named!r}.{nearest(named, kinds)}")
    chosen = kinds[_normal(named)]
    fields = {field.name: field.type for field in dataclasses.fields(chosen)}
    for name in given:
        if name not in fields:
            raise TaskError(f"{chosen.__name__} has no field {name!r}.{nearest(name, fields)}")
    values = {name: _checked(fields[name], item) for name, item in given.items()}
    missing = [
        field.name
        for field in dataclasses.fields(chosen)
        if field.name not in values and field.default is field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise TaskError(f"{chosen.__name__} needs {', '.join(missing)}")
    return chosen(**values)


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def _kind(settings: type) -> str:
    """`RmsProp` is "rmsprop"."""
    return settings.__name__.lower()


def _normal(name: str) -> str:
    return name.lower().replace("_", "")


def _spelled(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
