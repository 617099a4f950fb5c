"""What every family shares: its interface, its regularisation, and the encoding of transformed features.

A family builds a functional Keras 3 model, so that one step of ours trains it under every distribution strategy and with
every precision, and `keras.export.ExportArchive` writes it. Its head computes in float32 whatever the precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pipeline.errors import TaskError
from pipeline.features.base import Feature, Modality

if TYPE_CHECKING:
    import keras


class Phase(NamedTuple):
    """A stretch of training.

    Attributes:
      share: of the training steps, in (0, 1]; those of all phases add up to 1.
      learning_rate: what the learning rate is multiplied by.
    """

    share: float = 1.0
    learning_rate: float = 1.0


@dataclass(frozen=True)
class Model:
    """A family and its settings."""

    reads: ClassVar[frozenset[Modality]] = frozenset({"number", "ids", "text", "image"})
    """What it has a use for."""
    needs: ClassVar[frozenset[Modality]] = frozenset()
    """Of which it must be given at least one; empty where anything that it reads will do."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raises TaskError where a setting is out of its range."""

    def require(self, ok: bool, rule: str, **received: object) -> None:
        """Raises TaskError with the family, the rule and what was received, unless ok."""
        if not ok:
            got = ", ".join(f"{name}={value!r}" for name, value in received.items())
            raise TaskError(f"model {type(self).__name__}: {rule}. Received: {got}")

    def problems(self, features: Sequence[Feature]) -> list[str]:
        """Why a task's features are not for this family: a sentence each, with the feature and its kind."""
        family = type(self).__name__
        expected = " or ".join(sorted(self.needs))
        kinds = [f"{feature.name!r} ({type(feature).__name__}, {feature.modality})" for feature in features]
        found = [
            f"model {family}: it does not read {kind}. Expected: {', '.join(sorted(self.reads))}"
            for feature, kind in zip(features, kinds, strict=True)
            if feature.modality not in self.reads
        ]
        if self.needs and not any(feature.modality in self.needs for feature in features):
            found.append(
                f"model {family}: expected a feature of {expected} at least. Received: {', '.join(kinds) or 'none'}"
            )
        return found

    def prepare(self) -> None:
        """Fetches what the model starts from, if anything, and looks at it: before a training begins.

        Raises:
          MillraceError: it can't be reached, or is not what it was said to be.
        """

    @property
    def starts_from(self) -> str | None:
        """The path or address of what the model starts from, if it is one."""
        return None

    @property
    def origin(self) -> str:
        """Tells one state of the files that the model starts from, if any, from the next: for the Trainer's cache key."""
        return ""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The stretches of training, in order; `enter` is called before each."""
        return (Phase(),)

    def enter(self, model: "keras.Model", phase: int) -> None:
        """Sets what is trained in a phase: afterwards `model.trainable_variables` are those.

        An optimizer is built for all that can ever be trained, `every_trainable`, and applied to what a phase trains.

        Args:
          model: made of `scores`.
          phase: index into `phases`.
        """

    def scores(
        self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"], units: int
    ) -> "keras.KerasTensor":
        """The model's raw scores.

        Args:
          features: the task's features.
          inputs: transformed name -> symbolic input of shape [rows, *feature.shape].
          units: number of scores, see Label.units.

        Returns:
          Shape [rows, units], float32, without an activation.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Penalised(Model):
    """A model whose weights may be penalised.

    Attributes:
      l1: weight of the sum of absolute weights, which is added to the loss.
      l2: weight of the sum of squared weights, which is added to the loss.
    """

    l1: float = 0.0
    l2: float = 0.0

    def check(self) -> None:
        self.require(self.l1 >= 0, "l1: expected at least 0", l1=self.l1)
        self.require(self.l2 >= 0, "l2: expected at least 0", l2=self.l2)

    def penalty(self) -> "keras.Regularizer | None":
        """For a layer's kernel or embeddings; biases and normalisation are never penalised."""
        import keras

        if self.l1:
            return keras.regularizers.L1L2(self.l1, self.l2)
        return keras.regularizers.L2(self.l2) if self.l2 else None


