"""Which metric importance is counted in, and how, with a model whose use of each column is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from pipeline.features import Numeric
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary, Label, Regression
from pipeline.report.sections.model import influence
from pipeline.report.sections.model.rows import Asked
from pipeline.task import Task

FEATURES = (Numeric("signal"), Numeric("noise"))


@dataclass(frozen=True)
class Known(Asked):
    """A model that goes by `signal` only."""

    def answer(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        return columns["signal"]


def known(label: Label, target: np.ndarray, signal: np.ndarray) -> Asked:
    columns = {"signal": signal, "noise": np.random.default_rng(0).random(len(signal))}
    model: Any = None
    return Known(model, label, columns, target.reshape(-1, 1).astype(np.float32), signal, 1e-7)


def test_a_perfect_auc_falls_to_that_of_chance(tiny: Task) -> None:
    signal = np.random.default_rng(3).random(1000)
    task = replace(tiny, features=FEATURES)
    found = influence.collect(task, known(tiny.label, signal > 0.5, signal))
    assert (found["metric"], found["rows"], found["repeats"]) == ("auc", 1000, 5)
    first, second = found["features"]
    assert first["name"] == "signal"
    assert first["mean"] == pytest.approx(0.5, abs=0.03)
    assert (second["mean"], second["low"], second["high"]) == (0, 0, 0)


def test_an_error_grows(tiny: Task, with_label: Callable[..., Task]) -> None:
    signal = np.random.default_rng(3).random(1000)
    task = replace(with_label(Regression("price"), "mae"), features=FEATURES)
    found = influence.collect(task, known(task.label, signal, signal))
    assert found["features"][0]["mean"] == pytest.approx(1 / 3, abs=0.03)


def test_the_first_gate_names_the_metric_unless_it_has_no_better_side(tiny: Task) -> None:
    gates = (Gate("calibration", at_least=0.5), Gate("binary_accuracy", at_least=0.1))
    rules = Evaluation(metrics=("auc", "calibration", "binary_accuracy"), gates=gates)
    assert influence.metric_of(replace(tiny, evaluation=rules)) == "binary_accuracy"
    assert influence.metric_of(replace(tiny, evaluation=replace(rules, gates=gates[:1]))) == "auc"


def test_one_column_is_not_weighed(tiny: Task) -> None:
    signal = np.random.default_rng(3).random(10)
    found = influence.collect(replace(tiny, features=FEATURES[:1]), known(Binary("yes"), signal > 0.5, signal))
    assert found["features"] == []
    assert "one column only, signal" in found["reason"]


def test_a_metric_that_is_not_defined(tiny: Task) -> None:
    signal = np.random.default_rng(3).random(10)
    found = influence.collect(replace(tiny, features=FEATURES), known(tiny.label, signal > 2, signal))
    assert "auc is not defined" in found["reason"]
