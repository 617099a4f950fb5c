"""Numbers: scaled, or cut into intervals."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipeline.features.base import Feature, Modality, SchemaType, dense_floats

if TYPE_CHECKING:
    import tensorflow as tf


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
    modality: ClassVar[Modality] = "number"

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
    modality: ClassVar[Modality] = "ids"

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
