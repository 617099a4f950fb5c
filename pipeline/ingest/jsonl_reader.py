"""JSON Lines to Arrow: `{"fare": 12.5, "company": "Blue Ribbon"}`, one object a line, UTF-8.

A block of lines goes through Arrow's parser, which is fast and refuses a whole block for one odd line. Such a block is
parsed once more by `pipeline.ingest.jsonl_lines`, line by line. Both ways give the same values:

| the schema says | all values of the block are | the column is |
|---|---|---|
| INT | whole numbers within int64 | int64 |
| FLOAT | numbers | double |
| BYTES | strings | string |
| any of them | lists of these | a list of it |
| any of them | something else, even one | string: text as it is, anything else as its JSON |
| nothing | of one kind | that kind; numbers are double if one has a fraction; strings are never taken for dates |
| nothing | of several kinds, or whole numbers beyond int64 | string |

A key that a row lacks is null, like a value of null. Objects stay Arrow structs where the schema has no such column.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.json

from pipeline.errors import DataBlocked
from pipeline.ingest import jsonl_lines
from pipeline.ingest.batch import LONGEST_TEXT, Malformed, RawBatch

ROWS = 32_768
BLOCK = 8 << 20
LONGEST_LINE = 16 << 20

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_ARROW_INF = re.compile(rb"[:,\[\s]-?Inf(?!inity)")
_JSON_ARRAY = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[[ \t\r]*(?:\n|\{[^\n]*,[ \t\r]*\n)")
_MOST_BRACKETS = 500
"""Arrow's parser recurses, and a line of 100,000 brackets would end the process."""

_ARROW_TYPES = {"INT": pa.int64(), "FLOAT": pa.float64(), "BYTES": pa.string()}
_EXACT = 2.0**53
_NULL_IN_LIST = re.compile(rb"[,\[]\s*null\s*[,\]]")
_NAME = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:')
_MOST_NAMES = 10_000

_FEW = 1024
"""Lines that are parsed one by one without trying again in smaller parts."""

Line = tuple[int, bytes]


def read(stream: BinaryIO, file: str, source: Any, columns: Mapping[str, str]) -> Iterator[RawBatch]:
    """Reads a JSON Lines file; see the module's table for the types.

    A line is malformed that is not an object, is not UTF-8, has a key twice or is longer than 16 MiB. Blank lines are
    no rows, and are counted in line numbers. Memory is that of a block, about 8 MB of text.

    Args:
      stream: the text, decompressed.
      file: its name in messages.
      source: the source's settings; JSON Lines has none.
      columns: column -> INT, FLOAT or BYTES.

    Raises:
      DataBlocked: no object in the file, or none among its first lines; more than 10,000 keys; a JSON
        array; UTF-16.
    """
    del source
    types = {name: _ARROW_TYPES[kind] for name, kind in columns.items()}
    seen = 0
    names: set[str] = set()
    for lines, too_long in _blocks(stream, file):
        if too_long:
            yield RawBatch(record_batch({}, 0), np.empty(0, np.int64), tuple(too_long))
        held: list[RawBatch] = []
        for batch in _parse(lines, types, columns) if lines else ():
            seen += len(batch.lines)
            names.update(batch.columns.schema.names)
            if len(names) > _MOST_NAMES:
                raise DataBlocked(
                    f"{file}: more than {_MOST_NAMES:,} keys up to line {batch.lines[-1]:,}. Expected objects with the "
                    f"same keys. Received: {', '.join(sorted(names)[:3])} … Next: check the source"
                )
            held.append(batch)
            if seen:
                yield from held
                held.clear()
        if held:
            raise DataBlocked(_no_objects(file, [record for batch in held for record in batch.malformed]))
    if not seen:
        raise DataBlocked(f"{file}: the file is empty. Expected one JSON object a line.")


def _no_objects(file: str, malformed: list[Malformed]) -> str:
    first = malformed[0]
    return (
        f"{file}: none of the first {len(malformed):,} lines is a JSON object. Expected one object a line. "
        f"Received in line {first.line}: {first.text[:80]!r} ({first.message}). Next: check the format of the source"
    )


def _blocks(stream: BinaryIO, file: str) -> Iterator[tuple[list[Line], list[Malformed]]]:
    """Lines that are not blank, in blocks, each with its number; and those that are too long to be held."""
    number, rest = 0, b""
    chunk = _checked_start(stream.read(BLOCK), file)
    while True:
        following = stream.read(BLOCK)
        rest += chunk
        whole, newline, tail = rest.rpartition(b"\n") if following else (rest, b"\n", b"")
        chunk = following
        if not newline:
            if len(rest) > LONGEST_LINE:
                number += 1
                yield [], [_too_long(number, rest)]
                rest, chunk = b"", _after_line(following, stream)
            continue
        rest = tail
        texts = whole.split(b"\n")
        for start in range(0, len(texts), ROWS):
            part = enumerate(texts[start : start + ROWS], number + start + 1)
            lines = [(line, stripped) for line, text in part if (stripped := text.strip(b" \t\r"))]
            long = [_too_long(line, text) for line, text in lines if len(text) > LONGEST_LINE]
            yield [line for line in lines if len(line[1]) <= LONGEST_LINE] if long else lines, long
        number += len(texts)
        if not following:
            return


