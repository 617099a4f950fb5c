"""How a training went, from what the Trainer and the Tuner leave."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.report.sections.model import training
from pipeline.task import Task
from pipeline.train import account
from pipeline.train.validation import Validation
from pipeline.training import EarlyStopping

LOSSES = (0.5, 0.3, 0.4, 0.35)


@pytest.fixture
def course(run_of: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A function: a task and the best step, to the course of its training; validated at 10, 20, 30 and 40."""

    def make(task: Task, best: int) -> Any:
        history = [Validation(10 * i, {"loss": x, "val_loss": x, "val_auc": 1 - x}) for i, x in enumerate(LOSSES, 1)]
        (tmp_path / account.TRAINING).write_text(json.dumps(account.training(history, best)))
        return training.collect(run_of(task, {("Trainer", "model_run"): str(tmp_path)}))["course"]

    return make


def test_the_last_step_without_early_stopping(tiny: Task, course: Any) -> None:
    found = course(tiny, 40)
    assert (found["steps"], found["planned"], found["best_step"], found["early"]) == (40, 6, 40, False)
    assert (found["metric"], found["watched"]) == (None, "val_auc")
    assert found["best"] == {"step": 40, "loss": 0.35, "val_loss": 0.35, "val_auc": 0.65}


@pytest.mark.parametrize(("patience", "early"), [(2, True), (3, False)])
def test_early_stopping_ended_it_or_not(tiny: Task, course: Any, patience: int, early: bool) -> None:
    stopping = EarlyStopping(patience=patience, metric="val_auc")
    found = course(replace(tiny, training=replace(tiny.training, early_stopping=stopping)), 20)
    assert (found["early"], found["patience"], found["metric"], found["watched"]) == (
        early,
        patience,
        "val_auc",
        "val_auc",
    )
    assert found["best"]["val_loss"] == 0.3


def test_settings_in_use_the_usual_first(tiny: Task, run_of: Any) -> None:
    found = training.collect(run_of(tiny, {}))
    names = [setting["name"] for setting in found["settings"]]
    assert names[:3] == ["model", "training.optimizer", "training.optimizer.learning_rate"]
    values = {setting["name"]: setting["value"] for setting in found["settings"]}
    assert (values["model"], values["training.batch_size"], values["training.optimizer.learning_rate"]) == (
        "WideDeep",
        32,
        0.01,
    )
    assert "training.epochs" not in values
    assert (found["course"], found["layers"], found["tuned"], found["trials"]) == (None, None, None, None)


def test_values_of_a_search_are_marked(tiny: Task, run_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = replace(tiny, training=replace(tiny.training, batch_size=64))
    monkeypatch.setattr(training, "with_tuned", lambda name, overrides, values: SimpleNamespace(task=tuned))
    record = {"run": "20251231T000000", "values": {"training.batch_size": 64}, "overridden": [], "dropped": ["old"]}
    found = training.collect(run_of(tiny, {}, tuned=record))
    (batch,) = (setting for setting in found["settings"] if setting["found"])
    assert batch == {"name": "training.batch_size", "value": 64, "found": True, "main": True}
    assert found["tuned"] == {"run": "20251231T000000", "overridden": [], "dropped": ["old"]}


def test_a_task_that_is_gone_has_no_settings(run_of: Any) -> None:
    assert training.collect(run_of(None, {}))["settings"] == []


@pytest.mark.parametrize(("direction", "order"), [("min", [2, 1, 3]), ("max", [1, 2, 3])])
def test_trials_the_best_first_and_the_failed_last(run_of: Any, direction: str, order: list[int]) -> None:
    trials = [
        {"value": value, "values": {"model.units": units}, "seconds": 1.5, "step": 10, "reason": reason}
        for value, units, reason in ((0.4, [8, 4], ""), (0.2, 16, ""), (None, 99, "NaN"))
    ]
    tuning = {"best": {"model.units": 16}, "objective": "val_loss", "direction": direction, "algorithm": "random"}
    found = training.collect(run_of(None, {}, tuning=tuning | {"trials": trials}))["trials"]
    assert [trial["number"] for trial in found["trials"]] == order
    assert (found["count"], found["failed"], found["paths"]) == (3, 1, ["model.units"])
    assert {trial["number"]: trial["values"] for trial in found["trials"]} == {1: ["[8, 4]"], 2: [16], 3: [99]}
    assert found["trials"][-1]["reason"] == "NaN"
