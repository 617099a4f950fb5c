"""TFRecord's framing: length, its checksum, data, its checksum; for each record, and nothing else.

Read by us, and not by TensorFlow, for three reasons: a stream may be an object in a bucket, whose server TensorFlow
can't be told (nor has it s3://); TensorFlow ends at the first bad checksum, though the records after it are sound; and
it doesn't say which record it was. google_crc32c makes it as fast: about 1 µs a record.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import google_crc32c

from pipeline.errors import DataBlocked, UsageError, nearest
from pipeline.ingest.batch import LONGEST_TEXT, Malformed
from pipeline.ingest.inflate import GZIP, ZLIB, inflate

ROWS = 32_768
BYTES = 16 << 20
_CHUNK = 4 << 20
_HEADER, _FOOTER = 12, 4
_KNOWN_HEADERS = 65_536

COMPRESSIONS = {"none": 0, "gzip": GZIP, "zlib": ZLIB}


@dataclass(frozen=True)
class Frames:
    """Some records of a file.

    Attributes:
      numbers: of the records, from 1.
      records: their data, whose checksums are right.
      malformed: records among these whose checksum is wrong.
    """

    numbers: list[int]
    records: list[bytes]
    malformed: list[Malformed]


def frames(stream: BinaryIO, file: str, compression: str = "auto") -> Iterator[Frames]:
    """Reads the records of a TFRecord file, ROWS or about BYTES at once.

    Args:
      stream: the file.
      file: its name in messages.
      compression: `none`, `gzip`, `zlib`, or `auto`: by the first bytes.

    Raises:
      UsageError: no such compression.
      DataBlocked: empty, not a TFRecord file, or truncated or damaged so that no further record can be found; all
        records before that were yielded.
    """
    start = stream.read(_CHUNK)
    if not start:
        raise DataBlocked(f"{file}: the file is empty. Expected TFRecord. Next: remove it, or write it again")
    wbits = _wbits(start, compression)
    if wbits:
        stream, start = inflate(stream, file, start, wbits), b""
    yield from _frames(stream, file, start)


def _wbits(start: bytes, compression: str) -> int:
    if compression == "auto":
        # A plain file may begin with the bytes of another format by chance; its checksum is no chance.
        if _length(start[:_HEADER]) is not None:
            return 0
        return GZIP if start[:2] == b"\x1f\x8b" else ZLIB if start[:1] == b"\x78" else 0
    if compression not in COMPRESSIONS:
        raise UsageError(f"TfRecord: no compression {compression!r}.{nearest(compression, ['auto', *COMPRESSIONS])}")
    return COMPRESSIONS[compression]


def _frames(stream: BinaryIO, file: str, buffer: bytes) -> Iterator[Frames]:
    """See `frames`; `buffer` is the start of the stream."""
    lengths: dict[bytes, int] = {}
    checksum, unpack = google_crc32c.value, struct.Struct("<I").unpack_from
    number = position = size = 0
    held = Frames([], [], [])
    while True:
        header = buffer[position : position + _HEADER]
        length = lengths.get(header)
        if length is None:
            if len(header) < _HEADER:
                buffer, position = _more(stream, buffer[position:], _HEADER), 0
                header = buffer[:_HEADER]
                if not header:
                    break
            length = _length(header)
            if length is None:
                yield held
                raise DataBlocked(_lost(file, number, header))
            if len(lengths) < _KNOWN_HEADERS:
                lengths[header] = length
        end = position + _HEADER + length
        if end + _FOOTER > len(buffer):
            buffer, position = _more(stream, buffer[position:], _HEADER + length + _FOOTER), 0
            end = _HEADER + length
            if end + _FOOTER > len(buffer):
                yield held
                raise DataBlocked(_cut(file, number))
        data = buffer[position + _HEADER : end]
        (expected,) = unpack(buffer, end)
        number += 1
        crc = checksum(data)
        if ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF == expected:
            held.numbers.append(number)
            held.records.append(data)
        else:
            message = f"expected a record with the checksum {expected:08x}, received one with {_mask(crc):08x}"
            held.malformed.append(Malformed(number, message, shown(data)))
        position = end + _FOOTER
        size += length
        if size >= BYTES or len(held.numbers) + len(held.malformed) >= ROWS:
            yield held
            held, size = Frames([], [], []), 0
    if held.numbers or held.malformed:
        yield held


def _more(stream: BinaryIO, buffer: bytes, size: int) -> bytes:
    """The buffer with what follows, at least `size` bytes where the stream has them."""
    parts, have = [buffer], len(buffer)
    while have < size and (chunk := stream.read(_CHUNK)):
        parts.append(chunk)
        have += len(chunk)
    return b"".join(parts)


def _length(header: bytes) -> int | None:
    """The length that a header says, or None where its checksum is wrong."""
    if len(header) < _HEADER:
        return None
    length, expected = struct.unpack("<QI", header)
    return length if _mask(google_crc32c.value(header[:8])) == expected else None


def _mask(crc: int) -> int:
    """TFRecord's form of a CRC-32C: rotated right by 15 bits, plus a constant."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _lost(file: str, number: int, header: bytes) -> str:
    if number == 0:
        return f"{file}: not a TFRecord file. Received {header!r} at its start. Next: check the source"
    if len(header) < _HEADER:
        return _cut(file, number)
    return (
        f"{file}: the file is damaged after record {number:,}: the length of the next has a wrong checksum. "
        "Next: copy or write it again"
    )


def _cut(file: str, number: int) -> str:
    return f"{file}: the file is truncated after record {number:,}. Next: copy or write it again"


def shown(data: bytes) -> str:
    """The start of a record, as text."""
    return data[:LONGEST_TEXT].decode(errors="backslashreplace")[:LONGEST_TEXT]
