"""Decompressing a stream that may be truncated or damaged: one clear error, with the file's name."""

import io
import zlib
from typing import Any, BinaryIO, cast

from pipeline.errors import DataBlocked

GZIP, ZLIB = 31, 15
"""zlib's `wbits` for the two."""

_BUFFER = 1 << 20
_CHUNK = 64 << 10


def inflate(stream: BinaryIO, file: str, start: bytes = b"", wbits: int = GZIP) -> BinaryIO:
    """The text of a compressed stream, with all its members; what is read is checked against their checksums.

    Args:
      stream: compressed bytes.
      file: its name in messages.
      start: bytes that were read from the stream before.
      wbits: GZIP or ZLIB.

    Raises:
      DataBlocked: while reading: truncated, damaged, or not compressed.
    """
    return cast(BinaryIO, io.BufferedReader(_Inflated(stream, file, start, wbits), _BUFFER))


class _Inflated(io.RawIOBase):
    def __init__(self, stream: BinaryIO, file: str, start: bytes, wbits: int) -> None:
        self._stream, self._file, self._wbits = stream, file, wbits
        self._pending = start
        self._member: Any = None
        self._ended = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            self._pending = self._pending or self._stream.read(_CHUNK)
            if self._member is None and self._ended:
                self._pending = self._pending.lstrip(b"\0")  # some writers pad the last member
            if not self._pending:
                if self._member is None and self._ended:
                    more = self._stream.read(1)
                    if not more:
                        return 0
                    self._pending = more
                    continue
                raise DataBlocked(
                    f"{self._file}: the compressed file is truncated. Expected the end of its data. "
                    "Next: copy or write it again"
                )
            text = self._some(len(buffer))
            if text:
                buffer[: len(text)] = text
                return len(text)

    def _some(self, size: int) -> bytes:
        """The next bytes of the text, at most `size`; none where the input does not suffice for one."""
        fresh = self._member is None
        if fresh:
            self._member = zlib.decompressobj(self._wbits)
        try:
            text: bytes = self._member.decompress(self._pending, size)
        except zlib.error as error:
            first = fresh and not self._ended
            what = "not a compressed file, or damaged at its start" if first else "the compressed file is damaged"
            raise DataBlocked(f"{self._file}: {what} ({error}). Next: copy or write it again") from error
        self._pending = self._member.unconsumed_tail
        if self._member.eof:
            self._pending, self._member = self._member.unused_data, None
            self._ended += 1
        return text
