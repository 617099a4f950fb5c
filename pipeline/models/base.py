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


def numbers_of(features: Sequence[Feature], inputs: dict[str, Any]) -> "keras.KerasTensor | None":
    """The numbers, side by side: shape [rows, numbers]; None where there is none."""
    return _joined([inputs[feature.transformed] for feature in features if feature.cardinality is None])


def embedded(
    features: Sequence[Feature], inputs: dict[str, Any], width: int, **table: Any
) -> "keras.KerasTensor | None":
    """The embeddings of all ids: shape [rows, ids, width]; None where there is none.

    The ids of all features are rows of one table, in the order of the features: one lookup where a table each would take
    as many lookups, gradients and updates.

    Args:
      features: the task's features.
      inputs: transformed name -> symbolic input.
      width: of an embedding.
      **table: more arguments of keras.layers.Embedding.
    """
    import keras

    ids = _joined([inputs[feature.transformed] for feature in features if feature.cardinality is not None])
    if ids is None:
        return None
    sizes = [feature.cardinality for feature in features if feature.cardinality is not None]
    first = np.cumsum([0, *sizes[:-1]], dtype=np.int64)
    return keras.layers.Embedding(sum(sizes), width, **table)(ids + first)


def _joined(columns: Sequence[Any]) -> Any:
    import keras

    if len(columns) > 1:
        return keras.layers.Concatenate()(columns)
    return columns[0] if columns else None


def deep_columns(features: Sequence[Feature], inputs: dict[str, Any], width: int) -> "keras.KerasTensor":
    """Numbers as they are and ids embedded, side by side: shape [rows, numbers + ids * width]."""
    import keras

    vectors = embedded(features, inputs, width, name="ids_embedding")
    flat = None if vectors is None else keras.layers.Flatten(name="ids_deep")(vectors)
    return _joined([part for part in (numbers_of(features, inputs), flat) if part is not None])


def linear_score(features: Sequence[Feature], inputs: dict[str, Any], l2: float = 0.0) -> "keras.KerasTensor":
    """One weight for each number and each id, summed: shape [rows, 1]."""
    import keras

    penalty = keras.regularizers.L2(l2) if l2 else None
    scores = []
    numbers = numbers_of(features, inputs)
    if numbers is not None:
        scores.append(keras.layers.Dense(1, kernel_regularizer=penalty, name="numbers_weight")(numbers))
    weights = embedded(
        features, inputs, 1, embeddings_initializer="zeros", embeddings_regularizer=penalty, name="ids_weight"
    )
    if weights is not None:
        scores.append(keras.ops.sum(weights, axis=1))
    return keras.layers.Add(name="linear")(scores) if len(scores) > 1 else scores[0]