def _checked_start(chunk: bytes, file: str) -> bytes:
    """The start of the file without a byte order mark."""
    if chunk.startswith(_UTF16):
        raise DataBlocked(
            f"{file}: the file is UTF-16. Expected UTF-8. Next: iconv -f UTF-16 -t UTF-8 {file} > converted"
        )
    if _JSON_ARRAY.match(chunk):
        raise DataBlocked(
            f"{file}: the file is a JSON array. Expected JSON Lines, one object a line. "
            f"Next: jq -c '.[]' {file} > lines.jsonl"
        )
    return chunk.removeprefix(_BOM)


def _too_long(number: int, text: bytes) -> Malformed:
    message = f"expected a line of at most {LONGEST_LINE >> 20} MiB, received a longer one"
    return Malformed(number, message, text[:LONGEST_TEXT].decode(errors="replace"))


def _after_line(chunk: bytes, stream: BinaryIO) -> bytes:
    """What follows the end of the line, of what was read of the stream."""
    while chunk:
        _, newline, rest = chunk.partition(b"\n")
        if newline:
            return rest
        chunk = stream.read(BLOCK)
    return b""


def _parse(lines: list[Line], types: dict[str, pa.DataType], columns: Mapping[str, str]) -> Iterator[RawBatch]:
    """The lines as one batch where Arrow's parser takes them all, else in smaller ones, so that few are parsed twice."""
    batch = _fast(lines, types, columns)
    if batch is None and len(lines) > _FEW:
        step = max(_FEW, len(lines) // 16)
        for start in range(0, len(lines), step):
            yield from _parse(lines[start : start + step], types, columns)
        return
    refused: list[Malformed] = []
    if batch is None:
        batch, refused = jsonl_lines.parse(lines, columns)
        bad = {record.line for record in refused}
        lines = [line for line in lines if line[0] not in bad] if bad else lines
        for name in set(columns).intersection(batch.schema.names):  # lists are known only once they are seen
            if pa.types.is_list(batch.schema.field(name).type):
                types[name] = batch.schema.field(name).type
    yield RawBatch(batch, np.fromiter((number for number, _ in lines), np.int64, len(lines)), tuple(refused))


def _fast(lines: list[Line], types: dict[str, pa.DataType], columns: Mapping[str, str]) -> pa.RecordBatch | None:
    """The block through Arrow's parser, or None where that does not take it, or would take it differently."""
    if not _one_object_each(lines) or (len(lines) > _FEW and _many_names(lines)):
        return None
    block = b"\n".join([text for _, text in lines])
    if b"\0" in block or (b"Inf" in block and _ARROW_INF.search(block)):
        return None
    try:
        block.decode()
        table = _arrow(block, types)
        dates = {field.name: as_text for field in table.schema if (as_text := _dates_as_text(field.type)) != field.type}
        if dates:
            types.update(dates)
            table = _arrow(block, types)
    except (UnicodeDecodeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if table.num_rows != len(lines):
        return None
    if any("list" in str(kind) for kind in table.schema.types) and _NULL_IN_LIST.search(block):
        return None  # Arrow loses nulls at the start of a list
    absent = [
        name
        for name in types
        if table[name].null_count == len(lines)
        and json.dumps(name).encode() not in block
        and json.dumps(name, ensure_ascii=False).encode() not in block
    ]
    found = {name: table[name] for name in table.column_names if name not in absent}
    if any(_inexact(chunk) for name, column in found.items() if name not in columns for chunk in column.chunks):
        return None
    return record_batch({name: column.combine_chunks() for name, column in found.items()}, len(lines))


def _one_object_each(lines: list[Line]) -> bool:
    """Whether as many rows as lines will mean one row a line, from a parser that takes line ends for spaces.

    A line that starts with { and ends with } can't be a part of an object that goes over several lines.
    """
    return all(
        text[0] == 123
        and text[-1] == 125
        and (len(text) <= _MOST_BRACKETS or text.count(b"{") + text.count(b"[") <= _MOST_BRACKETS)
        for _, text in lines
    )


def _many_names(lines: list[Line]) -> bool:
    """Whether the objects have few keys in common, from 64 of them: columns times rows could be beyond memory."""
    names = [set(_NAME.findall(text)) for _, text in lines[:: max(1, len(lines) // 64)]]
    return len(set().union(*names)) > max(32, 4 * max(map(len, names)))


def record_batch(columns: Mapping[str, pa.Array], rows: int) -> pa.RecordBatch:
    """Columns as a batch; it has its rows even where there is no column."""
    if not columns:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _arrow(block: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
    return pyarrow.json.read_json(
        pa.BufferReader(block),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=pa.schema(list(types.items())), newlines_in_values=False, unexpected_field_behavior="infer"
        ),
    )


def _dates_as_text(kind: pa.DataType) -> pa.DataType:
    """The type with strings where Arrow guessed dates from them."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_dates_as_text(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _dates_as_text(field.type)) for field in kind])
    return kind


def _inexact(array: pa.Array) -> bool:
    """Whether a column of guessed type has numbers that were perhaps rounded: whole numbers beyond 2^53."""
    if pa.types.is_floating(array.type):
        with np.errstate(invalid="ignore"):
            return bool((np.abs(array.to_numpy(zero_copy_only=False)) >= _EXACT).any())
    if pa.types.is_list(array.type):
        return _inexact(array.flatten())
    if pa.types.is_struct(array.type):
        return any(_inexact(child) for child in array.flatten())
    return False
