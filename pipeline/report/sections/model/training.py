"""How the model came about: curves, why training ended, settings, the search for them, layers."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.errors import MillraceError
from pipeline.report.sources import Run
from pipeline.task import Task
from pipeline.train import account
from pipeline.train.logs import settings_of
from pipeline.train.tuned import with_tuned

_TRIALS = 200
_FIRST = (
    *("model", "training.optimizer", "training.optimizer.learning_rate", "training.batch_size", "training.steps"),
    *("training.epochs", "training.strategy", "training.seed"),
)
_NONE = "None"


def collect(run: Run) -> dict[str, Any]:
    """What the page shows of the training.

    Returns:
      course: steps, planned, best_step, early (whether early stopping ended it), patience, metric, watched, history;
      None where the Trainer left no account. settings: name, value, found (by a search), main. tuned, trials, layers: None
      where there are none. start: of a warm start.
    """
    task = resolved(run)
    found = run.record.get("tuned") or {}
    return {
        "course": _course(run.json("Trainer", "model_run", account.TRAINING), task, run),
        "settings": _settings(task, found.get("values") or {}) if task else [],
        "tuned": {
            "run": found.get("run"),
            "overridden": list(found.get("overridden") or ()),
            "dropped": list(found.get("dropped") or ()),
        }
        if found
        else None,
        "trials": _trials(run.record["tuning"]) if run.record.get("tuning") else None,
        "layers": run.json("Trainer", "model_run", account.ARCHITECTURE),
        "start": run.record.get("warm_start"),
    }


def resolved(run: Run) -> Task | None:
    """The task with the values of a search that the training used."""
    values = (run.record.get("tuned") or {}).get("values")
    if run.task is None or not values:
        return run.task
    try:
        overrides = run.record.get("config", {}).get("overrides") or ()
        return with_tuned(run.task.name, overrides, values).task
    except MillraceError:
        return run.task


def _course(found: Mapping[str, Any] | None, task: Task | None, run: Run) -> dict[str, Any] | None:
    if not found or not found["history"]:
        return None
    stopping = task.training.early_stopping if task else None
    metrics = [name for name in found["history"][0] if name.startswith("val_") and name != "val_loss"]
    chosen_by = stopping.metric if stopping else None
    after = sum(entry["step"] > found["best_step"] for entry in found["history"])
    return {
        "steps": found["steps"],
        "planned": task.training.length((run.record.get("rows") or {}).get("train")) if task else None,
        "best_step": found["best_step"],
        "early": bool(stopping and after >= stopping.patience),
        "patience": stopping.patience if stopping else None,
        "metric": chosen_by,
        "watched": chosen_by if chosen_by in metrics else next(iter(metrics), None),
        "best": next((entry for entry in found["history"] if entry["step"] == found["best_step"]), None),
        "history": found["history"],
    }


def _settings(task: Task, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All settings, those that most people ask for first; what is not set is left out."""
    named = {path: value for path, value in settings_of(task).items() if value != _NONE}
    order = [*(path for path in _FIRST if path in named), *(path for path in named if path not in _FIRST)]
    return [
        {"name": path, "value": named[path], "found": path in found, "main": path in _FIRST or path in found}
        for path in order
    ]


def _trials(tuning: Mapping[str, Any]) -> dict[str, Any]:
    """A search: its trials, the best first; values in the order of `paths`."""
    paths = list(tuning["best"])
    sign = 1 if tuning["direction"] == "min" else -1
    trials = [
        {
            "number": number,
            "value": trial["value"],
            "seconds": trial.get("seconds"),
            "step": trial.get("step"),
            "reason": trial.get("reason") or None,
            "values": [shown(trial["values"].get(path)) for path in paths],
        }
        for number, trial in enumerate(tuning["trials"], 1)
    ]
    trials.sort(key=lambda trial: (trial["value"] is None, sign * (trial["value"] or 0.0)))
    return {
        "objective": tuning["objective"],
        "direction": tuning["direction"],
        "algorithm": tuning["algorithm"],
        "count": len(trials),
        "failed": sum(trial["value"] is None for trial in trials),
        "paths": paths,
        "trials": trials[:_TRIALS],
    }


def shown(value: Any) -> Any:
    """A setting's value as one number, truth value or text."""
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)
