"""A linear model: one weight for each number and each id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.features import Feature
from pipeline.models.base import Model, linear_score

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Linear(Model):
    """Logistic or linear regression.

    Attributes:
      l2: weight of the squared-weights penalty.
    """

    l2: float = 0.0

    def check(self) -> None:
        self.require(self.l2 >= 0, "l2: expected at least 0", l2=self.l2)

    def logits(self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"]) -> "keras.KerasTensor":
        return linear_score(features, inputs, self.l2)
