"""What training does to images at random, so that a model sees each one a little different in each epoch."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import TaskError

if TYPE_CHECKING:
    import tensorflow as tf

_GREY = 128
_DRAWS = 10


@dataclass(frozen=True)
class Augment:
    """Random changes, each drawn anew for every image of a batch; evenly from its range. None by default.

    What moves in from outside the image is its mirror image.

    Attributes:
      flip: mirrors left and right, every other image.
      shift: pixels, up to which an image is moved, in both directions; whole ones.
      rotate: degrees, up to which it is turned to either side.
      zoom: 0.1 makes it up to 10 % smaller or larger.
      brightness: 0.1 adds or subtracts up to 10 % of the full range.
      contrast: 0.1 draws it up to 10 % closer to or farther from the image's mean.
      cutout: pixels; the side of a grey square laid over it, part of which may be outside; 0 for none.
    """

    flip: bool = False
    shift: int = 0
    rotate: float = 0.0
    zoom: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    cutout: int = 0

    def __post_init__(self) -> None:
        rules = (
            ("shift", self.shift >= 0, "a number of pixels, at least 0"),
            ("rotate", 0 <= self.rotate <= 180, "degrees, 0 to 180"),
            ("zoom", 0 <= self.zoom < 1, "at least 0 and less than 1"),
            ("brightness", 0 <= self.brightness <= 1, "0 to 1"),
            ("contrast", 0 <= self.contrast <= 1, "0 to 1"),
            ("cutout", self.cutout >= 0, "a number of pixels, at least 0"),
        )
        for name, ok, expected in rules:
            if not ok:
                raise TaskError(f"Augment: {name}: expected {expected}. Received: {name}={getattr(self, name)!r}")

    @property
    def least_side(self) -> int:
        """Pixels that an image must have on each side."""
        return max(self.shift, self.cutout, 1)

    def __call__(self, images: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        """The images, changed.

        Args:
          images: uint8, [rows, height, width, channels].
          seed: integers, [2]; the same seed makes the same changes.
        """
        import tensorflow as tf

        draws = tf.random.stateless_uniform([_DRAWS, tf.shape(images)[0]], seed, -1.0, 1.0)
        if self.flip or self.shift or self.rotate or self.zoom:
            images = self._moved(images, draws)
        if self.brightness or self.contrast:
            images = self._lit(images, draws)
        return self._cut(images, draws) if self.cutout else images

    def _moved(self, images: "tf.Tensor", draws: "tf.Tensor") -> "tf.Tensor":
        """One look-up for all: where each pixel of the outcome comes from, as a matrix around the middle of the image."""
        import tensorflow as tf

        height, width = tf.shape(images)[1], tf.shape(images)[2]
        middle = [tf.cast(side - 1, tf.float32) / 2 for side in (width, height)]
        angle = draws[0] * math.radians(self.rotate)
        size = 1.0 / (1.0 + draws[1] * self.zoom)
        mirror = tf.where(draws[2] < 0, -1.0, 1.0) if self.flip else tf.ones_like(size)
        shift = [tf.round(draw * (self.shift + 0.5)) for draw in (draws[3], draws[4])]
        shift = [tf.clip_by_value(pixels, -self.shift, self.shift) for pixels in shift]
        cosine, sine = size * tf.cos(angle), size * tf.sin(angle)
        a0, a1, b0, b1 = mirror * cosine, -mirror * sine, sine, cosine
        a2 = middle[0] - a0 * middle[0] - a1 * middle[1] + shift[0]
        b2 = middle[1] - b0 * middle[0] - b1 * middle[1] + shift[1]
        none = tf.zeros_like(a0)
        whole = not (self.rotate or self.zoom)
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=images if whole else tf.cast(images, tf.float32),
            transforms=tf.stack([a0, a1, a2, b0, b1, b2, none, none], 1),
            output_shape=tf.stack([height, width]),
            fill_value=0.0,
            interpolation="NEAREST" if whole else "BILINEAR",
            fill_mode="REFLECT",
        )
        return moved if whole else _as_pixels(moved)

    def _lit(self, images: "tf.Tensor", draws: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        values = tf.cast(images, tf.float32)
        mean = tf.reduce_mean(values, [1, 2, 3], keepdims=True)
        factor = 1.0 + self.contrast * draws[5][:, None, None, None]
        added = 255.0 * self.brightness * draws[6][:, None, None, None]
        return _as_pixels((values - mean) * factor + (mean + added))

    def _cut(self, images: "tf.Tensor", draws: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        inside = []
        for draw, axis in ((draws[7], 1), (draws[8], 2)):
            side = tf.shape(images)[axis]
            middle = tf.cast((draw + 1.0) / 2.0 * tf.cast(side, tf.float32), tf.int32)
            offsets = tf.range(side)[None, :] - (middle - self.cutout // 2)[:, None]
            inside.append(tf.logical_and(offsets >= 0, offsets < self.cutout))
        square = tf.logical_and(inside[0][:, :, None], inside[1][:, None, :])
        return tf.where(square[..., None], tf.constant(_GREY, images.dtype), images)


def _as_pixels(values: "tf.Tensor") -> "tf.Tensor":
    import tensorflow as tf

    return tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), tf.uint8)
