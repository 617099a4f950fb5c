"""The kinds of label: what is predicted, from which columns, with which loss and output."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipeline.errors import TaskError
from pipeline.expressions import Column, Expression

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Label:
    """What is predicted.

    Attributes:
      name: the raw column that holds it; absent at serving.
    """

    name: str
    output: ClassVar[str]

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

    def target(self, values: Mapping[str, "tf.Tensor"]) -> "tf.Tensor":
        """What the model learns to predict.

        Args:
          values: raw column -> float32 of shape [rows], NaN where missing, for each of `columns`.

        Returns:
          float32 of shape [rows]; NaN where it is unknown.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Binary(Label):
    """Yes or no. The model's output is the probability of yes.

    Without a condition the column itself holds 0 and 1.
    """

    condition: Expression | None = None
    output: ClassVar[str] = "probability"

    @classmethod
    def where(cls, column: str, *, greater_than: Expression | float) -> "Binary":
        """Yes where the column is greater than a number or an expression over columns.

        A row in which the comparison meets a missing value counts as no.
        """
        return cls(column, Column(column) > greater_than)

    @property
    def columns(self) -> frozenset[str]:
        return frozenset({self.name}) | (frozenset() if self.condition is None else self.condition.columns)

    def target(self, values: Mapping[str, "tf.Tensor"]) -> "tf.Tensor":
        import tensorflow as tf

        if self.condition is None:
            return values[self.name]
        return tf.cast(self.condition.evaluate(values), tf.float32)


@dataclass(frozen=True)
class Regression(Label):
    """A number, predicted in the unit of its column.

    Attributes:
      loss: "huber" (quadratic up to one standard deviation, then linear), "mse" or "mae", on the standardised label.
      clip: (low, high) for the label in training and evaluation, or None.
    """

    loss: Literal["huber", "mse", "mae"] = "huber"
    clip: tuple[float, float] | None = None
    output: ClassVar[str] = "prediction"

    def check(self) -> None:
        if self.loss not in ("huber", "mse", "mae"):
            raise TaskError(
                f"label {self.name!r}: loss: expected 'huber', 'mse' or 'mae'. Received: loss={self.loss!r}"
            )
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise TaskError(f"label {self.name!r}: clip: expected (low, high), low < high. Received: clip={self.clip}")

    def target(self, values: Mapping[str, "tf.Tensor"]) -> Any:
        import tensorflow as tf

        value = values[self.name]
        return tf.clip_by_value(value, *self.clip) if self.clip else value
