"""A small Transformer encoder for texts (Vaswani et al., 2017, with the norm before each part)."""

from dataclasses import dataclass
from typing import Any

from pipeline.features.base import Feature
from pipeline.models.base import mean_of_tokens
from pipeline.models.text import TextNetwork


@dataclass(frozen=True, kw_only=True)
class TextTransformer(TextNetwork):
    """Blocks of self-attention and a feed-forward part, on tokens and their positions; then the mean over tokens.

    Attributes:
      blocks: one after the other.
      heads: of attention in a block; they share `token_embedding` among them.
      feed_forward: width of the feed-forward part of a block.
    """

    blocks: int = 2
    heads: int = 4
    feed_forward: int = 128
    dropout: float = 0.1

    def check(self) -> None:
        super().check()
        for name in ("blocks", "heads", "feed_forward"):
            self.require(getattr(self, name) > 0, f"{name}: expected at least 1", **{name: getattr(self, name)})
        self.require(
            self.token_embedding % self.heads == 0,
            "token_embedding: expected a multiple of heads",
            token_embedding=self.token_embedding,
            heads=self.heads,
        )

    def vector(self, feature: Feature, values: Any) -> Any:
        import keras

        name, ids = feature.transformed, values
        seen = keras.ops.expand_dims(keras.ops.not_equal(ids, 0), 1)
        places = keras.ops.cumsum(keras.ops.ones_like(ids), axis=1) - 1
        positions = keras.layers.Embedding(feature.shape[0], self.token_embedding, name=f"{name}_positions")(places)
        states = self.tokens(feature, ids) + positions
        for block in range(self.blocks):
            states += self._attention(self._norm(states, f"{name}_{block}_0"), seen, f"{name}_{block}")
            states += self._forward(self._norm(states, f"{name}_{block}_1"), f"{name}_{block}")
        return mean_of_tokens(self._norm(states, f"{name}_last"), ids)

    def _norm(self, values: Any, name: str) -> Any:
        import keras

        return keras.layers.LayerNormalization(name=f"{name}_norm")(values)

    def _attention(self, values: Any, seen: Any, name: str) -> Any:
        import keras

        attention = keras.layers.MultiHeadAttention(
            self.heads,
            self.token_embedding // self.heads,
            dropout=self.dropout,
            kernel_regularizer=self.penalty(),
            name=f"{name}_attention",
        )
        return self.drop(attention(values, values, attention_mask=seen), f"{name}_attention_dropout")

    def _forward(self, values: Any, name: str) -> Any:
        import keras

        for part, width, activation in ((0, self.feed_forward, "gelu"), (1, self.token_embedding, None)):
            dense = keras.layers.Dense(
                width, activation=activation, kernel_regularizer=self.penalty(), name=f"{name}_forward_{part}"
            )
            values = dense(values)
        return self.drop(values, f"{name}_forward_dropout")
