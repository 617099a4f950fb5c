"""CSV and TSV, block by block through pyarrow, with the line of every row and nothing lost.

A block is whole lines. Whether its last record is whole, too, only a CSV parser knows, as a quoted value may hold
newlines. So each block is parsed with one more row behind it, of empty values: where a quote is open, that row is
swallowed, and the open record is carried over to the next block. A quote that is never closed costs its own line only.

A line ends with \\n, \\r\\n or \\r, in quotes, too: so pyarrow ends records, and so Python's csv module counts lines.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv

from pipeline.errors import DataBlocked
from pipeline.ingest import csv_header, csv_lines
from pipeline.ingest.batch import LONGEST_TEXT, Malformed, RawBatch
from pipeline.sources import Csv

_BLOCK = 4 << 20
_ARROW = {"INT": pa.int64(), "FLOAT": pa.float64(), "BYTES": pa.binary()}
_SHORTEST = 4 << 10
"""Bytes that are parsed at once next to a stray quote, as each of those costs another parse."""
_MARKERS = "\ufffd\ufffe\uffff"
"""One of these stands for a byte that is not UTF-8, which pyarrow's handler of bad rows can't bear."""
_FEW_STRAYS = 1000
_TOO_LONG = "expected a line of at most {:,} bytes. Received: a longer one"


def read(stream: BinaryIO, file: str, source: Csv, columns: Mapping[str, str]) -> Iterator[RawBatch]:
    """Reads a CSV file.

    Args:
      stream: its bytes, decompressed.
      file: its name, for messages.
      source: the dialect.
      columns: column -> INT, FLOAT or BYTES. Where a whole block parses as that, it comes as int64, float64 or
        binary; where one value does not, the column comes as binary.

    Yields:
      Batches of about 4 MB of text. Missing values are null.

    Raises:
      DataBlocked: the header is broken, or the file is no text.
    """
    lines = _opened(stream, file, source)
    names = list(source.header) if source.header is not None else csv_header.header(lines, file, source)
    parser = _Parser(names, source, columns, file)
    while lines.fill(min(_BLOCK, parser.window)):
        batch = parser.parse(lines)
        if batch is not None:
            yield batch


def start(stream: BinaryIO, file: str, source: Csv) -> tuple[list[str], bool]:
    """The columns' names, and whether anything comes after them.

    Raises:
      DataBlocked: the header is broken, or the file is no text.
    """
    lines = _opened(stream, file, source)
    if source.header is not None:
        return list(source.header), lines.fill(1)
    found = csv_header.header(lines, file, source)
    while not lines.buffer.strip() and not lines.ended:
        lines.skip(len(lines.buffer), 0)
        lines.fill(csv_header.START)
    return found, bool(lines.buffer.strip())


def _opened(stream: BinaryIO, file: str, source: Csv) -> csv_lines.Lines:
    plain = source.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    return csv_lines.Lines(stream if plain else csv_lines.transcoded(stream, file, source.encoding), file)


class _Parser:
    """Parses blocks of one file."""

    def __init__(self, names: list[str], source: Csv, columns: Mapping[str, str], file: str) -> None:
        self._names, self._source, self._file = names, source, file
        self._types = {name: _ARROW[columns.get(name, "BYTES")] for name in names}
        self._sentinel = source.delimiter.encode() * (len(names) - 1) + b"\n"
        self._invalid: list[pa_csv.InvalidRow] = []
        self.window = csv_lines.LONGEST_RECORD
        self._record, self._quoted = _patterns(source)
        self._rows = self._strays = 0
        self._marker: str | None = None

    def parse(self, lines: csv_lines.Lines) -> RawBatch | None:
        """Parses the whole records at the start of the buffer and drops them from it; None where more is needed first."""
        part = lines.buffer[: self.window]
        cut = len(part) if lines.ended and len(part) == len(lines.buffer) else csv_lines.line_end(part)
        if not cut:
            return None if self._more(lines) else self._drop_line(lines, _TOO_LONG.format(len(part)))
        block = part[:cut]
        table = self._table(block)
        total = table.num_rows + len(self._invalid)
        closed = self._drop_sentinel(table, total)
        inner = self._inner(table, block)
        stray = self._stray(table, block, inner[: total - 1])
        if closed is not None and stray is None:
            batch = self._batch(closed, lines.line + _starts(inner), block)
            lines.skip(len(block), csv_lines.breaks(block))
            self.window *= 2
            self._rows += total
            return batch
        # A record that is open at the block's end is carried over; a stray quote costs the line that it is in.
        record = total - 1 if stray is None else stray
        first = _starts(inner)[record]
        start = int(csv_lines.line_starts(block)[first])
        batch = self._batch(self._before(table, record), lines.line + _starts(inner), block[:start])
        if start:
            lines.skip(start, int(first))
            if stray is None:
                return batch
        elif stray is None and self._more(lines):
            return None
        self._count_stray(record)
        bad = self._drop_line(lines, f"expected a closing {self._source.quote}. Received: none in this line")
        return dataclasses.replace(batch, malformed=(*batch.malformed, *bad.malformed))

    def _more(self, lines: csv_lines.Lines) -> bool:
        """Makes the next parse see more; False where there is no more, or it would be too much."""
        if self.window < len(lines.buffer):
            self.window *= 2
            return True
        self.window *= 2
        return lines.extend()

    def _count_stray(self, rows: int) -> None:
        """Counts a stray quote and the rows before it; raises DataBlocked where there are too many: each takes time."""
        self._rows += rows + 1
        self._strays += 1
        if self._strays > _FEW_STRAYS and self._strays > self._rows / 10:
            raise DataBlocked(
                f"{self._file}: {self._strays:,} of the first {self._rows:,} rows have a {self._source.quote} that is not "
                "closed. Expected quotes around whole values. Next: Csv(…, quote=None) if they are text like any other"
            )

    def _drop_line(self, lines: csv_lines.Lines, message: str) -> RawBatch:
        bad = Malformed(lines.line, message, _text(lines.buffer[: 4 * LONGEST_TEXT].splitlines()[0]))
        lines.skip_line()
        self.window = _SHORTEST
        return RawBatch(
            _no_rows(pa.schema([(name, pa.binary()) for name in self._names])), np.empty(0, np.int64), (bad,)
        )

    def _table(self, block: bytes) -> pa.RecordBatch:
        """The block's records, the sentinel behind them; those with another number of values are in `_invalid`."""
        self._marker = None
        try:
            text = block.decode("utf-8")
        except UnicodeDecodeError:
            text = block.decode("utf-8", "surrogateescape")
            self._marker = next((m for m in _MARKERS if m not in text), _MARKERS[0])
            block = re.sub("[\udc80-\udcff]", self._marker, text).encode("utf-8")
        joined = block + (b"" if block.endswith(b"\n") else b"\n") + self._sentinel  # a \r at the end becomes \r\n
        try:
            return self._read(joined, self._types)
        except pa.ArrowInvalid:
            return self._read(joined, dict.fromkeys(self._names, pa.binary()))

    def _read(self, joined: bytes, types: Mapping[str, pa.DataType]) -> pa.RecordBatch:
        self._invalid = []
        source = self._source
        table = pa_csv.read_csv(
            pa.BufferReader(joined),
            pa_csv.ReadOptions(use_threads=False, block_size=len(joined) + 1, column_names=self._names),
            pa_csv.ParseOptions(
                delimiter=source.delimiter,
                quote_char=source.quote or False,
                escape_char=source.escape or False,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=self._skip,
            ),
            pa_csv.ConvertOptions(
                check_utf8=False,
                column_types=types,
                null_values=list(source.missing),
                strings_can_be_null=True,
                decimal_point=source.decimal,
            ),
        )
        return table.combine_chunks().to_batches()[0] if table.num_rows else _no_rows(table.schema)

    def _skip(self, row: pa_csv.InvalidRow) -> str:
        self._invalid.append(row)
        return "skip"

    def _drop_sentinel(self, table: pa.RecordBatch, total: int) -> pa.RecordBatch | None:
        """The table without its last row where that is the sentinel, None where a quote has swallowed it."""
        if not table.num_rows or (self._invalid and self._invalid[-1].number == total):
            return None
        if len(self._names) == 1 and self._source.quote and "\n" in str(table.column(0)[-1].as_py() or ""):
            return None
        swallowed = any(column[-1].as_py() for column in table.columns)
        return None if swallowed else table.slice(0, table.num_rows - 1)

    def _before(self, table: pa.RecordBatch, record: int) -> pa.RecordBatch:
        """The rows before a record; the later ones are forgotten."""
        self._invalid = [row for row in self._invalid if row.number <= record]
        return table.slice(0, record - len(self._invalid))

    def _stray(self, table: pa.RecordBatch, block: bytes, inner: np.ndarray) -> int | None:
        """Index of the first record with a stray quote that has swallowed lines, or None.

        It is one of several lines that is no CSV, as text follows a closing quote; or one with a quoted value whose
        inner lines all have as many delimiters as a record. Where the record has the right number of values, the latter counts from four
        columns on: a text with a comma in each line is no accident.
        """
        suspects = np.flatnonzero(inner)
        if not self._source.quote or not len(suspects):
            return None
        starts, lines = csv_lines.line_starts(block), _starts(inner)
        ragged = {row.number - 1 for row in self._invalid}
        for index in suspects:
            raw = block[starts[lines[index]] : starts[lines[index] + inner[index] + 1]]
            suspicious = len(self._names) > (1 if index in ragged else 3)
            if not self._record.fullmatch(raw) or (
                suspicious and any(map(self._are_records, self._quoted.findall(raw)))
            ):
                return int(index)
        return None

    def _are_records(self, value: bytes) -> bool:
        lines = value.splitlines()[1:-1]
        delimiter, count = self._source.delimiter.encode(), len(self._names) - 1
        return bool(lines) and all(line.count(delimiter) == count for line in lines)

    def _inner(self, table: pa.RecordBatch, block: bytes) -> np.ndarray:
        """How many line ends are inside each record, good or not, in order; int64."""
        total = table.num_rows + len(self._invalid)
        inner = np.zeros(total, np.int64)
        if csv_lines.breaks(block) + (not block.endswith((b"\n", b"\r"))) > total - 1:
            inner[self._positions(table.num_rows)] = self._newlines(table)
            for row in self._invalid:
                inner[row.number - 1] = len(csv_lines.NEWLINE.findall(row.text.encode("utf-8")))
        return inner

    def _newlines(self, table: pa.RecordBatch) -> np.ndarray:
        """How many line ends are inside the values of each row, int64."""
        inner = np.zeros(table.num_rows, np.int64)
        for column in table.columns:
            if pa.types.is_binary(column.type):
                for end, sign in ((b"\n", 1), (b"\r", 1), (b"\r\n", -1)):
                    found = pc.fill_null(pc.count_substring(column, end), 0)
                    inner += sign * np.asarray(found.to_numpy(zero_copy_only=False), np.int64)
        return inner

    def _positions(self, rows: int) -> np.ndarray:
        """Index of each good row among all records, int64."""
        bad = np.array([row.number - 1 for row in self._invalid], np.int64)
        return np.delete(np.arange(rows + len(bad)), bad)

    def _batch(self, table: pa.RecordBatch, lines: np.ndarray, block: bytes) -> RawBatch:
        """The rows of a block; `lines` are those of all records. Rows that are no text or too long are taken out."""
        good = lines[self._positions(table.num_rows)]
        keep = ~self._blank(table, good - lines[0], block)
        malformed = [
            Malformed(
                int(lines[row.number - 1]),
                f"expected {len(self._names)} values. Received: {row.actual_columns}",
                self._shown(row.text),
            )
            for row in self._invalid
        ]
        for mask, message in self._damaged(table, block):
            for index in np.flatnonzero(mask & keep):
                text = self._source.delimiter.join(_text(c[int(index)].as_py()) for c in table.columns)
                malformed.append(Malformed(int(good[index]), message, self._shown(text)))
            keep &= ~mask
        if not keep.all():
            table, good = table.filter(pa.array(keep)), good[keep]
        return RawBatch(table, good, tuple(sorted(malformed, key=lambda bad: bad.line)))

    def _shown(self, text: str) -> str:
        return (text.replace(self._marker, "\ufffd") if self._marker else text)[:LONGEST_TEXT]

    def _blank(self, table: pa.RecordBatch, offsets: np.ndarray, block: bytes) -> np.ndarray:
        """Which rows are blank lines, and so no rows: pyarrow gives them as rows without values."""
        empty = np.ones(table.num_rows, bool)
        for column in table.columns:
            empty &= np.asarray(column.is_null())
        if empty.any():
            texts = block.splitlines()
            for index in np.flatnonzero(empty):
                empty[index] = not texts[offsets[index]]
        return empty

    def _damaged(self, table: pa.RecordBatch, block: bytes) -> Iterator[tuple[np.ndarray, str]]:
        """Masks of rows with something in them that no text value has, each with what was expected."""
        texts = [column for column in table.columns if pa.types.is_binary(column.type)]
        limit = self._source.longest_value
        if len(block) > limit:
            longest = _any(table, (pc.greater(pc.binary_length(column), limit) for column in texts))
            yield longest, f"expected values of at most {limit:,} bytes. Received: a longer one"
        if b"\0" in block:
            yield _any(table, (pc.match_substring(c, "\0") for c in texts)), "expected text. Received: a NUL byte"
        if self._marker:
            bad = _any(table, (pc.match_substring(c, self._marker) for c in texts))
            yield bad, "expected UTF-8. Received: other bytes. Next: Csv(…, encoding='latin-1'), or what it is"


