"""Which rows hold images that can't be learned from: no image at all, one too large to decode, one that does not decode.

The header is looked at first: a file of 100 kB may claim 20,000 x 20,000 pixels, and would take 1.2 GB to decode. What
passes was decoded by the very decoder that the transform graph and the served model have.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.features.base import Feature
from pipeline.features.image import JPEG, PNG, Image, declared_pixels, decode
from pipeline.ingest.rules import Fault, single

_AT_ONCE = 256
_IN_FLIGHT = 4


@dataclass(frozen=True)
class Encoded:
    """A column of encoded images, and what is made of them.

    Attributes:
      name: of the column.
      channels: that they are decoded to.
      max_pixels: height times width above which one is refused.
    """

    name: str
    channels: int
    max_pixels: int


def encoded(features: Sequence[Feature]) -> tuple[Encoded, ...]:
    """The columns that a task reads as images."""
    return tuple(Encoded(f.name, f.channels, f.max_pixels) for f in features if isinstance(f, Image))


def faults(columns: Mapping[str, pa.Array], images: Sequence[Encoded]) -> Iterator[Fault]:
    """Decodes each image once. A missing one breaks no rule; one of no bytes does, as it is there and shows nothing.

    Args:
      columns: name -> typed column, shape [rows].
      images: the columns to look at.

    Yields:
      A fault for each way in which images of a column are wrong.
    """
    for image in images:
        if image.name not in columns:
            continue
        column = single(columns[image.name])
        present = np.flatnonzero(np.asarray(column.is_valid()))
        found: dict[str, list[int]] = {}
        for at in range(0, len(present), _AT_ONCE):
            rows = present[at : at + _AT_ONCE]
            contents = column.take(pa.array(rows)).to_pylist()
            if _all_decode(contents, image):
                continue
            for row, value in zip(rows, contents, strict=True):
                message = _wrong(value, image)
                if message:
                    found.setdefault(message, []).append(row)
        for message, wrong in found.items():
            mask = np.zeros(len(column), bool)
            mask[wrong] = True
            yield Fault("image", image.name, message, mask)


def _all_decode(contents: list[bytes], image: Encoded) -> bool:
    import tensorflow as tf

    try:
        _decoder(image.channels, image.max_pixels)(tf.constant(contents))
    except tf.errors.InvalidArgumentError:
        return False
    return all(value.startswith((PNG, JPEG)) for value in contents)


@cache
def _decoder(channels: int, max_pixels: int) -> Any:
    """Decodes many, a few at a time, and drops the pixels: half the time of one call for each."""
    import tensorflow as tf

    def decode_all(contents: tf.Tensor) -> tf.Tensor:
        def size(one: tf.Tensor) -> tf.Tensor:
            return tf.size(decode(one, channels, max_pixels))

        return tf.map_fn(size, contents, fn_output_signature=tf.int32, parallel_iterations=_IN_FLIGHT)

    return tf.function(decode_all, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


def _wrong(contents: bytes, image: Encoded) -> str | None:
    """What was expected of an image that can't be used; None for one that can."""
    import tensorflow as tf

    if not contents.startswith((PNG, JPEG)):
        return "expected the bytes of a PNG or a JPEG file"
    try:
        value = tf.constant(contents)
        if declared_pixels(value) > image.max_pixels:
            return f"expected an image of at most {image.max_pixels:,} pixels (max_pixels), as its header says"
        decode(value, image.channels, image.max_pixels)
    except tf.errors.InvalidArgumentError:
        colours = "shades of grey" if image.channels == 1 else "colours"
        return f"expected an image that can be decoded to {colours}: whole and not damaged"
    return None
