"""The text of a CSV file as it is read: from any encoding, from line to line, with the number of the line."""

import codecs
import io
import re
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import numpy as np

from pipeline.errors import DataBlocked, TaskError

LONGEST_RECORD = 32 << 20
NEWLINE = re.compile(rb"\r\n|\r|\n")
_READ = 64 << 10


def transcoded(stream: BinaryIO, file: str, encoding: str) -> BinaryIO:
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise TaskError(f"source: no encoding {encoding!r}") from error
    return cast(BinaryIO, _Transcoder(stream, file, encoding))


class _Transcoder(io.RawIOBase):
    """Bytes of another encoding, as UTF-8."""

    def __init__(self, stream: BinaryIO, file: str, encoding: str) -> None:
        self._stream, self._file, self._encoding = stream, file, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def read(self, size: int = -1) -> bytes:
        """As a file's `read`; may give more bytes than asked for, none only at the end."""
        while True:
            block = self._stream.read(size)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise DataBlocked(
                    f"{self._file}: not {self._encoding}: {error.reason}. Next: Csv(…, encoding='…') as the file has it"
                ) from error
            if text or not block:
                return text.encode("utf-8")


@dataclass
class Lines:
    """The part of a file that is in memory, from a line's start.

    Attributes:
      stream: the rest.
      file: its name.
      buffer: bytes that are not parsed yet.
      line: the line, from 1, that the buffer starts with.
      ended: whether the stream is exhausted.
    """

    stream: BinaryIO
    file: str
    buffer: bytes = b""
    line: int = 1
    ended: bool = False
    _wanted: int = field(default=0, init=False)

    def fill(self, size: int) -> bool:
        """Reads until the buffer has `size` bytes or more, as far as there are; whether there is any."""
        parts = [self.buffer]
        have = len(self.buffer)
        size = max(size, self._wanted)
        while have < size and not self.ended:
            block = self.stream.read(size - have)
            self.ended = not block
            parts.append(block)
            have += len(block)
        self.buffer = b"".join(parts)
        self._wanted = 0
        return bool(self.buffer)

    def skip(self, size: int, lines: int) -> None:
        """Drops bytes that are done with."""
        self.buffer = self.buffer[size:]
        self.line += lines

    def skip_line(self) -> None:
        """Drops all up to the end of the line that the buffer starts with."""
        while True:
            end = NEWLINE.search(self.buffer)
            if self.ended or (end and end.end() < len(self.buffer)):  # a \r at the end may be half of \r\n
                break
            self.buffer = self.buffer[end.start() :] if end else b""
            self.fill(_READ)
        self.skip(end.end() if end else len(self.buffer), 1)

    def extend(self) -> bool:
        """Asks for twice as much at the next `fill`; False where there is no more, or it would be too much."""
        if self.ended or len(self.buffer) >= LONGEST_RECORD:
            return False
        self._wanted = 2 * len(self.buffer)
        return True


def breaks(text: bytes) -> int:
    """How many line ends there are."""
    newlines = text.count(b"\n")
    return newlines + text.count(b"\r") - text.count(b"\r\n") if b"\r" in text else newlines


def line_end(text: bytes) -> int:
    """The byte behind the last line end; a \\r as the last byte may be half of one."""
    return max(text.rfind(b"\n"), text.rfind(b"\r", 0, -1)) + 1


def line_starts(text: bytes) -> np.ndarray:
    """The byte at which each line starts, and the one behind the last; int64."""
    if b"\r" in text:
        ends = np.array([match.end() for match in NEWLINE.finditer(text)], np.int64)
    else:
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    rest = [] if len(ends) and ends[-1] == len(text) else [len(text)]
    return np.concatenate([[0], ends, rest]).astype(np.int64)
