"""A label that is a number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.errors import TaskError
from pipeline.labels.base import Label, Scale

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


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
    measures: ClassVar[frozenset[str]] = frozenset(
        {"mae", "mse", "rmse", "squared_pearson", "example_count", "mean_label", "mean_prediction", "calibration"}
    )

    def check(self) -> None:
        if self.loss not in ("huber", "mse", "mae"):
            raise TaskError(
                f"label {self.name!r}: loss: expected 'huber', 'mse' or 'mae'. Received: loss={self.loss!r}"
            )
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise TaskError(f"label {self.name!r}: clip: expected (low, high), low < high. Received: clip={self.clip}")

    def target(self, values: Mapping[str, "tf.Tensor"]) -> "tf.Tensor":
        import tensorflow as tf

        value = values[self.name]
        return tf.clip_by_value(value, *self.clip) if self.clip else value

    def losses(self, target: "tf.Tensor", scores: "tf.Tensor", scale: Scale) -> "tf.Tensor":
        """On the error in units of the label's standard deviation."""
        import tensorflow as tf

        error = tf.squeeze((target - scale.mean) / scale.deviation - scores, 1)
        if self.loss == "mae":
            return tf.abs(error)
        if self.loss == "mse":
            return tf.square(error)
        return tf.where(tf.abs(error) <= 1.0, 0.5 * tf.square(error), tf.abs(error) - 0.5)

    def answers(self, scores: "tf.Tensor", scale: Scale) -> dict[str, "tf.Tensor"]:
        """`prediction`: in the unit of the column, [rows]."""
        import tensorflow as tf

        return {self.output: tf.squeeze(scores * scale.deviation + scale.mean, 1)}

    def metrics(self) -> "dict[str, keras.metrics.Metric]":
        import keras

        return {"mae": keras.metrics.MeanAbsoluteError(), "rmse": keras.metrics.RootMeanSquaredError()}
