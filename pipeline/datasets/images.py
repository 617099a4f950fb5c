"""Images and their labels as Parquet: what the tasks with images read, whether from here or from `--data`."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_ROWS = 5000
"""Encoded together; one row group of the file."""


def write_images(file: Path, pixels: np.ndarray, labels: Sequence[str]) -> None:
    """Writes a Parquet file with the columns `image`, a PNG, and `label`.

    Args:
      file: to write; its folder is made.
      pixels: uint8, [images, height, width] of grey ones or [images, height, width, 3] of RGB.
      labels: one each.
    """
    if len(pixels) != len(labels):
        raise ValueError(f"expected a label for each image. Received: {len(pixels)} images, {len(labels)} labels")
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = pa.schema({"image": pa.binary(), "label": pa.string()})
    with pq.ParquetWriter(file, columns) as writer:
        for start in range(0, len(pixels), _ROWS):
            rows = slice(start, start + _ROWS)
            table = pa.table({"image": list(_encoded(pixels[rows])), "label": list(labels[rows])}, columns)
            writer.write_table(table)


def _encoded(pixels: np.ndarray) -> Iterator[bytes]:
    from PIL import Image

    for image in pixels:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        yield stream.getvalue()
