"""A feed-forward network over numbers, embedded ids, bags of tokens and pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.features.base import Feature
from pipeline.models.base import Network, deep_columns

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Dnn(Network):
    """Dense layers with ReLU."""

    hidden_units: tuple[int, ...] = (128, 64)

    def check(self) -> None:
        super().check()
        self.check_widths("hidden_units", self.hidden_units)

    def scores(
        self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"], units: int
    ) -> "keras.KerasTensor":
        return self.head(deep_columns(features, inputs, self.embedding), units, "deep_score")
