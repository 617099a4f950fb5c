"""Optimizers and schedules: what Keras is told, and the rates, against formulas."""

import math
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.models.base import Phase
from pipeline.train.optimizers import Rate, begins, learning_rate_at, optimizer, phase_of
from pipeline.training import Adam, AdamW, Constant, Cosine, Exponential, RmsProp, Sgd, Training

ONE = (Phase(),)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (0.5, lambda s: 0.5),
        (Constant(0.5, warmup_steps=4), lambda s: 0.5 * min((s + 1) / 4, 1)),
        (Cosine(0.5), lambda s: 0.25 * (1 + math.cos(math.pi * s / 100))),
        (Cosine(0.5, steps=10, final=0.2), lambda s: 0.1 + 0.2 * (1 + math.cos(math.pi * min(s / 10, 1)))),
        (Cosine(0.5, 20), lambda s: 0.5 * (s + 1) / 20 if s < 20 else 0.25 * (1 + math.cos(math.pi * (s - 20) / 80))),
        (Exponential(0.5), lambda s: 0.5 * 0.1 ** (s / 100)),
        (Exponential(0.5, 5, factor=0.5, steps=10), lambda s: 0.5 * ((s + 1) / 5 if s < 5 else 0.5 ** ((s - 5) / 10))),
    ],
)
def test_rates(spec: Any, expected: Any) -> None:
    training = Training(optimizer=Adam(spec))
    for step in (0, 1, 3, 4, 5, 19, 20, 50, 99, 120):
        wanted = expected(step) if not (isinstance(spec, Cosine) and step > 100) else expected(100)
        assert learning_rate_at(training, ONE, step, 100) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
        assert float(Rate(spec, 100, ONE)(step)) == pytest.approx(wanted, rel=1e-4, abs=1e-7)


def test_phases_have_their_own_rates() -> None:
    phases = (Phase(0.3, 1.0), Phase(0.7, 0.1))
    assert begins(phases, 10) == [0, 3]
    assert [phase_of(phases, step, 10) for step in (0, 2, 3, 9)] == [0, 0, 1, 1]
    training = Training(optimizer=Sgd(2.0))
    assert [learning_rate_at(training, phases, step, 10) for step in (2, 3)] == [2.0, pytest.approx(0.2)]
    rate = optimizer(training, phases, 10)._learning_rate
    np.testing.assert_allclose([float(rate(step)) for step in (2, 3)], [2.0, 0.2], rtol=1e-6)


def test_keras_is_told_every_setting() -> None:
    made = {
        type(spec): optimizer(Training(optimizer=spec), ONE, 10).get_config()
        for spec in (
            Sgd(0.1, momentum=0.9, nesterov=True, clip_norm=2.0),
            RmsProp(0.2, rho=0.8, momentum=0.3, clip_value=3.0),
            Adam(0.3, beta_1=0.5, beta_2=0.6),
            AdamW(0.4, weight_decay=0.07),
        )
    }
    names = {
        Sgd: {"momentum": 0.9, "nesterov": True, "global_clipnorm": 2.0, "learning_rate": 0.1},
        RmsProp: {"rho": 0.8, "momentum": 0.3, "clipvalue": 3.0, "learning_rate": 0.2},
        Adam: {"beta_1": 0.5, "beta_2": 0.6, "learning_rate": 0.3},
        AdamW: {"weight_decay": 0.07, "learning_rate": 0.4},
    }
    for kind, wanted in names.items():
        for name, value in wanted.items():
            assert made[kind][name] == pytest.approx(value), (kind, name)


def test_float16_has_a_scaled_loss() -> None:
    made = optimizer(Training(precision="mixed_float16"), ONE, 10)
    assert isinstance(made, keras.optimizers.LossScaleOptimizer)
