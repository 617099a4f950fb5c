"""Learning rates that change with the step.

Every schedule starts with `warmup_steps` steps of a straight line from rate / warmup_steps to rate: step s, counted from
0, has rate * (s + 1) / warmup_steps. What follows counts from the end of the warm-up.

    Adam(1e-3)                                     0.001 throughout
    Adam(Cosine(1e-3, warmup_steps=100))           up to 0.001 within 100 steps, down to 0 at the end of the training
    Sgd(Exponential(0.1, factor=0.5, steps=1000))  half as much every 1,000 steps
"""

import math
from dataclasses import dataclass

from pipeline.training.require import require


@dataclass(frozen=True)
class Schedule:
    """A learning rate as a function of the step.

    Attributes:
      rate: the highest.
      warmup_steps: steps until it is reached.
    """

    rate: float
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        require(0 < self.rate < math.inf, "learning_rate: rate: expected above 0", rate=self.rate)
        require(
            self.warmup_steps >= 0, "learning_rate: warmup_steps: expected at least 0", warmup_steps=self.warmup_steps
        )


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate in every step after the warm-up."""


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a wave from `rate` down to `final` of it: rate * (final + (1 - final) * (1 + cos(pi * p)) / 2).

    p is the share of `steps` that is past, 1 at the most (Loshchilov and Hutter, 2017, without restarts).

    Attributes:
      steps: from the end of the warm-up to the lowest; None: to the end of the training.
      final: the lowest, as a share of `rate`.
    """

    steps: int | None = None
    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps is None or self.steps > 0, "learning_rate: steps: expected at least 1", steps=self.steps)
        require(0 <= self.final <= 1, "learning_rate: final: expected a share in [0, 1]", final=self.final)


@dataclass(frozen=True)
class Exponential(Schedule):
    """A share of the rate for every `steps` steps: rate * factor^(s / steps).

    Attributes:
      factor: the share, in (0, 1].
      steps: in which the rate falls by it; None: from the end of the warm-up to the end of the training.
    """

    factor: float = 0.1
    steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps is None or self.steps > 0, "learning_rate: steps: expected at least 1", steps=self.steps)
        require(0 < self.factor <= 1, "learning_rate: factor: expected a share in (0, 1]", factor=self.factor)


LearningRate = float | Constant | Cosine | Exponential


def rate_at(learning_rate: LearningRate, step: int, total: int) -> float:
    """The learning rate of a step.

    Args:
      learning_rate: a number or a schedule.
      step: counted from 0.
      total: steps of the training, which a schedule without steps of its own takes.
    """
    if not isinstance(learning_rate, Schedule):
        return float(learning_rate)
    warmup = learning_rate.warmup_steps
    if step < warmup:
        return learning_rate.rate * (step + 1) / warmup
    if isinstance(learning_rate, Cosine):
        share = min((step - warmup) / length(learning_rate, total), 1.0)
        wave = (1.0 + math.cos(math.pi * share)) / 2.0
        return learning_rate.rate * (learning_rate.final + (1.0 - learning_rate.final) * wave)
    if isinstance(learning_rate, Exponential):
        return float(learning_rate.rate * learning_rate.factor ** ((step - warmup) / length(learning_rate, total)))
    return learning_rate.rate


def length(schedule: Cosine | Exponential, total: int) -> int:
    """The schedule's own steps, or else those of the training that follow the warm-up; at least 1."""
    return schedule.steps or max(total - schedule.warmup_steps, 1)
