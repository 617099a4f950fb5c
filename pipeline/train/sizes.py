"""How large rows are, before they are read: what is held of them at a time is bounded by bytes, not by rows.

A row of twelve numbers takes a hundred bytes, an image of 224 by 224 pixels 600 kB: as many of these as of those would
take the machine's memory.
"""

import math
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from pipeline.ingest.inflate import GZIP
from pipeline.task import Task

_HEAD = 1 << 18
_FRAME, _CHECKSUMS = struct.Struct("<Q"), 8
_AHEAD_BYTES = 1 << 27
_AHEAD = 4


@dataclass(frozen=True)
class Stored:
    """What the start of a shard says of all shards.

    Attributes:
      rows: about how many all shards hold.
      row_bytes: mean size of a row's tf.Example, uncompressed; 0 where there is no row.
    """

    rows: float
    row_bytes: float


def stored(files: Sequence[str]) -> Stored:
    """Looks at the first 256 kB, or the first row where that is larger, of the first shard that has a row.

    Args:
      files: gzipped TFRecord shards.
    """
    total = sum(tf.io.gfile.stat(file).length for file in files)
    for file in files:
        read, text = _head(file)
        ends = _ends(text)
        if ends:
            return Stored(len(ends) * total / read, ends[-1] / len(ends))
    return Stored(0.0, 0.0)


def _head(file: str) -> tuple[int, bytes]:
    """How many compressed bytes were read, and what they hold: a whole record, unless the file has none."""
    inflating = zlib.decompressobj(GZIP)
    read, text = 0, b""
    with tf.io.gfile.GFile(file, "rb") as stream:
        while (chunk := stream.read(_HEAD)) and not _ends(text):
            read += len(chunk)
            while chunk:  # A file may be several members, one after the other.
                try:
                    text += inflating.decompress(chunk)
                except zlib.error:
                    return read, text  # Who reads the rows says what is wrong.
                chunk = inflating.unused_data
                if chunk:
                    inflating = zlib.decompressobj(GZIP)
    return read, text


def _ends(text: bytes) -> list[int]:
    """Where each whole record ends."""
    ends: list[int] = []
    place = 0
    while place + _FRAME.size <= len(text):
        place += _FRAME.size + _CHECKSUMS + _FRAME.unpack_from(text, place)[0]
        if place > len(text):
            break
        ends.append(place)
    return ends


def read_bytes(task: Task) -> int:
    """Size of a row as the model reads it, with its target; at least 1. A string counts as its reference."""
    inputs = sum(math.prod(feature.shape) * tf.as_dtype(feature.dtype).size for feature in task.features)
    return max(1, inputs + 4 * math.prod(task.label.shape))


def ahead(task: Task, rows: int) -> int:
    """How many batches of so many rows may be made at once, or wait for their turn.

    At least two; else no more than 128 MB of them, and than four or the machine's cores, whichever is more.
    """
    return max(2, min(max(_AHEAD, os.cpu_count() or 1), _AHEAD_BYTES // (rows * read_bytes(task))))
