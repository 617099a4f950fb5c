"""How a task's model is trained: plain settings, no TensorFlow."""

import math
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import TaskError
from pipeline.strategies import NAMES


def _require(ok: bool, rule: str, **received: object) -> None:
    if not ok:
        got = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise TaskError(f"training: {rule}. Received: {got}")


@dataclass(frozen=True)
class Adam:
    """Adam.

    Attributes:
      learning_rate: step size.
    """

    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        _require(0 < self.learning_rate < math.inf, "learning_rate: expected above 0", learning_rate=self.learning_rate)


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent.

    Attributes:
      learning_rate: step size.
      momentum: share of the last step kept, in [0, 1).
    """

    learning_rate: float = 1e-2
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _require(0 < self.learning_rate < math.inf, "learning_rate: expected above 0", learning_rate=self.learning_rate)
        _require(0 <= self.momentum < 1, "momentum: expected a share in [0, 1)", momentum=self.momentum)


@dataclass(frozen=True)
class EarlyStopping:
    """Stops when the validation loss no longer falls, and restores the best weights.

    Attributes:
      patience: validations without a better loss before it stops.
    """

    patience: int = 3

    def __post_init__(self) -> None:
        _require(self.patience > 0, "early_stopping.patience: expected at least 1", patience=self.patience)


@dataclass(frozen=True)
class Training:
    """The training loop.

    Attributes:
      steps: gradient steps, at the most.
      batch_size: rows in a step.
      validate_every: steps between two validations on the eval split.
      optimizer: Adam(…) or Sgd(…).
      early_stopping: EarlyStopping(…) or None.
      seed: of the weights and of the order of rows.
      strategy: "one_device", "mirrored" or "auto" (mirrored where there are several GPUs, else one device).
    """

    steps: int = 1000
    batch_size: int = 200
    validate_every: int = 200
    optimizer: Adam | Sgd = field(default_factory=Adam)
    early_stopping: EarlyStopping | None = None
    seed: int = 1
    strategy: Literal["auto", "one_device", "mirrored"] = "auto"

    def __post_init__(self) -> None:
        _require(self.steps > 0, "steps: expected at least 1", steps=self.steps)
        _require(self.batch_size > 0, "batch_size: expected at least 1", batch_size=self.batch_size)
        _require(self.validate_every > 0, "validate_every: expected at least 1", validate_every=self.validate_every)
        _require(
            isinstance(self.optimizer, Adam | Sgd), "optimizer: expected Adam(…) or Sgd(…)", optimizer=self.optimizer
        )
        _require(self.strategy in NAMES, f"strategy: expected one of {', '.join(NAMES)}", strategy=self.strategy)