def _patterns(source: Csv) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """What a well-formed record is, and, in one, a quoted value; not used where there are no quotes."""
    delimiter, quote = re.escape(source.delimiter.encode()), re.escape((source.quote or '"').encode())
    escape = re.escape(source.escape.encode()) if source.escape else b""
    escaped = b"|" + escape + b"." if escape else b""
    quoted = b"%b((?>(?:[^%b%b]+|%b%b%b)*+))%b" % (quote, quote, escape, quote, quote, escaped, quote)
    plain = b"(?>(?:[^%b\\r\\n%b]+%b)*+)" % (delimiter, escape, escaped)
    value = b"(?:(?>%b)|(?!%b)%b)" % (quoted, quote, plain)
    record = re.compile(b"%b(?:%b%b)*+(?:\\r\\n|\\r|\\n)?" % (value, delimiter, value), re.DOTALL)
    return record, re.compile(b"(?:\\A|%b)%b" % (delimiter, quoted), re.DOTALL)


def _any(table: pa.RecordBatch, masks: Iterator[pa.Array]) -> np.ndarray:
    found = np.zeros(table.num_rows, bool)
    for mask in masks:
        found |= np.asarray(pc.fill_null(mask, False).to_numpy(zero_copy_only=False), bool)
    return found


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({name: pa.array([], schema.field(name).type) for name in schema.names})


def _starts(inner: np.ndarray) -> np.ndarray:
    """The line of each record, from 0, where so many line ends are inside of each."""
    return np.arange(len(inner)) + np.cumsum(inner) - inner


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value[: LONGEST_TEXT + 1].decode("utf-8", "replace").rstrip("\r\n")
    return "" if value is None else str(value)
