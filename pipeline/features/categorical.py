"""Categories: strings and integers as ids."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.features.base import Feature, Modality, SchemaType, dense_integers, dense_strings

if TYPE_CHECKING:
    import tensorflow as tf


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
    modality: ClassVar[Modality] = "ids"

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
    modality: ClassVar[Modality] = "ids"

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
    modality: ClassVar[Modality] = "ids"

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
