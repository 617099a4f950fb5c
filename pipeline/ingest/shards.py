"""Serialised rows on disk: gzipped TFRecord shards, and their framing.

A record is its length (uint64), the length's checksum, its bytes, and their checksum; a checksum is a masked CRC-32C
(tensorflow/core/lib/io/record_writer.h). A shard is written under a temporary name; a commit renames it.

Blocks of rows are serialised, framed and compressed each for itself, by as many threads as a pool has: deflated data
may be joined where a block ends at a whole byte (RFC 1951, 3.2.4). What comes out is one ordinary member of gzip. A
block has 16,384 rows, or about 8 MB; for each split a few are in memory.
"""

import itertools
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import lru_cache
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
import pyarrow as pa
from isal import isal_zlib  # zlib's interface and sizes, in a quarter of the time

from pipeline.ingest import tf_examples
from pipeline.ingest.behind import Behind

ROWS = 131_072
"""Rows of a shard."""

_BLOCK = 16_384
_BLOCK_BYTES = 8 << 20
_LEVEL = 1
_GZIP = 31  # zlib's code for a gzip header
_RAW = -15  # and for neither header nor trailer
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # deflated, no name, no time, fastest, of no known system
_LAST = b"\x03\x00"  # an empty block, marked as the last
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_TRAILER = struct.Struct("<II")
_KNOWN_LENGTHS = 65_536


class Shards:
    """Writes the rows of one split from some files, a new shard every 131,072 rows."""

    def __init__(self, prefix: str, create: Callable[[str], BinaryIO], pool: Executor) -> None:
        """See the class.

        Args:
          prefix: path of the shards, to which a number is appended.
          create: opens a path for writing.
          pool: whose threads serialise and compress.
        """
        self._prefix = prefix
        self._create = create
        self._pool = pool
        self._behind = Behind()
        self._stream: BinaryIO | None = None
        self._left = 0
        self.paths: list[str] = []
        self.rows = 0

    def write(self, records: Sequence[bytes]) -> None:
        """Appends records.

        Raises:
          OSError: these or earlier ones could not be written.
        """
        self._add(len(records), _BLOCK, lambda at, end: records[at:end])

    def encode(self, batch: pa.RecordBatch) -> None:
        """Appends rows, as tf.Examples.

        Args:
          batch: as for `tf_examples.encode`.

        Raises:
          OSError: these or earlier ones could not be written.
        """
        at_once = max(1, min(_BLOCK, _BLOCK_BYTES * batch.num_rows // max(1, batch.nbytes)))
        self._add(batch.num_rows, at_once, lambda at, end: tf_examples.encode(batch.slice(at, end - at)))

    def close(self) -> None:
        """Ends the last shard.

        Raises:
          OSError: something could not be written.
        """
        try:
            self._behind.do(self._end)
        finally:
            self._behind.close()

    def _add(self, rows: int, at_once: int, records: Callable[[int, int], Sequence[bytes]]) -> None:
        at = 0
        while at < rows:
            if not self._left:
                self.paths.append(f"{self._prefix}-{len(self.paths):05d}")
                self._behind.do(self._next, self.paths[-1])
                self._left = ROWS
            end = min(rows, at + self._left, at + at_once)
            self._behind.do(self._append, self._pool.submit(_block, records, at, end))
            self._left -= end - at
            self.rows += end - at
            at = end

    # What follows runs in the thread that writes.

    def _next(self, path: str) -> None:
        self._end()
        self._stream = self._create(path)
        self._stream.write(_HEADER)
        self._crc = self._size = 0

    def _append(self, block: Future[tuple[bytes, bytes]]) -> None:
        frames, deflated = block.result()
        if self._stream is not None:
            self._crc = isal_zlib.crc32(frames, self._crc)
            self._size += len(frames)
            self._stream.write(deflated)

    def _end(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            with stream:
                stream.write(_LAST + _TRAILER.pack(self._crc, self._size & 0xFFFFFFFF))


def compressor() -> Any:
    """What makes one gzip file of what it is given: an object with zlib's `compress(data)` and `flush()`."""
    return isal_zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)


def _block(records: Callable[[int, int], Sequence[bytes]], at: int, end: int) -> tuple[bytes, bytes]:
    """Frames of some rows, plain and deflated up to a whole byte."""
    frames = framed(records(at, end))
    deflate = isal_zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    return frames, deflate.compress(frames) + deflate.flush(zlib.Z_SYNC_FLUSH)


def framed(records: Sequence[bytes]) -> bytes:
    """Records as TFRecord frames, one after another."""
    crcs = np.fromiter(map(google_crc32c.value, records), np.uint32, len(records))
    footers = _masked(crcs).astype("<u4").view("V4").tolist()
    headers = map(_header, map(len, records))
    return b"".join(itertools.chain.from_iterable(zip(headers, records, footers, strict=True)))


@lru_cache(_KNOWN_LENGTHS)
def _header(length: int) -> bytes:
    packed = _LENGTH.pack(length)
    return packed + _CRC.pack(_masked(np.uint32(google_crc32c.value(packed))))


def _masked(crc: Any) -> Any:
    """The checksum of TFRecord, of CRC-32Cs as uint32."""
    with np.errstate(over="ignore"):
        return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)
