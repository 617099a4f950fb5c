"""Optimizers and schedules of `pipeline.training` as Keras has them."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from pipeline.models.base import Phase
from pipeline.training import Adam, AdamW, Cosine, Exponential, LearningRate, RmsProp, Sgd, Training
from pipeline.training.schedules import Schedule, length, rate_at


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """`pipeline.training.schedules.rate_at` in the graph, times what the model's phase asks for."""

    def __init__(self, spec: LearningRate, total: int, phases: Sequence[Phase]) -> None:
        """Of a training of `total` steps."""
        self.spec, self.total, self.phases = spec, total, tuple(phases)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of a step, counted from 0."""
        now = tf.cast(step, tf.float32)
        rate = self._of_schedule(now)
        for begin, phase in zip(begins(self.phases, self.total), self.phases, strict=True):
            if begin == 0:
                factor = tf.constant(phase.learning_rate, tf.float32)
            else:
                factor = tf.where(now >= begin, phase.learning_rate, factor)
        return rate * factor

    def _of_schedule(self, now: tf.Tensor) -> tf.Tensor:
        spec = self.spec
        if not isinstance(spec, Schedule):
            return tf.constant(spec, tf.float32)
        past = now - spec.warmup_steps
        if isinstance(spec, Cosine):
            share = tf.minimum(past / length(spec, self.total), 1.0)
            after = spec.rate * (
                spec.final + (1.0 - spec.final) * (1.0 + tf.cos(tf.constant(3.141592653589793) * share)) / 2.0
            )
        elif isinstance(spec, Exponential):
            after = spec.rate * tf.pow(tf.constant(spec.factor, tf.float32), past / length(spec, self.total))
        else:
            after = tf.constant(spec.rate, tf.float32)
        return tf.where(past < 0, spec.rate * (now + 1.0) / max(spec.warmup_steps, 1), after)

    def get_config(self) -> dict[str, object]:
        """What Keras asks of every schedule."""
        return {"spec": self.spec, "total": self.total, "phases": self.phases}


def begins(phases: Sequence[Phase], total: int) -> list[int]:
    """The first step of each phase, counted from 0."""
    return [round(sum(phase.share for phase in phases[:index]) * total) for index in range(len(phases))]


def phase_of(phases: Sequence[Phase], step: int, total: int) -> int:
    """The phase that a step, counted from 0, is in."""
    return max(index for index, begin in enumerate(begins(phases, total)) if index == 0 or step >= begin)


def learning_rate_at(training: Training, phases: Sequence[Phase], step: int, total: int) -> float:
    """The learning rate of a step, counted from 0, as `optimizer` applies it."""
    return rate_at(training.optimizer.learning_rate, step, total) * phases[phase_of(phases, step, total)].learning_rate


def optimizer(training: Training, phases: Sequence[Phase], total: int) -> keras.optimizers.Optimizer:
    """The optimizer of a training.

    Args:
      training: its settings.
      phases: of the model.
      total: steps of the training.
    """
    spec = training.optimizer
    plain = isinstance(spec.learning_rate, int | float) and all(phase.learning_rate == 1.0 for phase in phases)
    rate = float(spec.learning_rate) if plain else Rate(spec.learning_rate, total, phases)  # type: ignore[arg-type]
    clip = {"global_clipnorm": spec.clip_norm, "clipvalue": spec.clip_value}
    made: keras.optimizers.Optimizer
    if isinstance(spec, AdamW):
        made = keras.optimizers.AdamW(rate, spec.weight_decay, beta_1=spec.beta_1, beta_2=spec.beta_2, **clip)
    elif isinstance(spec, Adam):
        made = keras.optimizers.Adam(rate, beta_1=spec.beta_1, beta_2=spec.beta_2, **clip)
    elif isinstance(spec, Sgd):
        made = keras.optimizers.SGD(rate, momentum=spec.momentum, nesterov=spec.nesterov, **clip)
    else:
        assert isinstance(spec, RmsProp)  # noqa: S101
        made = keras.optimizers.RMSprop(rate, rho=spec.rho, momentum=spec.momentum, **clip)
    return keras.optimizers.LossScaleOptimizer(made) if training.precision == "mixed_float16" else made
