"""Text as it is, for a model that brings its own tokens."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.features.base import Feature, Modality, SchemaType, dense_strings

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class RawText(Feature):
    """A column of text, unchanged; "" where it is missing. `SavedModelFeatures` is what can read it."""

    accepts: ClassVar[tuple[SchemaType, ...]] = ("BYTES",)
    modality: ClassVar[Modality] = "string"

    @property
    def dtype(self) -> Literal["string"]:
        return "string"

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        import tensorflow as tf

        return tf.expand_dims(dense_strings(column), 1)
