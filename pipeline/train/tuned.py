"""The search of a task, and the task with the values that a search has found, as far as these fit it."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import tasks
from pipeline.errors import UsageError, raise_all
from pipeline.task import Task
from pipeline.tuning import Tuning, fixed, override

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

NAME = "tuned.json"
_LOG = logging.getLogger(__name__)
_OF_THE_ALGORITHM = "tuner/"


@dataclass(frozen=True)
class Tuned:
    """A task and where its settings come from.

    Attributes:
      task: file, found values, `--set`: the later wins.
      values: path -> found value that is in use.
      overridden: paths whose found value gives way to `--set`.
      dropped: why the others no longer fit, a sentence each.
    """

    task: Task
    values: dict[str, Any]
    overridden: list[str]
    dropped: list[str]


def values_of(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Path -> value, from the configuration that keras-tuner writes: what is no number is JSON there."""
    found = hyperparameters["values"].items()
    return {
        path: json.loads(value) if isinstance(value, str) else value
        for path, value in found
        if not path.startswith(_OF_THE_ALGORITHM)
    }


def search_of(name: str, overrides: Sequence[str]) -> Tuning:
    """The search of a task without the settings that `--set` fixes; its values are tried on the task.

    Raises:
      UsageError: there is none, nothing of it is left, or some value does not fit the task.
    """
    tuning = tasks.load(name, overrides).tuning
    if tuning is None:
        raise UsageError(f"--tune: task {name!r} has no search. Next: give it tuning=Tuning(…), see pipeline/tuning.py")
    free = {path: space for path, space in tuning.search.items() if not fixed(path, overrides)}
    if not free:
        raise UsageError(f"--tune: --set leaves nothing to search for. Received: {', '.join(tuning.search)}")
    problems = []
    for path, space in free.items():
        for value in space.examples:
            try:
                tasks.load(name, [*overrides, override(path, value)])
            except UsageError as error:
                problems.append(str(error).removeprefix("--set "))
    raise_all(UsageError, f"--tune: the search of task {name!r} has values that do not fit it:", problems)
    return Tuning(**{**vars(tuning), "search": free})


def with_tuned(name: str, overrides: Sequence[str], found: Mapping[str, Any]) -> Tuned:
    """The task of that name with the found values, and then the overrides, applied.

    A value that the edited task would no longer search for, or accept, is dropped.

    Raises:
      UsageError: an override that does not fit.
    """
    search = {} if (tuning := tasks.load(name, ()).tuning) is None else tuning.search
    values: dict[str, Any] = {}
    overridden, dropped = [], []
    for path, value in found.items():
        if fixed(path, overrides):
            overridden.append(path)
        elif path not in search:
            dropped.append(f"{path}={value!r}: the task's search has no such setting any more")
        elif not search[path].contains(value):
            dropped.append(f"{path}={value!r}: not in {search[path]}")
        else:
            try:
                tasks.load(name, [override(*pair) for pair in (*values.items(), (path, value))])
                values[path] = value
            except UsageError as error:
                dropped.append(f"{path}={value!r}: {error}")
    task = tasks.load(name, [*(override(*pair) for pair in values.items()), *overrides])
    return Tuned(task, values, overridden, dropped)


def of_run(fn_args: "FnArgs") -> Task:
    """The task that a Trainer trains; what it used of a search goes to `tuned.json` in its logs' folder, and to the log."""
    config = fn_args.custom_config
    hyperparameters = getattr(fn_args, "hyperparameters", None)
    if not hyperparameters:
        return tasks.load(config["task"], config["overrides"])
    tuned = with_tuned(config["task"], config["overrides"], values_of(hyperparameters))
    record = {"run": config.get("tuned_in", ""), **{k: getattr(tuned, k) for k in ("values", "overridden", "dropped")}}
    folder = Path(fn_args.model_run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    _LOG.info("values that a search found: %s", record)
    return tuned.task