@dataclass(frozen=True, kw_only=True)
class Network(Penalised):
    """A model with dense layers before its scores.

    What it needs, such as images, becomes vectors by a lower part of its own for each feature, see `vector`; numbers,
    embedded ids and the like of the task's other features join them.

    Attributes:
      hidden_units: width of each dense layer.
      embedding: numbers that stand for an id.
      dropout: share of the vectors, and of the units of each hidden layer, dropped in training, in [0, 1).
      batch_norm: whether the sums of each hidden layer are normalised by batch, before its ReLU.
    """

    hidden_units: tuple[int, ...] = ()
    embedding: int = 8
    dropout: float = 0.0
    batch_norm: bool = False

    def check(self) -> None:
        super().check()
        self.check_widths("hidden_units", self.hidden_units, at_least=0)
        self.require(self.embedding > 0, "embedding: expected at least 1", embedding=self.embedding)
        self.require(0 <= self.dropout < 1, "dropout: expected a share in [0, 1)", dropout=self.dropout)

    def check_widths(self, name: str, widths: Sequence[int], at_least: int = 1) -> None:
        """Raises TaskError unless all are above 0, and as many as asked."""
        few = "expected widths above 0" if not at_least else f"expected at least {_COUNTS[at_least]} above 0"
        self.require(len(widths) >= at_least and all(w > 0 for w in widths), f"{name}: {few}", **{name: widths})

    def scores(
        self, features: Sequence[Feature], inputs: dict[str, "keras.KerasTensor"], units: int
    ) -> "keras.KerasTensor":
        own = of_modality(features, *self.needs)
        vectors = joined([self.vector(feature, inputs[feature.transformed]) for feature in own])
        others = [feature for feature in features if feature not in own]
        parts = [] if vectors is None else [self.drop(vectors, "vectors_dropout")]
        return self.head(deep_columns(others, inputs, self.embedding, parts), units)

    def vector(self, feature: Feature, values: Any) -> Any:
        """The lower part, for one feature of what the family needs.

        Args:
          feature: the names of the layers begin with `feature.transformed`.
          values: its symbolic input, [rows, *feature.shape].

        Returns:
          [rows, anything].
        """
        raise NotImplementedError

    def drop(self, values: Any, name: str) -> Any:
        """Dropout, where it was asked for."""
        import keras

        return keras.layers.Dropout(self.dropout, name=name)(values) if self.dropout else values

    def head(self, values: Any, units: int, name: str = "scores") -> "keras.KerasTensor":
        """Hidden layers and the scores, from [rows, anything]."""
        import keras

        for layer, width in enumerate(self.hidden_units):
            activation = None if self.batch_norm else "relu"
            dense = keras.layers.Dense(
                width,
                activation=activation,
                use_bias=not self.batch_norm,
                kernel_regularizer=self.penalty(),
                name=f"hidden_{layer}",
            )
            values = dense(values)
            if self.batch_norm:
                values = keras.layers.BatchNormalization(name=f"hidden_norm_{layer}")(values)
                values = keras.layers.ReLU(name=f"hidden_relu_{layer}")(values)
            values = self.drop(values, f"dropout_{layer}")
        return keras.layers.Dense(units, dtype="float32", name=name)(values)


_COUNTS = {1: "one width", 2: "two widths"}


def every_trainable(family: Model, model: "keras.Model") -> "list[keras.Variable]":
    """The variables that any phase trains, in the model's order; leaves the model in its first phase."""
    chosen: set[int] = set()
    for phase in reversed(range(len(family.phases))):
        family.enter(model, phase)
        chosen |= {id(variable) for variable in model.trainable_variables}
    return [variable for variable in model.variables if id(variable) in chosen]


def inputs_of(features: Sequence[Feature]) -> dict[str, "keras.KerasTensor"]:
    """Symbolic inputs by transformed name."""
    import keras

    return {
        feature.transformed: keras.Input(feature.shape, name=feature.transformed, dtype=feature.dtype)
        for feature in features
    }


def of_modality(features: Sequence[Feature], *modalities: Modality) -> list[Feature]:
    """Those that a family treats alike."""
    return [feature for feature in features if feature.modality in modalities]


def numbers_of(features: Sequence[Feature], inputs: dict[str, Any]) -> "keras.KerasTensor | None":
    """The numbers, side by side: shape [rows, numbers]; None where there is none."""
    return joined([inputs[feature.transformed] for feature in of_modality(features, "number")])


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
    import numpy as np

    known = of_modality(features, "ids")
    ids = joined([inputs[feature.transformed] for feature in known])
    if ids is None:
        return None
    sizes = [feature.cardinality or 0 for feature in known]
    first = np.cumsum([0, *sizes[:-1]], dtype=np.int64)
    offsets = np.repeat(first, [feature.shape[0] for feature in known])
    # Of a sum with a row of numbers Keras makes BiasAdd, which TF Lite does not have for integers.
    return keras.layers.Embedding(sum(sizes), width, **table)(ids - (-offsets))


