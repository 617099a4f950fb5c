"""Wide & deep: a linear model and a network, added (Cheng et al., 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.features.base import Feature
from pipeline.models.base import linear_score
from pipeline.models.dnn import Dnn

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class WideDeep(Dnn):
    """The scores of `Linear` and `Dnn` on the same features, added; the penalties are on both."""

    def scores(
        self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"], units: int
    ) -> "keras.KerasTensor":
        import keras

        deep = super().scores(features, inputs, units)
        wide = linear_score(features, inputs, units, self.penalty())
        return keras.layers.Add(dtype="float32", name="wide_and_deep")([wide, deep])
