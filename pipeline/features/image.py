"""Images: encoded PNG or JPEG files in a column, as pixels of one size."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.features.augment import Augment
from pipeline.features.base import Feature, Modality, SchemaType, dense_strings

if TYPE_CHECKING:
    import tensorflow as tf

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Image(Feature):
    """A PNG or JPEG, decoded and brought to one size; black where there is none.

    A model reads uint8 in [0, 255]; scaling is a layer of the model. Ingestion has decoded each image once: what can't
    be decoded, or is larger than `max_pixels`, is quarantined there. In a request it is an error.

    Palettes become colours, 16 bits a channel become 8, transparency is dropped, an EXIF orientation is not looked at.
    A CMYK JPEG becomes RGB; with channels=1 it can't be decoded. GIF, BMP and WebP are no images here.

    Attributes:
      height: in pixels, of what the model reads.
      width: likewise.
      channels: 3 for colours (grey images too), 1 for shades of grey (images in colour too).
      resize: "stretch" to height and width; or "fit" within them, the rest black, proportions kept. Bilinear, and
        smoothed (antialias) where it shrinks.
      max_pixels: height times width above which a file is refused by its header, before it takes memory to decode.
      augment: what training does to each image at random, or None.
    """

    height: int = 0
    width: int = 0
    channels: Literal[1, 3] = 3
    resize: Literal["stretch", "fit"] = "stretch"
    max_pixels: int = 50_000_000
    augment: Augment | None = None
    accepts: ClassVar[tuple[SchemaType, ...]] = ("BYTES",)
    modality: ClassVar[Modality] = "image"

    def check(self) -> None:
        size = {"height": self.height, "width": self.width}
        self.require(self.height > 0 and self.width > 0, "height, width: expected at least 1", **size)
        self.require(self.channels in (1, 3), "channels: expected 1 or 3", channels=self.channels)
        self.require(self.resize in ("stretch", "fit"), "resize: expected 'stretch' or 'fit'", resize=self.resize)
        self.require(self.max_pixels > 0, "max_pixels: expected at least 1", max_pixels=self.max_pixels)
        least = self.augment.least_side if self.augment else 1
        self.require(min(self.height, self.width) >= least, f"augment: expected sides of at least {least}", **size)

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, self.channels)

    @property
    def dtype(self) -> Literal["float32", "int64", "uint8"]:
        return "uint8"

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        """The pixels, one string a row: a list of integers would take ten times the room and the time to parse."""
        import tensorflow as tf

        rows = tf.map_fn(self._stored, dense_strings(column), fn_output_signature=tf.TensorSpec([], tf.string))
        return tf.reshape(rows, [-1, 1])

    def model_input(self, transformed: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        return tf.reshape(tf.io.decode_raw(tf.reshape(transformed, [-1]), tf.uint8), [-1, *self.shape])

    def augmented(self, values: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        return self.augment(values, seed) if self.augment else values

    def _stored(self, encoded: "tf.Tensor") -> "tf.Tensor":
        """The bytes of the pixels. They end a serialised uint8 tensor: `tensor_content` is the last field that is set."""
        import tensorflow as tf

        size = math.prod(self.shape)
        missing = tf.equal(encoded, "")
        pixels = tf.cond(missing, lambda: tf.zeros(self.shape, tf.uint8), lambda: self._resized(encoded))
        return tf.strings.substr(tf.io.serialize_tensor(tf.ensure_shape(pixels, self.shape)), -size, size)

    def _resized(self, encoded: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        pixels = decode(encoded, self.channels, self.max_pixels)
        if self.resize == "stretch":
            resized = tf.image.resize(pixels, [self.height, self.width], antialias=True)
        else:
            resized = tf.image.resize_with_pad(pixels, self.height, self.width, antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def decode(encoded: "tf.Tensor", channels: int, max_pixels: int) -> "tf.Tensor":
    """uint8 of shape [height, width, channels]: one decoder for ingestion, training and serving.

    Raises:
      tf.errors.InvalidArgumentError: neither PNG nor JPEG, too large by its header, or it can't be decoded.
    """
    import tensorflow as tf

    allowed = tf.debugging.Assert(
        declared_pixels(encoded) <= max_pixels, [f"expected an image of at most {max_pixels} pixels"]
    )
    with tf.control_dependencies([] if allowed is None else [allowed]):
        pixels = tf.io.decode_image(encoded, channels, expand_animations=False)
    return tf.ensure_shape(pixels, [None, None, channels])


def declared_pixels(encoded: "tf.Tensor") -> "tf.Tensor":
    """Height times width, int64, as the header of a PNG or JPEG has them.

    Raises:
      tf.errors.InvalidArgumentError: it is neither.
    """
    import tensorflow as tf

    # Filled up, since TensorFlow's error of a string that is too short has its bytes in it, and Python can't read them.
    header = tf.strings.join([tf.strings.substr(encoded, 0, 24), tf.constant(bytes(24))])

    def of_png() -> tf.Tensor:
        sides = tf.io.decode_raw(tf.strings.substr(header, 16, 8), tf.int32, little_endian=False)
        return tf.reduce_prod(tf.cast(sides, tf.int64))

    def of_jpeg() -> tf.Tensor:
        return tf.reduce_prod(tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64))

    return tf.cond(tf.equal(tf.strings.substr(header, 0, len(PNG)), PNG), of_png, of_jpeg)
