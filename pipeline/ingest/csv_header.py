"""The first record of a CSV file: the columns' names, or what the file is instead of a CSV one."""

import codecs
import csv
import io
from typing import Any

from pipeline.errors import DataBlocked
from pipeline.ingest import csv_lines
from pipeline.sources import Csv

START = 64 << 10
"""Bytes that are read for a first look."""

_MAGIC = {
    b"\x1f\x8b": "gzip data. Next: give it a name that ends in .gz",
    b"PAR1": "a Parquet file. Next: use Parquet(path) as the task's source",
    b"Obj\x01": "an Avro file. Next: use Avro(path) as the task's source",
    b"PK\x03\x04": "a zip archive. Next: unpack it",
}
_MARKUP = {
    b'{"': "JSON. Next: give it a name that ends in .jsonl, or use JsonLines(path) as the task's source",
    b"<!doctype": "HTML: an error page?",
    b"<html": "HTML: an error page?",
}


def header(lines: csv_lines.Lines, file: str, source: Csv) -> list[str]:
    """The names in the first record.

    Raises:
      DataBlocked: there is none, or a name is empty or given twice.
    """
    lines.fill(START)
    start = lines.buffer
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise DataBlocked(f"{file}: expected CSV text. Received: {what}")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataBlocked(f"{file}: expected {source.encoding}. Received: UTF-16. Next: Csv(…, encoding='utf-16')")
    for mark, what in _MARKUP.items():
        if start.lstrip()[: len(mark)].lower() == mark:
            raise DataBlocked(f"{file}: expected CSV text. Received: {what}")
    if start.startswith(codecs.BOM_UTF8):
        lines.skip(3, 0)
    text, closed = _first_record(lines.buffer, source)
    while len(text) == len(lines.buffer) and lines.extend():
        lines.fill(START)
        text, closed = _first_record(lines.buffer, source)
    if not closed:
        raise DataBlocked(f"{file}: a quote in the header is never closed. Next: write {source.quote} twice, or none")
    if not text.strip():
        raise DataBlocked(f"{file}: the file is empty. Expected a header and rows.")
    try:
        decoded = text.decode("utf-8")
        records = csv.reader(io.StringIO(decoded, newline=""), **_dialect(source))
        names = next((record for record in records if any(name.strip() for name in record)), [""])
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataBlocked(f"{file}: the header can't be read: {error}. Next: convert the file to UTF-8") from error
    names = [name.strip() for name in names]
    problems = []
    if "\0" in decoded:
        problems.append("has a NUL byte: not a text file?")
    if "" in names:
        problems.append(f"has no name for column {names.index('') + 1}")
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        problems.append(f"names {', '.join(repeated)} more than once")
    if problems:
        raise DataBlocked(f"{file}: the header {' and '.join(problems)}.")
    lines.skip(len(text), csv_lines.breaks(text))
    return names


def _first_record(start: bytes, source: Csv) -> tuple[bytes, bool]:
    """The bytes of the first record that is not blank, line end included, and whether all its quotes are closed."""
    end = quotes = 0
    for line in start.splitlines(keepends=True):
        end += len(line)
        quotes += line.count(source.quote.encode()) if source.quote else 0
        if line.strip() and quotes % 2 == 0:
            break
    return start[:end], quotes % 2 == 0


def _dialect(source: Csv) -> dict[str, Any]:
    return {
        "delimiter": source.delimiter,
        "quotechar": source.quote,
        "quoting": csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE,
        "escapechar": source.escape,
    }
