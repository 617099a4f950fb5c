"""Optimizers: what a step does with the gradients."""

import math
from dataclasses import dataclass
from typing import ClassVar

from pipeline.training.require import require
from pipeline.training.schedules import Constant, Cosine, Exponential, LearningRate


@dataclass(frozen=True)
class Optimizer:
    """What all share.

    Attributes:
      learning_rate: step size: a number, Constant(…), Cosine(…) or Exponential(…).
      clip_norm: the most that all gradients together may measure (their global L2 norm); longer ones are shortened.
      clip_value: the most that any number of a gradient may be; applied in place of clip_norm, not with it.
    """

    learning_rate: LearningRate = 1e-3
    clip_norm: float | None = None
    clip_value: float | None = None
    kind: ClassVar[str]
    """Its name in `--set training.optimizer=…`."""

    def __post_init__(self) -> None:
        rate = self.learning_rate
        if isinstance(rate, int | float):
            require(0 < rate < math.inf, "learning_rate: expected above 0", learning_rate=rate)
        else:
            known = isinstance(rate, Constant | Cosine | Exponential)
            require(known, "learning_rate: expected a number or a schedule", learning_rate=rate)
        for name in ("clip_norm", "clip_value"):
            value = getattr(self, name)
            require(value is None or 0 < value < math.inf, f"{name}: expected above 0 or None", **{name: value})
        require(
            self.clip_norm is None or self.clip_value is None,
            "expected clip_norm or clip_value, not both",
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
        )


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015).

    Attributes:
      beta_1: share of the mean gradient kept at each step, in [0, 1).
      beta_2: share of the mean squared gradient kept.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    kind: ClassVar[str] = "adam"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta_1", "beta_2"):
            share = getattr(self, name)
            require(0 <= share < 1, f"{name}: expected a share in [0, 1)", **{name: share})


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weights that decay by themselves (Loshchilov and Hutter, 2019).

    Attributes:
      weight_decay: share of each weight, times the learning rate, that is taken off at a step.
    """

    weight_decay: float = 4e-3
    kind: ClassVar[str] = "adamw"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.weight_decay < 1, "weight_decay: expected in [0, 1)", weight_decay=self.weight_decay)


@dataclass(frozen=True)
class Sgd(Optimizer):
    """Stochastic gradient descent.

    Attributes:
      momentum: share of the last step kept, in [0, 1).
      nesterov: whether the gradient is taken where the momentum leads.
    """

    learning_rate: LearningRate = 1e-2
    momentum: float = 0.0
    nesterov: bool = False
    kind: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.momentum < 1, "momentum: expected a share in [0, 1)", momentum=self.momentum)


@dataclass(frozen=True)
class RmsProp(Optimizer):
    """RMSprop (Hinton, 2012).

    Attributes:
      rho: share of the mean squared gradient kept at each step, in [0, 1).
      momentum: share of the last step kept, in [0, 1).
    """

    rho: float = 0.9
    momentum: float = 0.0
    kind: ClassVar[str] = "rmsprop"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rho", "momentum"):
            share = getattr(self, name)
            require(0 <= share < 1, f"{name}: expected a share in [0, 1)", **{name: share})
