"""A linear model: one weight for each number, id, token and pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.features.base import Feature
from pipeline.models.base import Penalised, linear_score

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Linear(Penalised):
    """Logistic or linear regression."""

    def scores(
        self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"], units: int
    ) -> "keras.KerasTensor":
        return linear_score(features, inputs, units, self.penalty())
