"""The step: its gradient and its loss, against a computation by hand; what it does with values that are not finite."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.labels import Binary, Scale
from pipeline.models.base import Phase
from pipeline.task import Task
from pipeline.train.optimizers import optimizer
from pipeline.train.step import Step
from pipeline.train.weighting import class_weights, weighted
from pipeline.training import Sgd, Training

X = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5], [-2.0, 1.0]], np.float32)
Y = np.array([[1.0], [0.0], [1.0], [1.0]], np.float32)
START = np.array([[0.3], [-0.2]], np.float32)


def linear(l2: float = 0.0) -> keras.Model:
    inputs = {"x": keras.Input((2,), name="x")}
    penalty = keras.regularizers.L2(l2) if l2 else None
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_regularizer=penalty)(inputs["x"]))
    model.set_weights([START])
    return model


def squared(target: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.square(scores - target), 1)


def run(model: keras.Model, spec: Sgd, losses: Any = squared, x: np.ndarray = X, steps: int = 1) -> np.ndarray:
    made = optimizer(Training(optimizer=spec), (Phase(),), 10)
    made.build(model.trainable_variables)
    data = tf.data.Dataset.from_tensors(({"x": x}, Y)).repeat()
    taken = Step(model, made, losses, precise=True, jit=False).steps(None)(iter(data), tf.constant(steps))
    found: np.ndarray = taken.numpy()
    return found


def gradient(weights: np.ndarray = START, row_weights: np.ndarray | float = 1.0) -> np.ndarray:
    found: np.ndarray = 2 * X.T @ ((X @ weights - Y) * row_weights) / len(X)
    return found


def test_a_step_of_gradient_descent_and_its_loss() -> None:
    model = linear()
    total, done, last = run(model, Sgd(0.1))
    np.testing.assert_allclose(model.get_weights()[0], START - 0.1 * gradient(), rtol=1e-5)
    assert (done, total) == (1, last)
    assert last == pytest.approx(float(np.mean((X @ START - Y) ** 2)), rel=1e-6)


def test_regularisation_is_in_the_loss_and_the_gradient() -> None:
    model = linear(l2=0.5)
    _, _, last = run(model, Sgd(0.1))
    np.testing.assert_allclose(model.get_weights()[0], START - 0.1 * (gradient() + START), rtol=1e-5)
    assert last == pytest.approx(float(np.mean((X @ START - Y) ** 2) + 0.5 * np.sum(START**2)), rel=1e-6)


def test_clip_norm_shortens_all_gradients_together_and_clip_value_each_number() -> None:
    found = gradient()
    for spec, expected in (
        (Sgd(0.1, clip_norm=0.01), found / np.linalg.norm(found) * 0.01),
        (Sgd(0.1, clip_value=0.05), np.clip(found, -0.05, 0.05)),
    ):
        model = linear()
        run(model, spec)
        np.testing.assert_allclose(model.get_weights()[0], START - 0.1 * expected, rtol=1e-4)


def test_class_weights_multiply_the_loss_of_their_rows(tiny: Task) -> None:
    task = replace(tiny, label=Binary("y"), training=replace(tiny.training, class_weights={"yes": 3.0}))
    assert class_weights(task, None) == [1.0, 3.0]
    losses = weighted(task, Scale(), None)
    model = linear()
    _, _, last = run(model, Sgd(0.1), losses)
    scores = X @ START
    by_hand = np.where(Y == 1, 3.0, 1.0) * (np.log1p(np.exp(scores)) - Y * scores)
    assert last == pytest.approx(float(by_hand.mean()), rel=1e-6)
    error = np.where(Y == 1, 3.0, 1.0) * (1 / (1 + np.exp(-scores)) - Y)
    np.testing.assert_allclose(model.get_weights()[0], START - 0.1 * X.T @ error / 4, rtol=1e-5)


def test_balanced_weights_make_classes_count_alike(tiny: Task) -> None:
    task = replace(tiny, label=Binary("y"), training=replace(tiny.training, class_weights="balanced"))
    found = class_weights(task, Y)
    assert found == pytest.approx([4 / (2 * 1), 4 / (2 * 3)])
    assert class_weights(task, np.ones([5, 1], np.float32)) == [1.0, 1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_it_ends_at_the_step_that_is_not_finite(bad: float) -> None:
    model = linear()
    spoilt = X.copy()
    spoilt[2, 1] = bad
    _, done, _ = run(model, Sgd(0.1), x=spoilt, steps=5)
    assert done == 0


def test_a_gradient_that_is_not_finite_is_found_where_the_loss_is_finite() -> None:
    _, done, last = run(linear(), Sgd(0.1), lambda target, scores: tf.sqrt(tf.reduce_sum(scores * 0.0, 1)), steps=5)
    assert (done, last) == (0, 0)


def test_jit_computes_the_same() -> None:
    plain, compiled = linear(0.1), linear(0.1)
    run(plain, Sgd(0.1), steps=3)
    made = optimizer(Training(optimizer=Sgd(0.1)), (Phase(),), 10)
    made.build(compiled.trainable_variables)
    data = tf.data.Dataset.from_tensors(({"x": X}, Y)).repeat()
    Step(compiled, made, squared, precise=True, jit=True).steps(None)(iter(data), tf.constant(3))
    np.testing.assert_allclose(plain.get_weights()[0], compiled.get_weights()[0], rtol=1e-5)
