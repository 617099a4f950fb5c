"""A feed-forward network over numbers and embedded ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.features import Feature
from pipeline.models.base import Model, deep_columns

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Dnn(Model):
    """Dense layers with ReLU.

    Attributes:
      hidden_units: width of each hidden layer.
      embedding: numbers that stand for an id.
      dropout: share of units dropped after each hidden layer in training, in [0, 1).
      l2: weight of the squared-weights penalty on the hidden layers.
    """

    hidden_units: tuple[int, ...] = (128, 64)
    embedding: int = 8
    dropout: float = 0.0
    l2: float = 0.0

    def check(self) -> None:
        positive = bool(self.hidden_units) and all(units > 0 for units in self.hidden_units)
        self.require(positive, "hidden_units: expected at least one width above 0", hidden_units=self.hidden_units)
        self.require(self.embedding > 0, "embedding: expected at least 1", embedding=self.embedding)
        self.require(0 <= self.dropout < 1, "dropout: expected a share in [0, 1)", dropout=self.dropout)
        self.require(self.l2 >= 0, "l2: expected at least 0", l2=self.l2)

    def logits(self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"]) -> "keras.KerasTensor":
        import keras

        penalty = keras.regularizers.L2(self.l2) if self.l2 else None
        hidden = deep_columns(features, inputs, self.embedding)
        for layer, units in enumerate(self.hidden_units):
            dense = keras.layers.Dense(units, activation="relu", kernel_regularizer=penalty, name=f"hidden_{layer}")
            hidden = dense(hidden)
            if self.dropout:
                hidden = keras.layers.Dropout(self.dropout, name=f"dropout_{layer}")(hidden)
        return keras.layers.Dense(1, name="deep_score")(hidden)
