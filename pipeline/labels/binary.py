"""A label of yes or no."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.expressions import Column, Expression
from pipeline.labels.base import Label, Scale

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class Binary(Label):
    """Yes or no. The model's output is the probability of yes.

    Without a condition the column itself holds 0 and 1.
    """

    condition: Expression | None = None
    output: ClassVar[str] = "probability"
    measures: ClassVar[frozenset[str]] = frozenset(
        {"auc", "auc_pr", "binary_accuracy", "precision", "recall", "binary_cross_entropy"}
        | {"mae", "mse", "rmse", "example_count", "mean_label", "mean_prediction", "calibration"}
    )

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

    @property
    def classes(self) -> tuple[str, ...]:
        return ("no", "yes")

    def class_of(self, target: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        return tf.cast(tf.squeeze(target, 1) > 0.5, tf.int64)

    def losses(self, target: "tf.Tensor", scores: "tf.Tensor", scale: Scale) -> "tf.Tensor":
        """Cross-entropy, from the log-odds."""
        import tensorflow as tf

        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(target, scores), 1)

    def answers(self, scores: "tf.Tensor", scale: Scale) -> dict[str, "tf.Tensor"]:
        """`probability`: of yes, [rows]."""
        import tensorflow as tf

        return {self.output: tf.squeeze(tf.sigmoid(scores), 1)}

    def metrics(self) -> "dict[str, keras.metrics.Metric]":
        import keras

        return {"binary_accuracy": keras.metrics.BinaryAccuracy(), "auc": keras.metrics.AUC()}
