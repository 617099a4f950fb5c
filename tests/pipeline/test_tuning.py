"""The search's settings: what is refused, what is in a space, which way an objective goes."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import TaskError
from pipeline.task import Task
from pipeline.tuning import Choice, IntRange, LogUniform, Tuning, Uniform, fixed, override

RATE = {"training.optimizer.learning_rate": LogUniform(1e-4, 1e-1)}


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            {"training.optimizer.learning_rat": Choice(1)},
            "Adam has no field 'learning_rat'. Did you mean 'learning_rate'",
        ),
        ({"model.dropot": Choice(0.1)}, "WideDeep has no field 'dropot'. Did you mean 'dropout'"),
        ({"features.miles.clip": Choice(1)}, r"expected model.<field> or training.<field>"),
        ({"model": Choice(1)}, r"'model': expected model.<field> or training.<field>"),
        ({"model.dropout.rate": Choice(1)}, "0.2 has no field 'rate'"),
    ],
)
def test_a_path_that_is_no_setting_is_refused_with_the_task(tiny: Task, search: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        replace(tiny, tuning=Tuning(search=search))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"search": {}}, "expected at least one setting"),
        ({"search": {"model.dropout": (0.1, 0.2)}}, "expected Choice, Uniform, LogUniform or IntRange"),
        ({"algorithm": "grid"}, "expected random, bayesian, hyperband. Received: algorithm='grid'"),
        ({"trials": 0}, "trials: expected at least 1"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"objective": "auc"}, "expected val_loss or val_…"),
        ({"objective": "val_surprise"}, "'val_surprise' does not say which is better"),
        ({"algorithm": "hyperband"}, "hyperband expects those of its longest trial"),
        ({"search": {"training.steps": IntRange(10, 90)}, "steps": 5}, "expected None where the search varies it"),
    ],
)
def test_settings_out_of_range_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Tuning(**{"search": RATE, **settings})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Choice(),
        lambda: Uniform(1, 1),
        lambda: LogUniform(0.0, 1),
        lambda: IntRange(5, 2),
        lambda: IntRange(0, 9, 0),
    ],
)
def test_spaces_that_are_empty_are_refused(make: Any) -> None:
    with pytest.raises(TaskError, match="tuning: "):
        make()


def test_what_a_space_contains() -> None:
    assert Choice((64,), (128, 64)).contains([128, 64]) and not Choice((64,)).contains([32])
    assert Choice(None, "a").contains(None) and not Choice(0.1).contains(0.2)
    assert Uniform(0, 1).contains(1) and not Uniform(0, 1).contains(1.1) and not Uniform(0, 1).contains(True)
    assert IntRange(100, 750, 200).contains(700) and not IntRange(100, 750, 200).contains(750)
    assert IntRange(100, 750, 200).examples == (100, 700)


@pytest.mark.parametrize(
    ("objective", "direction", "better"),
    [("val_loss", None, "min"), ("val_auc", None, "max"), ("val_rmse", None, "min"), ("val_thing", "max", "max"),
     ("val_binary_accuracy", None, "max"), ("val_auc", "min", "min")],
)  # fmt: skip
def test_which_way_an_objective_goes(objective: str, direction: Any, better: str) -> None:
    assert Tuning(search=RATE, objective=objective, direction=direction).better == better


def test_what_set_fixes() -> None:
    path = "training.optimizer.learning_rate"
    assert fixed(path, ["training.optimizer.learning_rate=0.1"]) and fixed(path, ['training.optimizer={"kind":"sgd"}'])
    assert not fixed(path, ["training.optimizer.momentum=0.1", "training.steps=5"])
    assert override("model.hidden_units", (64, 8)) == "model.hidden_units=[64, 8]"
