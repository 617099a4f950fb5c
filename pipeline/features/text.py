"""Text: sentences and whole pages, as the ids of their terms, in order."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.features.base import Feature, Modality, SchemaType, dense_strings

if TYPE_CHECKING:
    import tensorflow as tf

_MARKUP = r"<[/!]?\p{L}[^<>]*>"
_NO_WORD = r"[^\p{L}\p{M}\p{N}']+"
_ALONE = r"([\p{Han}\p{Hiragana}\p{Katakana}])"


@dataclass(frozen=True)
class Text(Feature):
    """The terms of a text as their ranks in the training split's vocabulary, `length` ids a row, 0 where it has ended.

    Terms are runs of letters and digits, with the apostrophes inside them ("don't"); tags such as <br /> are dropped. A
    Chinese character or a kana is a term of its own, since no spaces part its words. A missing text, an empty one and
    one of punctuation are alike: only zeros.

    Ids: 0 padding, then the vocabulary by falling frequency, then the buckets for terms that training did not see.

    Attributes:
      vocabulary: the most frequent terms that get an id of their own.
      length: terms of a text that are kept.
      ngrams: (1, 1) for terms alone; (1, 2) for terms and then all pairs of neighbours; (low, high) in general. All of
        them count for `length`.
      lowercase: whether "Good" and "good" are one term.
      oov_buckets: buckets for the terms without an id.
      min_frequency: terms rarer than this have no id of their own.
      truncate: which end of too long a text is cut off.
    """

    vocabulary: int = 20_000
    length: int = 200
    ngrams: tuple[int, int] = (1, 1)
    lowercase: bool = True
    oov_buckets: int = 1
    min_frequency: int = 1
    truncate: Literal["end", "start"] = "end"
    accepts: ClassVar[tuple[SchemaType, ...]] = ("BYTES",)
    modality: ClassVar[Modality] = "text"

    def check(self) -> None:
        for name in ("vocabulary", "length", "oov_buckets", "min_frequency"):
            self.require(getattr(self, name) > 0, f"{name}: expected at least 1", **{name: getattr(self, name)})
        pair = len(self.ngrams) == 2 and 1 <= self.ngrams[0] <= self.ngrams[1]
        self.require(pair, "ngrams: expected (low, high) with 1 <= low <= high", ngrams=self.ngrams)
        self.require(self.truncate in ("end", "start"), "truncate: expected 'end' or 'start'", truncate=self.truncate)

    @property
    def cardinality(self) -> int:
        return 1 + self.vocabulary + self.oov_buckets

    @property
    def shape(self) -> tuple[int]:
        return (self.length,)

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        import tensorflow as tf
        import tensorflow_transform as tft

        terms = self.terms(dense_strings(column))
        vocabulary = tft.vocabulary(
            terms.flat_values,
            top_k=self.vocabulary,
            frequency_threshold=self.min_frequency if self.min_frequency > 1 else None,
            vocab_filename=self.transformed,
        )
        kept = terms[:, : self.length] if self.truncate == "end" else terms[:, -self.length :]
        ids = tft.apply_vocabulary(kept.flat_values, vocabulary, num_oov_buckets=self.oov_buckets)
        padded = kept.with_flat_values(ids + 1).to_tensor(0, shape=[None, self.length])
        return tf.ensure_shape(padded, [None, self.length])

    def terms(self, texts: "tf.Tensor") -> "tf.RaggedTensor":
        """Of each text: terms, then pairs, then triples …, as `ngrams` has them; [rows, (terms)]."""
        import tensorflow as tf

        words = tf.strings.split(_normalised(texts, self.lowercase))
        low, high = self.ngrams
        runs = [words if n == 1 else tf.strings.ngrams(words, n, separator=" ") for n in range(low, high + 1)]
        return tf.concat(runs, axis=1) if len(runs) > 1 else runs[0]


def _normalised(texts: "tf.Tensor", lowercase: bool) -> "tf.Tensor":
    """Terms with spaces between them; control characters and bytes that are no UTF-8 part terms."""
    import tensorflow as tf

    texts = tf.strings.unicode_transcode(
        texts, "UTF-8", "UTF-8", errors="replace", replacement_char=0x20, replace_control_characters=True
    )
    texts = tf.strings.lower(texts, encoding="utf-8") if lowercase else texts
    texts = tf.strings.regex_replace(texts, _MARKUP, " ")
    texts = tf.strings.regex_replace(texts, "\u2019", "'")
    texts = tf.strings.regex_replace(texts, _NO_WORD, " ")
    texts = tf.strings.regex_replace(texts, _ALONE, r" \1 ")
    texts = tf.strings.regex_replace(texts, "'+( |$)", " ")
    return tf.strings.regex_replace(texts, "(^| )'+", " ")
