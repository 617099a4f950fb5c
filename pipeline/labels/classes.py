"""Labels of named classes: one of them, or any number of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.errors import TaskError
from pipeline.labels.base import Label, Scale

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_EXACT = 2**24
"""Integers below it are exact in float32, as which a column of integers arrives."""
_SHARED = frozenset(
    {"micro_auc", "macro_auc", "macro_precision", "macro_recall", "macro_f1", "lowest_recall", "cross_entropy"}
    | {"example_count"}
)


@dataclass(frozen=True)
class Classes(Label):
    """What labels of named classes share.

    A served model answers with `probabilities` [rows, classes] and `classes` [rows, classes], the names in the order of
    the probabilities, the same in each row; and with what it decides for.

    Attributes:
      classes: the names; or how many, which names them "0", "1", ….
    """

    classes: tuple[str, ...] | int = ()  # type: ignore[assignment]  # `check` leaves names only
    output: ClassVar[str] = "probabilities"
    _fewest: ClassVar[int] = 2

    def check(self) -> None:
        given = self.classes
        if isinstance(given, int):
            given = tuple(str(number) for number in range(given))
        if not isinstance(given, tuple | list) or not all(isinstance(name, str) for name in given):
            # A set has another order in each process, and with it the positions of the classes.
            raise TaskError(self._said("names in quotation marks, in an order: ('a', 'b'), or how many"))
        object.__setattr__(self, "classes", tuple(given))
        if len(self.names) < self._fewest:
            raise TaskError(self._said(f"at least {self._fewest}"))
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice or "" in self.names:
            raise TaskError(self._said("each name once, and none empty", twice or [""]))

    def _said(self, rule: str, received: Any = None) -> str:
        shown = self.classes if received is None else received
        return f"label {self.name!r} ({type(self).__name__}): classes: expected {rule}. Received: classes={shown!r}"

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, as `check` has settled them."""
        return self.classes if isinstance(self.classes, tuple) else ()

    @property
    def units(self) -> int:
        return len(self.names)

    def _answers(self, probabilities: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        import tensorflow as tf

        names = tf.broadcast_to(tf.constant(self.names), tf.shape(probabilities))
        return {self.output: probabilities, "classes": names}


@dataclass(frozen=True)
class MultiClass(Classes):
    """One of several classes. The model's output is the probability of each, which sum to 1.

        MultiClass("label", classes=("cat", "dog", "horse"))
        MultiClass("label", classes=10)

    A column of text holds names. A column of integers holds names too where every name is a whole number in decimal, as
    "0", "1", …; else positions among the classes, from 0. What is neither is unknown, as is a missing value.

    A served model also answers with `class` [rows], the name of the most probable one.

    Attributes:
      label_smoothing: share of the target that is spread evenly over all classes in the loss, in [0, 1).
    """

    label_smoothing: float = 0.0
    accepts: ClassVar[tuple[str, ...]] = ("BYTES", "INT")
    measures: ClassVar[frozenset[str]] = _SHARED | {"accuracy", "top_2_accuracy", "top_3_accuracy", "top_5_accuracy"}

    def check(self) -> None:
        super().check()
        if not 0 <= self.label_smoothing < 1:
            raise TaskError(
                f"label {self.name!r} (MultiClass): label_smoothing: expected a share in [0, 1). "
                f"Received: label_smoothing={self.label_smoothing}"
            )
        large = [number for number in self._numbers if not 0 <= number < _EXACT]
        if large:
            raise TaskError(self._said(f"whole numbers in [0, {_EXACT:,})", large[:5]))

    @property
    def domain(self) -> tuple[str, ...]:
        return self.names

    @property
    def _numbers(self) -> tuple[int, ...]:
        """What a column of integers holds for each class."""
        if all(name.isascii() and name.isdecimal() and str(int(name)) == name for name in self.names):
            return tuple(int(name) for name in self.names)
        return tuple(range(len(self.names)))

    def target(self, values: Mapping[str, "tf.Tensor"]) -> "tf.Tensor":
        """The position of the class; NaN where it is none of them."""
        import tensorflow as tf

        given = values[self.name]
        known = tf.constant(self.names) if given.dtype == tf.string else tf.constant(self._numbers, given.dtype)
        same = tf.equal(tf.expand_dims(given, 1), known)
        position = tf.argmax(tf.cast(same, tf.int32), 1)
        return tf.where(tf.reduce_any(same, 1), tf.cast(position, tf.float32), float("nan"))

    def class_of(self, target: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        return tf.cast(tf.squeeze(target, 1), tf.int64)

    def losses(self, target: "tf.Tensor", scores: "tf.Tensor", scale: Scale) -> "tf.Tensor":
        """Cross-entropy of the softmax; NaN where the target is unknown."""
        import tensorflow as tf

        wanted = tf.one_hot(self.class_of(target), self.units)
        wanted = wanted * (1.0 - self.label_smoothing) + self.label_smoothing / self.units
        losses = tf.nn.softmax_cross_entropy_with_logits(wanted, scores)
        return tf.where(tf.math.is_finite(tf.squeeze(target, 1)), losses, float("nan"))

    def answers(self, scores: "tf.Tensor", scale: Scale) -> dict[str, "tf.Tensor"]:
        """`probabilities` and `classes` [rows, classes]; `class` [rows], the name of the most probable."""
        import tensorflow as tf

        best = tf.gather(tf.constant(self.names), tf.argmax(scores, 1))
        return self._answers(tf.nn.softmax(scores)) | {"class": best}

    def metrics(self) -> "dict[str, keras.metrics.Metric]":
        import keras

        watched: dict[str, keras.metrics.Metric] = {"accuracy": keras.metrics.SparseCategoricalAccuracy()}
        if self.units > 3:
            watched["top_3_accuracy"] = keras.metrics.SparseTopKCategoricalAccuracy(3)
        return watched


@dataclass(frozen=True)
class MultiLabel(Classes):
    """Any number of classes. The model's output is the probability of each, independent of the others.

        MultiLabel("genres", classes=("comedy", "drama", "crime"), separator="|", none="-")

    A column of text holds the names: "comedy|crime". A row with a name that is no class is unknown as a whole, as is a
    missing value: whether it has none of the classes, nobody has said.

    A served model also answers with `chosen` [rows, classes]: whether the probability is above `threshold`.

    Attributes:
      separator: between two names.
      none: the text of a row that has none of the classes; None where there is no such row.
      threshold: the probability above which a class is chosen, for `chosen` and for the metrics that count decisions.
    """

    separator: str = "|"
    none: str | None = None
    threshold: float = 0.5
    accepts: ClassVar[tuple[str, ...]] = ("BYTES",)
    measures: ClassVar[frozenset[str]] = _SHARED | {
        "exact_match",
        "hamming_accuracy",
        "micro_precision",
        "micro_recall",
        "micro_f1",
    }
    _fewest: ClassVar[int] = 1

    def check(self) -> None:
        super().check()
        if not self.separator:
            raise TaskError(f"label {self.name!r} (MultiLabel): separator: expected a text. Received: separator=''")
        split = [name for name in self.names if self.separator in name or name != name.strip() or name == self.none]
        reserved = f", nor {self.none!r}" if self.none is not None else ""
        if split:
            raise TaskError(self._said(f"no name with {self.separator!r} or outer spaces{reserved}", split))
        if not 0 < self.threshold < 1:
            raise TaskError(
                f"label {self.name!r} (MultiLabel): threshold: expected a probability. "
                f"Received: threshold={self.threshold}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.units,)

    def target(self, values: Mapping[str, "tf.Tensor"]) -> "tf.Tensor":
        """1 for each class that the row has, else 0: [rows, classes]; NaN throughout where it is unknown."""
        import tensorflow as tf

        given = values[self.name]
        parts = tf.strings.split(given, self.separator)
        names = tf.strings.strip(parts.flat_values)
        same = tf.equal(tf.expand_dims(names, 1), tf.constant(self.names))
        rows = tf.cast(tf.size(given), tf.int64)
        owner = parts.value_rowids()
        has = tf.math.unsorted_segment_max(tf.cast(same, tf.int32), owner, rows)
        strange = tf.math.unsorted_segment_max(tf.cast(~tf.reduce_any(same, 1), tf.int32), owner, rows)
        unknown = tf.equal(given, "") | (strange > 0)
        hot = tf.cast(tf.maximum(has, 0), tf.float32)
        if self.none is not None:
            without = tf.equal(tf.strings.strip(given), self.none)
            unknown &= ~without
            hot = tf.where(tf.expand_dims(without, 1), 0.0, hot)
        return tf.where(tf.expand_dims(unknown, 1), float("nan"), hot)

    def losses(self, target: "tf.Tensor", scores: "tf.Tensor", scale: Scale) -> "tf.Tensor":
        """Cross-entropy of each class's yes or no, from the log-odds; the mean of the classes."""
        import tensorflow as tf

        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(target, scores), 1)

    def answers(self, scores: "tf.Tensor", scale: Scale) -> dict[str, "tf.Tensor"]:
        """`probabilities`, `classes` and `chosen`, [rows, classes]."""
        import tensorflow as tf

        probabilities = tf.sigmoid(scores)
        return self._answers(probabilities) | {"chosen": probabilities > self.threshold}

    def metrics(self) -> "dict[str, keras.metrics.Metric]":
        import keras

        return {
            "hamming_accuracy": keras.metrics.BinaryAccuracy(threshold=self.threshold),
            "micro_auc": keras.metrics.AUC(),
        }
