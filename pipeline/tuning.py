"""The search for better settings of a task: which, among which values, how, how long. Plain settings, no TensorFlow.

    TASK = Task(
        …,
        tuning=Tuning(
            search={
                "training.optimizer.learning_rate": LogUniform(1e-4, 1e-1),
                "model.dropout": Choice(0.0, 0.1, 0.3),
                "model.hidden_units": Choice((64,), (128, 64)),
                "training.batch_size": IntRange(100, 800, step=100),
            },
            trials=20,
            steps=500,
        ),
    )

The keys are those of `--set`: a trial is the task with some of its settings replaced. `local_runner.py --tune` runs the
search; later runs use the best values that it found, until `--no-tuned` or another search.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.errors import TaskError, nearest

ALGORITHMS = ("random", "bayesian", "hyperband")
_SECTIONS = ("model", "training")
_LESS_IS_BETTER = ("loss", "error", "entropy", "mae", "mse", "rmse")
_MORE_IS_BETTER = ("accuracy", "auc", "precision", "recall", "f1")
_LENGTHS = ("training.steps", "training.epochs")


@dataclass(frozen=True, init=False)
class Choice:
    """One of some values.

    Attributes:
      values: numbers, texts, truth values, None, or tuples of these.
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        object.__setattr__(self, "values", values)
        if not values:
            raise TaskError("tuning: Choice: expected at least one value. Received: values=()")

    def contains(self, value: Any) -> bool:
        """Whether it is one of them; lists of JSON are tuples."""
        return any(_plain(value) == _plain(known) for known in self.values)

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that all must fit the task."""
        return self.values


@dataclass(frozen=True)
class Uniform:
    """A number between two, all equally likely.

    Attributes:
      low: the least.
      high: the greatest.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise TaskError(f"tuning: {type(self).__name__}: expected low < high. Received: ({self.low}, {self.high})")

    def contains(self, value: Any) -> bool:
        """Whether it is a number in the range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that all must fit the task: the ends."""
        return (self.low, self.high)


@dataclass(frozen=True)
class LogUniform(Uniform):
    """A number between two, above 0; all powers of ten equally likely: for learning rates and penalties."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low <= 0:
            raise TaskError(f"tuning: LogUniform: expected low above 0. Received: low={self.low}")


@dataclass(frozen=True)
class IntRange:
    """A whole number between two, these included.

    Attributes:
      low: the least.
      high: the greatest.
      step: between one value and the next.
    """

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        whole = all(isinstance(value, int) for value in (self.low, self.high, self.step))
        if not whole or not self.low < self.high or self.step < 1:
            raise TaskError(
                "tuning: IntRange: expected whole numbers, low < high, step from 1. "
                f"Received: ({self.low}, {self.high}, step={self.step})"
            )

    def contains(self, value: Any) -> bool:
        """Whether it is one of the numbers."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high and (value - self.low) % self.step == 0

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that all must fit the task: the ends."""
        return (self.low, self.low + (self.high - self.low) // self.step * self.step)


Space = Choice | Uniform | LogUniform | IntRange


@dataclass(frozen=True)
class Tuning:
    """A search over settings of the model and the training.

    Attributes:
      search: path of a setting, as in `--set` -> where to look. Only `model.` and `training.`.
      objective: "val_loss", or "val_" and one of the label's metrics: its best value in a trial is the trial's.
      direction: whether less ("min") or more ("max") of it is better; None: as its name says.
      algorithm: "random"; "bayesian" (a Gaussian process that learns from the trials so far); "hyperband" (many short
        trials, of which the best are tried again for longer).
      trials: at the most.
      steps: of each trial, with hyperband of the longest; None: as many as the task trains.
      seed: of the search.
    """

    search: Mapping[str, Space]
    objective: str = "val_loss"
    direction: Literal["min", "max"] | None = None
    algorithm: Literal["random", "bayesian", "hyperband"] = "random"
    trials: int = 20
    steps: int | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "search", dict(self.search))
        _require(bool(self.search), "search: expected at least one setting", search=self.search)
        for path, space in self.search.items():
            _require(isinstance(space, Space), f"search: {path}: expected Choice, Uniform, LogUniform or IntRange")
        _require(self.algorithm in ALGORITHMS, f"algorithm: expected {', '.join(ALGORITHMS)}", algorithm=self.algorithm)
        _require(self.trials > 0, "trials: expected at least 1", trials=self.trials)
        _require(self.steps is None or self.steps > 0, "steps: expected at least 1 or None", steps=self.steps)
        _require(self.objective.startswith("val_"), "objective: expected val_loss or val_…", objective=self.objective)
        _require(self.direction in (None, "min", "max"), "direction: expected min or max", direction=self.direction)
        _require(
            self.better is not None,
            f"direction: expected 'min' or 'max', since {self.objective!r} does not say which is better",
        )
        lengths = [path for path in self.search if path in _LENGTHS]
        _require(not lengths or self.steps is None, "steps: expected None where the search varies it", search=lengths)
        hyperband = self.algorithm == "hyperband"
        _require(not hyperband or self.steps is not None, "steps: hyperband expects those of its longest trial")

    @property
    def better(self) -> Literal["min", "max"] | None:
        """Whether less or more of the objective is better; None where neither name nor setting says so."""
        if self.direction or self.objective.endswith(_LESS_IS_BETTER):
            return self.direction or "min"
        return "max" if self.objective.endswith(_MORE_IS_BETTER) else None

    def problems(self, **sections: object) -> list[str]:
        """Paths that name no setting, a sentence each; sections by name, such as `model`."""
        return [problem for path in self.search if (problem := _unknown(path, sections))]


def fixed(path: str, overrides: Sequence[str]) -> bool:
    """Whether a `--set` gives a value to this setting, or to one that it is part of."""
    return any(path == given or path.startswith(f"{given}.") for given in (o.partition("=")[0] for o in overrides))


def override(path: str, value: Any) -> str:
    """A value as `--set` takes it."""
    return f"{path}={json.dumps(_plain(value))}"


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value))


def _unknown(path: str, sections: Mapping[str, object]) -> str | None:
    """Why a path leads nowhere; None where it leads to a setting."""
    head, *rest = path.split(".")
    if head not in _SECTIONS or head not in sections or not rest:
        return f"tuning: search: {path!r}: expected model.<field> or training.<field>."
    owner = sections[head]
    for name in rest:
        if not dataclasses.is_dataclass(owner):
            return f"tuning: search: {path!r}: {owner!r} has no field {name!r}."
        fields = [field.name for field in dataclasses.fields(owner)]
        if name not in fields:
            return f"tuning: search: {path!r}: {type(owner).__name__} has no field {name!r}.{nearest(name, fields)}"
        owner = getattr(owner, name)
    return None


def _require(ok: bool, rule: str, **received: object) -> None:
    if not ok:
        got = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise TaskError(f"tuning: {rule}." + (f" Received: {got}" if got else ""))
