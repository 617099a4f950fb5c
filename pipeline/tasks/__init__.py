"""Tasks, found by file: `pipeline/tasks/<name>.py` defines `TASK = Task(…)` and nothing else needs to know."""

import importlib
import pkgutil
from collections.abc import Sequence

from pipeline.errors import MillraceError, TaskError, UsageError, nearest
from pipeline.overrides import apply
from pipeline.task import Task


def names() -> list[str]:
    """Names of all tasks, sorted; a broken one is among them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str, overrides: Sequence[str] = ()) -> Task:
    """The task of that name.

    Args:
      name: a file's name under `pipeline/tasks/`, without `.py`.
      overrides: `section.field=value`, applied in order (see `pipeline.overrides`).

    Raises:
      UsageError: no such task, or an override that does not fit.
      TaskError: its file can't be imported or does not define a `TASK` of that name.
    """
    if name not in names():
        raise UsageError(f"Unknown task {name!r}.{nearest(name, names())}")
    try:
        module = importlib.import_module(f"{__name__}.{name}")
    except MillraceError as error:
        raise TaskError(f"pipeline/tasks/{name}.py: {error}") from error
    except Exception as error:
        raise TaskError(f"pipeline/tasks/{name}.py can't be imported: {type(error).__name__}: {error}") from error
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task):
        raise TaskError(f"pipeline/tasks/{name}.py: expected TASK = Task(…). Received: TASK={task!r}")
    if task.name != name:
        raise TaskError(f"pipeline/tasks/{name}.py: expected the file's name. Received: name={task.name!r}")
    return apply(task, overrides)
