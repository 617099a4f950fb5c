"""What the families for texts share."""

from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.features.base import Feature, Modality
from pipeline.models.base import Network


@dataclass(frozen=True, kw_only=True)
class TextNetwork(Network):
    """A network whose lower part reads texts, as ids in [rows, length]; padding, id 0, has no influence.

    Attributes:
      token_embedding: numbers that stand for a token; `embedding` is for the ids of other features.
    """

    token_embedding: int = 64
    needs: ClassVar[frozenset[Modality]] = frozenset({"text"})

    def check(self) -> None:
        super().check()
        self.require(
            self.token_embedding > 0, "token_embedding: expected at least 1", token_embedding=self.token_embedding
        )

    def tokens(self, feature: Feature, ids: Any) -> Any:
        """The embedding of each token: [rows, length, token_embedding]."""
        import keras

        table = keras.layers.Embedding(
            feature.cardinality,
            self.token_embedding,
            embeddings_regularizer=self.penalty(),
            name=f"{feature.transformed}_tokens",
        )
        return self.drop(table(ids), f"{feature.transformed}_tokens_dropout")
