"""A bag of n-grams: which terms a text has, and how often, but not where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipeline.features.base import Feature, Modality
from pipeline.models.base import Network, linear_score, of_modality, present

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class TextBag(Network):
    """The weighted sum of what stands for each term, over the length of the vector of weights.

    Without hidden layers that is logistic regression on TF-IDF, as it does well on few texts. `Text(…, ngrams=(1, 2))`
    makes the n-grams.

    Attributes:
      weights: of a term. "rank": 1 + log(rank in the vocabulary), the inverse document frequency of a term by Zipf's
        law, by which the n-th most frequent one is in 1/n of the texts; "equal": 1.
      token_embedding: numbers that stand for a term, where there are hidden layers.
    """

    weights: Literal["rank", "equal"] = "rank"
    token_embedding: int = 64
    needs: ClassVar[frozenset[Modality]] = frozenset({"text"})

    def check(self) -> None:
        super().check()
        self.require(self.weights in ("rank", "equal"), "weights: expected 'rank' or 'equal'", weights=self.weights)
        self.require(
            self.token_embedding > 0, "token_embedding: expected at least 1", token_embedding=self.token_embedding
        )

    def scores(
        self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"], units: int
    ) -> "keras.KerasTensor":
        import keras

        from pipeline.models.layers import Bias

        if self.hidden_units:
            return super().scores(features, inputs, units)
        texts = of_modality(features, "text")
        others = of_modality(features, "number", "ids", "image")
        table = {"embeddings_initializer": "zeros", "dtype": "float32"}
        parts = [self._bag(text, inputs[text.transformed], units, "weight", **table) for text in texts]
        if others:
            parts.append(linear_score(others, inputs, units, self.penalty()))
        total = keras.layers.Add(dtype="float32", name="bags")(parts) if len(parts) > 1 else parts[0]
        return Bias(dtype="float32", name="scores")(total)

    def vector(self, feature: Feature, values: Any) -> Any:
        return self._bag(feature, values, self.token_embedding, "tokens")

    def _bag(self, feature: Feature, ids: Any, width: int, name: str, **table: Any) -> Any:
        import keras

        vectors = keras.layers.Embedding(
            feature.cardinality,
            width,
            embeddings_regularizer=self.penalty(),
            name=f"{feature.transformed}_{name}",
            **table,
        )(ids)
        weights = present(ids, "float32")
        if self.weights == "rank":
            weights *= 1 + keras.ops.log(keras.ops.cast(keras.ops.maximum(ids, 1), "float32"))[..., None]
        length = keras.ops.sqrt(keras.ops.sum(weights * weights, axis=1, keepdims=True))
        weights = keras.ops.cast(weights / keras.ops.maximum(length, 1.0), vectors.dtype)
        return keras.ops.sum(vectors * weights, axis=1)
