"""Serialised rows on disk: gzipped TFRecord shards, and their framing.

A record is its length (uint64), the length's checksum, its bytes, and their checksum; a checksum is a masked CRC-32C
(tensorflow/core/lib/io/record_writer.h). A shard is written under a temporary name; a commit renames it.
"""

import struct
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

import google_crc32c

_ROWS = 131_072
_LEVEL = 1
_AHEAD = 4
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")


class Shards:
    """Writes the rows of one split from one file, a new shard every 131,072 rows.

    Compressing and writing is done by a thread, which holds no lock of Python's meanwhile.
    """

    def __init__(self, prefix: str, create: Callable[[str], BinaryIO]) -> None:
        """See the class.

        Args:
          prefix: path of the shards, to which a number is appended.
          create: opens a path for writing.
        """
        self._prefix = prefix
        self._create = create
        self._writer = ThreadPoolExecutor(1, "millrace-write")
        self._pending: deque[Future[None]] = deque()
        self._stream: BinaryIO | None = None
        self._left = 0
        self.paths: list[str] = []
        self.rows = 0

    def write(self, records: Sequence[bytes]) -> None:
        """Appends records.

        Raises:
          OSError: these or earlier ones could not be written.
        """
        at = 0
        while at < len(records):
            if not self._left:
                self._submit(self._next, f"{self._prefix}-{len(self.paths):05d}")
                self.paths.append(f"{self._prefix}-{len(self.paths):05d}")
                self._left = _ROWS
            some = records[at : at + self._left]
            self._submit(self._append, framed(some))
            self._left -= len(some)
            self.rows += len(some)
            at += len(some)

    def close(self) -> None:
        """Ends the last shard.

        Raises:
          OSError: something could not be written.
        """
        try:
            self._submit(self._end)
            while self._pending:
                self._pending.popleft().result()
        finally:
            self._writer.shutdown()

    def _submit(self, function: Callable[..., None], *args: Any) -> None:
        while len(self._pending) >= _AHEAD:
            self._pending.popleft().result()
        self._pending.append(self._writer.submit(function, *args))

    # What follows runs in the thread.

    def _next(self, path: str) -> None:
        self._end()
        self._stream = self._create(path)
        self._gzip = zlib.compressobj(_LEVEL, wbits=31)

    def _append(self, frames: bytes) -> None:
        if self._stream is not None:
            self._stream.write(self._gzip.compress(frames))

    def _end(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            with stream:
                stream.write(self._gzip.flush())


def framed(records: Sequence[bytes]) -> bytes:
    """Records as TFRecord frames, one after another."""
    parts: list[bytes] = []
    for record in records:
        length = _LENGTH.pack(len(record))
        parts += (length, _masked(length), record, _masked(record))
    return b"".join(parts)


def _masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return _CRC.pack((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
