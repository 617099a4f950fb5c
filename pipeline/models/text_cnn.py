"""A convolutional network for texts (Kim, 2014)."""

from dataclasses import dataclass
from typing import Any

from pipeline.features.base import Feature
from pipeline.models.base import joined, present
from pipeline.models.text import TextNetwork


@dataclass(frozen=True, kw_only=True)
class TextCnn(TextNetwork):
    """Filters over runs of tokens, of several widths side by side; what counts is where each filter answers most.

    Attributes:
      widths: of the filters, in tokens.
      filters: of each width.
    """

    widths: tuple[int, ...] = (3, 4, 5)
    filters: int = 64
    dropout: float = 0.5

    def check(self) -> None:
        super().check()
        self.check_widths("widths", self.widths)
        self.require(self.filters > 0, "filters: expected at least 1", filters=self.filters)

    def vector(self, feature: Feature, values: Any) -> Any:
        import keras

        tokens = self.tokens(feature, values)
        mask = present(values, tokens.dtype)
        # Zeros after the end of a text, as there are before its start: all widths fit all texts.
        tokens = tokens * mask
        found = []
        for width in self.widths:
            convolution = keras.layers.Conv1D(
                self.filters,
                width,
                padding="same",
                activation="relu",
                kernel_regularizer=self.penalty(),
                name=f"{feature.transformed}_conv_{width}",
            )
            found.append(keras.ops.max(convolution(tokens) * mask, axis=1))
        return joined(found)
