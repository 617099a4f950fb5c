"""What the Trainer leaves about a model and its training, against models of known layers."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from pipeline.task import Task
from pipeline.train import account
from pipeline.train.fit import Fitted
from pipeline.train.validation import Validation


def small() -> keras.Model:
    read = keras.Input((3,), name="read")
    hidden = keras.layers.Dense(4, name="hidden")(read)
    norm = keras.layers.BatchNormalization(name="norm")(hidden)
    return keras.Model(read, keras.layers.Dense(1, name="score")(norm), name="small")


def test_layers_have_their_shapes_and_parameters() -> None:
    found = account.architecture(small())
    assert [(each["name"], each["class"], each["shape"], each["parameters"]) for each in found["layers"]] == [
        ("read", "InputLayer", [3], 0),
        ("hidden", "Dense", [4], 16),
        ("norm", "BatchNormalization", [4], 16),
        ("score", "Dense", [1], 5),
    ]
    assert (found["name"], found["parameters"], found["trainable"]) == ("small", 37, 29)


def test_frozen_layers_do_not_train() -> None:
    model = small()
    model.get_layer("hidden").trainable = False
    assert [each["trainable"] for each in account.architecture(model)["layers"]] == [0, 0, 8, 5]


def test_sizes_that_vary_and_several_outputs() -> None:
    read = keras.Input((None, 2), name="read")
    model = keras.Model(read, keras.layers.LSTM(5, return_state=True, name="memory")(read))
    assert [each["shape"] for each in account.architecture(model)["layers"]] == [[None, 2], [[5], [5], [5]]]


def test_a_training_has_its_course_and_what_is_not_finite_is_null() -> None:
    history = [Validation(3, {"loss": 0.5, "val_auc": math.nan}), Validation(6, {"loss": 0.4, "val_auc": 0.9})]
    assert account.training(history, best_step=3) == {
        "steps": 6,
        "best_step": 3,
        "history": [{"step": 3, "loss": 0.5, "val_auc": None}, {"step": 6, "loss": 0.4, "val_auc": 0.9}],
    }


def test_files_of_a_training(tiny: Task, train: Callable[..., Fitted], tmp_path: Path) -> None:
    fitted = train(replace(tiny, training=replace(tiny.training, steps=4, validate_every=3)))
    account.save(str(tmp_path / "logs" / "new"), fitted.model, fitted.history, fitted.best_step)
    read: dict[str, Any] = {
        name: json.loads((tmp_path / "logs" / "new" / name).read_text("utf-8"))
        for name in (account.ARCHITECTURE, account.TRAINING)
    }
    assert read["architecture.json"]["parameters"] == fitted.model.count_params()
    assert [entry["step"] for entry in read["training.json"]["history"]] == [3, 4]
    assert read["training.json"]["history"][-1] == {"step": 4, **fitted.history[-1].values}