def joined(columns: Sequence[Any]) -> Any:
    """Side by side; None where there is none."""
    import keras

    if len(columns) > 1:
        return keras.layers.Concatenate()(columns)
    return columns[0] if columns else None


def present(ids: Any, dtype: str) -> Any:
    """Of a text, [rows, length]: 1 at a token and 0 at padding, [rows, length, 1]."""
    import keras

    return keras.ops.expand_dims(keras.ops.cast(keras.ops.not_equal(ids, 0), dtype), -1)


def mean_of_tokens(vectors: Any, ids: Any) -> Any:
    """The mean of what stands for each token, padding left out: [rows, length, width] to [rows, width]; 0 of no token."""
    import keras

    mask = present(ids, vectors.dtype)
    count = keras.ops.maximum(keras.ops.sum(mask, axis=1), 1.0)
    return keras.ops.sum(vectors * mask, axis=1) / count


def bag(feature: Feature, inputs: dict[str, Any], width: int, name: str, **table: Any) -> "keras.KerasTensor":
    """The mean embedding of a text's tokens: [rows, width].

    Args:
      feature: of modality text.
      inputs: transformed name -> symbolic input.
      width: of an embedding.
      name: of the table, after the feature's name.
      **table: more arguments of keras.layers.Embedding.
    """
    import keras

    ids = inputs[feature.transformed]
    vectors = keras.layers.Embedding(feature.cardinality, width, name=f"{feature.transformed}_{name}", **table)(ids)
    return mean_of_tokens(vectors, ids)


def scaled(
    pixels: "keras.KerasTensor", mean: Sequence[float] = (), deviation: Sequence[float] = ()
) -> "keras.KerasTensor":
    """An image's bytes as numbers in [0, 1], less `mean` and over `deviation`, one for each channel, where given."""
    import keras
    import numpy as np

    spread = np.array(deviation or (1.0,), np.float32)
    offset = -np.array(mean or (0.0,), np.float32) / spread
    scale = 1 / (255 * spread)
    values = [each.tolist() if each.size > 1 else each.item() for each in (scale, offset)]
    return keras.layers.Rescaling(*values)(pixels)


def flat(feature: Feature, inputs: dict[str, Any]) -> "keras.KerasTensor":
    """An image's pixels in a row, in [0, 1]: [rows, height * width * channels]."""
    import keras

    return keras.layers.Flatten()(scaled(inputs[feature.transformed]))


def deep_columns(
    features: Sequence[Feature], inputs: dict[str, Any], width: int, parts: Sequence[Any] = ()
) -> "keras.KerasTensor":
    """All features as one row of numbers, for dense layers.

    Numbers as they are, ids embedded, texts as the mean embedding of their tokens, images as their pixels, side by side.

    Args:
      features: the task's; those that a family has read in its own way are left out.
      inputs: transformed name -> symbolic input.
      width: of an embedding.
      parts: what a family has made of the features that are left out, [rows, anything] each: these come first.
    """
    import keras

    vectors = embedded(features, inputs, width, name="ids_embedding")
    ids = None if vectors is None else keras.layers.Flatten(name="ids_deep")(vectors)
    columns = [part for part in (*parts, numbers_of(features, inputs), ids) if part is not None]
    columns += [bag(feature, inputs, width, "embedding") for feature in of_modality(features, "text")]
    columns += [flat(feature, inputs) for feature in of_modality(features, "image")]
    return joined(columns)


def linear_score(
    features: Sequence[Feature], inputs: dict[str, Any], units: int, penalty: "keras.Regularizer | None" = None
) -> "keras.KerasTensor":
    """A weight for each number, pixel, id and (as their mean) token, and each of the scores, summed: [rows, units]."""
    import keras

    table = {"embeddings_initializer": "zeros", "embeddings_regularizer": penalty, "dtype": "float32"}
    scores = []
    images = [flat(feature, inputs) for feature in of_modality(features, "image")]
    numbers = joined([part for part in (numbers_of(features, inputs), *images) if part is not None])
    if numbers is not None:
        dense = keras.layers.Dense(units, kernel_regularizer=penalty, dtype="float32", name="numbers_weight")
        scores.append(dense(numbers))
    weights = embedded(features, inputs, units, name="ids_weight", **table)
    if weights is not None:
        scores.append(keras.ops.sum(weights, axis=1))
    scores += [bag(feature, inputs, units, "weight", **table) for feature in of_modality(features, "text")]
    return keras.layers.Add(dtype="float32", name="linear")(scores) if len(scores) > 1 else scores[0]
