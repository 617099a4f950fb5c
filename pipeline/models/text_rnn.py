"""Recurrent networks for texts: LSTM and GRU."""

from dataclasses import dataclass
from typing import Any, Literal

from pipeline.features.base import Feature
from pipeline.models.text import TextNetwork


@dataclass(frozen=True, kw_only=True)
class TextRnn(TextNetwork):
    """Reads a text token by token; what counts is the state at its end, of both directions where there are two.

    Attributes:
      cell: "lstm" or "gru".
      states: width of each layer's state, from the first layer to the last.
      bidirectional: whether each layer also reads from the end to the start.
    """

    cell: Literal["lstm", "gru"] = "lstm"
    states: tuple[int, ...] = (64,)
    bidirectional: bool = True

    def check(self) -> None:
        super().check()
        self.require(self.cell in ("lstm", "gru"), "cell: expected 'lstm' or 'gru'", cell=self.cell)
        self.check_widths("states", self.states)

    def vector(self, feature: Feature, values: Any) -> Any:
        import keras

        mask = keras.ops.not_equal(values, 0)
        states = self.tokens(feature, values)
        kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[self.cell]
        for level, width in enumerate(self.states):
            name = f"{feature.transformed}_{self.cell}_{level}"
            layer = kind(
                width,
                return_sequences=level < len(self.states) - 1,
                kernel_regularizer=self.penalty(),
                recurrent_regularizer=self.penalty(),
                # cuDNN's kernel is not in every serving binary; on a CPU nothing changes.
                use_cudnn=False,
                name=name,
            )
            if self.bidirectional:
                layer = keras.layers.Bidirectional(layer, name=f"{name}_both")
            states = layer(states, mask=mask)
        return states
