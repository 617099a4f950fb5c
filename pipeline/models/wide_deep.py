"""Wide & deep: a linear model and a network, added (Cheng et al., 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.features import Feature
from pipeline.models.base import linear_score
from pipeline.models.dnn import Dnn

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class WideDeep(Dnn):
    """The scores of `Linear` and `Dnn` on the same features, added; the l2 penalty is on both."""

    def logits(self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"]) -> "keras.KerasTensor":
        import keras

        deep = super().logits(features, inputs)
        return keras.layers.Add(name="wide_and_deep")([linear_score(features, inputs, self.l2), deep])
