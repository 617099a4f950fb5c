"""The kinds of feature: how a raw column becomes what a model reads.

A feature is one frozen object. It knows its raw column, the name of its transformed column (said nowhere else), what
becomes of missing values, and its encoding: a float (`cardinality` is None) or an integer id below `cardinality`. The
same TensorFlow Transform graph runs in training and in serving, so unseen and missing values behave alike in both.

TensorFlow is imported inside the methods: listing tasks does not load it.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipeline.errors import TaskError

if TYPE_CHECKING:
    import tensorflow as tf

SchemaType = Literal["FLOAT", "INT", "BYTES"]
INT_MISSING = -(2**63)
"""What a JSON client sends in the raw-feature signature for a missing integer (float: NaN; string: "")."""


@dataclass(frozen=True)
class ZScore:
    """Subtracts the mean and divides by the standard deviation of what the training split observed; 0 where that is 0."""


@dataclass(frozen=True)
class MinMax:
    """Maps the range that the training split observed to [0, 1]; values outside it fall outside; 0 where it is empty."""


@dataclass(frozen=True)
class Log:
    """log(1 + x), negative x as 0, and then the z-score: for long tails."""


@dataclass(frozen=True)
class Feature:
    """One raw column and what is made of it.

    Attributes:
      name: the raw column.
    """

    name: str
    accepts: ClassVar[tuple[SchemaType, ...]]

    def __post_init__(self) -> None:
        if not self.name:
            raise TaskError(f"{type(self).__name__}: a feature needs a name. Expected a column name. Received: name=''")
        self.check()

    def check(self) -> None:
        """Raises TaskError where a setting is out of its range."""

    @property
    def transformed(self) -> str:
        """Name of the transformed column."""
        return f"{self.name}_xf"

    @property
    def cardinality(self) -> int | None:
        """Number of ids that the feature can take, or None for a float."""
        return None

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        """What `preprocessing_fn` does with the raw column.

        Args:
          column: the raw column, sparse with at most one value a row, or dense of shape [rows] or [rows, 1].

        Returns:
          Shape [rows, 1]: float32, or int64 ids in [0, cardinality).
        """
        raise NotImplementedError

    def require(self, ok: bool, rule: str, **received: object) -> None:
        """Raises TaskError with the feature, the rule and what was received, unless ok."""
        if not ok:
            got = ", ".join(f"{name}={value!r}" for name, value in received.items())
            raise TaskError(f"feature {self.name!r} ({type(self).__name__}): {rule}. Received: {got}")


@dataclass(frozen=True)
class Numeric(Feature):
    """A number, scaled.

    Attributes:
      scale: ZScore(), MinMax(), Log() or None (as it is).
      missing: what stands for a missing or non-finite value: a number, or "mean" / "median" of the training split.
      clip: (low, high), applied before scaling, or None.
    """

    scale: ZScore | MinMax | Log | None = field(default_factory=ZScore)
    missing: float | Literal["mean", "median"] = 0.0
    clip: tuple[float, float] | None = None
    accepts: ClassVar[tuple[SchemaType, ...]] = ("FLOAT", "INT")

    def check(self) -> None:
        number = isinstance(self.missing, int | float) and math.isfinite(self.missing)
        self.require(
            number or self.missing in ("mean", "median"),
            "missing: expected a number, 'mean' or 'median'",
            missing=self.missing,
        )
        self.require(
            self.scale is None or isinstance(self.scale, ZScore | MinMax | Log),
            "scale: expected ZScore(), MinMax(), Log() or None",
            scale=self.scale,
        )
        if self.clip is not None:
            self.require(self.clip[0] < self.clip[1], "clip: expected (low, high) with low < high", clip=self.clip)

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        import tensorflow as tf
        import tensorflow_transform as tft

        values = dense_floats(column)
        present = tf.math.is_finite(values)
        observed = tf.boolean_mask(values, present)
        fill: Any = self.missing
        if fill == "mean":
            fill = tft.mean(observed)
        elif fill == "median":
            fill = tft.quantiles(observed, 2, epsilon=0.01)[0][0]
        filled = tf.where(present, values, tf.cast(fill, tf.float32))
        return tf.expand_dims(self._scaled(filled, observed), 1)

    def _scaled(self, values: "tf.Tensor", observed: "tf.Tensor") -> "tf.Tensor":
        """The values, scaled by the range or the moments of those that training observed.

        Filled-in values have no part in them: so no analysis waits for another, and one pass over the rows does.
        """
        import tensorflow as tf
        import tensorflow_transform as tft

        values, observed = self._shaped(values), self._shaped(observed)
        if self.scale is None:
            return values
        if isinstance(self.scale, MinMax):
            low, span = tft.min(observed), tft.max(observed) - tft.min(observed)
        else:
            low, span = tft.mean(observed), tf.sqrt(tft.var(observed))
        # Where training observed no value at all, the range is from infinity down to minus infinity.
        return tf.where(span > 0, tf.math.divide_no_nan(values - low, span), tf.zeros_like(values))

    def _shaped(self, values: "tf.Tensor") -> "tf.Tensor":
        """The values, clipped and, for Log, taken the logarithm of."""
        import tensorflow as tf

        if self.clip is not None:
            values = tf.clip_by_value(values, *self.clip)
        return tf.math.log1p(tf.maximum(values, 0.0)) if isinstance(self.scale, Log) else values


@dataclass(frozen=True)
class Bucketized(Feature):
    """A number, as the id of the interval it falls in; a missing value has an id of its own, the last.

    Attributes:
      buckets: number of quantiles of the training split; exclusive with edges.
      edges: ascending inner boundaries; n edges make n + 1 intervals.
    """

    buckets: int | None = None
    edges: tuple[float, ...] = ()
    accepts: ClassVar[tuple[SchemaType, ...]] = ("FLOAT", "INT")

    def check(self) -> None:
        self.require(
            (self.buckets is None) != (not self.edges),
            "expected either buckets or edges",
            buckets=self.buckets,
            edges=self.edges,
        )
        self.require(self.buckets is None or self.buckets > 1, "buckets: expected at least 2", buckets=self.buckets)
        ascending = all(low < high for low, high in zip(self.edges, self.edges[1:], strict=False))
        finite = all(math.isfinite(edge) for edge in self.edges)
        self.require(ascending and finite, "edges: expected ascending, finite numbers", edges=self.edges)

    @property
    def intervals(self) -> int:
        """Number of intervals, without the id for missing values."""
        return self.buckets or len(self.edges) + 1

    @property
    def cardinality(self) -> int:
        return self.intervals + 1

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        import tensorflow as tf
        import tensorflow_transform as tft

        values = dense_floats(column)
        present = tf.math.is_finite(values)
        if self.buckets:
            epsilon = min(1.0 / self.buckets, 0.01)
            edges = tft.quantiles(tf.boolean_mask(values, present), self.buckets, epsilon)
        else:
            edges = tf.constant([self.edges], tf.float32)
        ids = tft.apply_buckets(tf.where(present, values, tf.zeros_like(values)), edges)
        # Ties among the quantiles can leave fewer edges than asked for, never more.
        return tf.expand_dims(tf.where(present, ids, tf.constant(self.intervals, tf.int64)), 1)


@dataclass(frozen=True)
class Vocabulary(Feature):
    """A string or integer, as its rank in the training split's vocabulary.

    Id 0 is a missing or empty value; then come the terms by falling frequency, then the out-of-vocabulary buckets,
    into which terms that training did not see are hashed.

    Attributes:
      top_k: the most frequent terms that get an id of their own.
      oov_buckets: buckets for the others.
      min_frequency: terms rarer than this count as out of vocabulary.
    """

    top_k: int = 1000
    oov_buckets: int = 1
    min_frequency: int = 1
    accepts: ClassVar[tuple[SchemaType, ...]] = ("BYTES", "INT")

    def check(self) -> None:
        self.require(self.top_k > 0, "top_k: expected at least 1", top_k=self.top_k)
        self.require(self.oov_buckets > 0, "oov_buckets: expected at least 1", oov_buckets=self.oov_buckets)
        self.require(self.min_frequency > 0, "min_frequency: expected at least 1", min_frequency=self.min_frequency)

    @property
    def cardinality(self) -> int:
        return 1 + self.top_k + self.oov_buckets

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        import tensorflow as tf
        import tensorflow_transform as tft

        terms = dense_strings(column)
        present = tf.not_equal(terms, "")
        vocabulary = tft.vocabulary(
            tf.boolean_mask(terms, present),
            top_k=self.top_k,
            frequency_threshold=self.min_frequency if self.min_frequency > 1 else None,
            vocab_filename=self.transformed,
        )
        ids = tft.apply_vocabulary(terms, vocabulary, num_oov_buckets=self.oov_buckets)
        return tf.expand_dims(tf.where(present, ids + 1, tf.zeros_like(ids)), 1)


@dataclass(frozen=True)
class Categorical(Feature):
    """An integer in [0, size), as it is; anything else, and a missing value, has the id `size`.

    Attributes:
      size: number of categories.
    """

    size: int = 0
    accepts: ClassVar[tuple[SchemaType, ...]] = ("INT",)

    def check(self) -> None:
        self.require(self.size > 0, "size: expected at least 1", size=self.size)

    @property
    def cardinality(self) -> int:
        return self.size + 1

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        import tensorflow as tf

        ids = dense_integers(column)
        known = tf.logical_and(ids >= 0, ids < self.size)
        return tf.expand_dims(tf.where(known, ids, tf.constant(self.size, tf.int64)), 1)


@dataclass(frozen=True)
class Hashed(Feature):
    """A string or integer with too many values for a vocabulary, hashed; a missing value has an id of its own, the last.

    Attributes:
      buckets: number of hash buckets.
    """

    buckets: int = 0
    accepts: ClassVar[tuple[SchemaType, ...]] = ("BYTES", "INT")

    def check(self) -> None:
        self.require(self.buckets > 1, "buckets: expected at least 2", buckets=self.buckets)

    @property
    def cardinality(self) -> int:
        return self.buckets + 1

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        import tensorflow as tf

        terms = dense_strings(column)
        ids = tf.strings.to_hash_bucket_fast(terms, self.buckets)
        return tf.expand_dims(tf.where(tf.not_equal(terms, ""), ids, tf.constant(self.buckets, tf.int64)), 1)


def _dense(column: "tf.Tensor | tf.SparseTensor", default: object) -> "tf.Tensor":
    """Shape [rows], `default` where a row has no value."""
    import tensorflow as tf

    if isinstance(column, tf.SparseTensor):
        rows = column.dense_shape[0]
        column = tf.sparse.to_dense(tf.SparseTensor(column.indices, column.values, [rows, 1]), default)
    return tf.reshape(column, [-1])


def dense_floats(column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
    """Shape [rows], float32, NaN where missing. Integers lose precision beyond 2^24."""
    import tensorflow as tf

    if column.dtype.is_integer:
        values = _dense(column, INT_MISSING)
        return tf.where(tf.equal(values, INT_MISSING), float("nan"), tf.cast(values, tf.float32))
    return tf.cast(_dense(column, float("nan")), tf.float32)


def dense_integers(column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
    """Shape [rows], int64, INT_MISSING where missing."""
    import tensorflow as tf

    return tf.cast(_dense(column, INT_MISSING), tf.int64)


def dense_strings(column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
    """Shape [rows], string, empty where missing; integers in decimal."""
    import tensorflow as tf

    if column.dtype.is_integer:
        values = dense_integers(column)
        return tf.where(tf.equal(values, INT_MISSING), "", tf.strings.as_string(values))
    return _dense(column, "")
