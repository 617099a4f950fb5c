"""What every kind of label shares: its interface."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pipeline.errors import TaskError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Scale(NamedTuple):
    """Of a label's values in the train split."""

    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True)
class Label:
    """What is predicted: the target that a model learns, its loss, and what its scores mean.

    Attributes:
      name: the raw column that holds it; absent at serving.
    """

    name: str
    output: ClassVar[str]
    """The main one of `answers`: what is evaluated."""
    accepts: ClassVar[tuple[str, ...]] = ("FLOAT", "INT")
    """The schema types that its columns may have."""
    measures: ClassVar[frozenset[str]]
    """The metrics that fit it, see `pipeline.gates`."""

    def __post_init__(self) -> None:
        if not self.name:
            raise TaskError(f"{type(self).__name__}: a label needs a column. Received: name=''")
        self.check()

    def check(self) -> None:
        """Raises TaskError where a setting is out of its range."""

    @property
    def columns(self) -> frozenset[str]:
        """The raw columns that the label is computed from."""
        return frozenset({self.name})

    @property
    def transformed(self) -> str:
        """Name of the transformed column."""
        return f"{self.name}_label"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what the label can be, in the order of the target's numbers; none of a number."""
        return ()

    @property
    def domain(self) -> tuple[str, ...]:
        """The only values that a column of text may have; empty where any will do, or where it holds several."""
        return ()

    @property
    def units(self) -> int:
        """Number of scores that a model gives for a row."""
        return 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row's target."""
        return (1,)

    def target(self, values: Mapping[str, "tf.Tensor"]) -> "tf.Tensor":
        """What the model learns to predict.

        Args:
          values: raw column -> shape [rows], for each of `columns`: float32 with NaN where missing, or, of a column of
            text, strings with "" where missing.

        Returns:
          float32 of shape [rows], or [rows, *shape] where a target has several values; NaN where it is unknown.
        """
        raise NotImplementedError

    def class_of(self, target: "tf.Tensor") -> "tf.Tensor":
        """The position in `classes` of each row's target, as for a weight of each class.

        Args:
          target: float32, [rows, *shape].

        Returns:
          int64, [rows].

        Raises:
          TaskError: a row is not of one class.
        """
        raise TaskError(
            f"label {self.name!r}: expected a label of one class a row, Binary or MultiClass. "
            f"Received: {type(self).__name__}"
        )

    def losses(self, target: "tf.Tensor", scores: "tf.Tensor", scale: Scale) -> "tf.Tensor":
        """The loss of each row.

        Args:
          target: float32, [rows, *shape].
          scores: a model's, float32, [rows, units].
          scale: of the label in training.

        Returns:
          float32, [rows].
        """
        raise NotImplementedError

    def answers(self, scores: "tf.Tensor", scale: Scale) -> dict[str, "tf.Tensor"]:
        """What a served model answers: output's name -> tensor of as many rows; `output` is one of them.

        Args:
          scores: a model's, [rows, units].
          scale: of the label in training.
        """
        raise NotImplementedError

    def metrics(self) -> "dict[str, keras.metrics.Metric]":
        """What is watched in training, by name: each takes the target and the main answer, as `target`, `answers`."""
        raise NotImplementedError
