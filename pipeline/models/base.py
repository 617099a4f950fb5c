"""What every family shares: its interface, and the encoding of transformed features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import TaskError
from pipeline.features import Feature

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Model:
    """A family and its settings."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raises TaskError where a setting is out of its range."""

    def require(self, ok: bool, rule: str, **received: object) -> None:
        """Raises TaskError with the family, the rule and what was received, unless ok."""
        if not ok:
            got = ", ".join(f"{name}={value!r}" for name, value in received.items())
            raise TaskError(f"model {type(self).__name__}: {rule}. Received: {got}")

    def logits(self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"]) -> "keras.KerasTensor":
        """The model's raw score.

        Args:
          features: the task's features.
          inputs: transformed name -> symbolic input of shape [rows, 1].

        Returns:
          Shape [rows, 1], without an activation.
        """
        raise NotImplementedError


def inputs_of(features: Sequence[Feature]) -> dict[str, "keras.KerasTensor"]:
    """Symbolic inputs of shape [rows, 1], by transformed name: int64 for ids, float32 for numbers."""
    import keras

    return {
        feature.transformed: keras.Input(
            (1,), name=feature.transformed, dtype="float32" if feature.cardinality is None else "int64"
        )
        for feature in features
    }


def embedding_width(cardinality: int) -> int:
    """Width of an id's embedding: 1.6 n^0.56, at most 32 (the rule of thumb of fastai's tabular models)."""
    return max(2, min(32, round(1.6 * cardinality**0.56)))


def deep_columns(features: Sequence[Feature], inputs: dict[str, Any]) -> "keras.KerasTensor":
    """Numbers as they are and ids embedded, side by side: shape [rows, width]."""
    import keras

    columns = []
    for feature in features:
        column = inputs[feature.transformed]
        if feature.cardinality is not None:
            embedding = keras.layers.Embedding(
                feature.cardinality, embedding_width(feature.cardinality), name=f"{feature.name}_embedding"
            )
            column = keras.layers.Flatten(name=f"{feature.name}_deep")(embedding(column))
        columns.append(column)
    return keras.layers.Concatenate(name="deep_columns")(columns) if len(columns) > 1 else columns[0]


def linear_score(features: Sequence[Feature], inputs: dict[str, Any], l2: float = 0.0) -> "keras.KerasTensor":
    """One weight for each number and each id, summed: shape [rows, 1].

    The weights of all ids are one table, in the order of the features: one lookup where a table each would take many.
    """
    import keras

    penalty = keras.regularizers.L2(l2) if l2 else None
    numbers = [inputs[feature.transformed] for feature in features if feature.cardinality is None]
    ids = [inputs[feature.transformed] for feature in features if feature.cardinality is not None]
    scores = []
    if numbers:
        joined = keras.layers.Concatenate(name="numbers")(numbers) if len(numbers) > 1 else numbers[0]
        scores.append(keras.layers.Dense(1, kernel_regularizer=penalty, name="numbers_weight")(joined))
    if ids:
        sizes = [feature.cardinality for feature in features if feature.cardinality is not None]
        first = np.cumsum([0, *sizes[:-1]], dtype=np.int64)
        joined = keras.layers.Concatenate(name="ids")(ids) if len(ids) > 1 else ids[0]
        weights = keras.layers.Embedding(
            sum(sizes), 1, embeddings_initializer="zeros", embeddings_regularizer=penalty, name="ids_weight"
        )
        scores.append(keras.ops.sum(weights(joined + first), axis=1))
    return keras.layers.Add(name="linear")(scores) if len(scores) > 1 else scores[0]
