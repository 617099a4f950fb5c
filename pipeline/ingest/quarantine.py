"""The rows that were kept out, each with its place and its reason, as Parquet and, the first of them, as CSV."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from pipeline.ingest import files

SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("rule", pa.string()),
        ("message", pa.string()),
        ("others", pa.int32()),
        ("row", pa.string()),
    ]
)
"""One line a row: where it is, the first rule that it breaks and how many others, and the row as it came (JSON)."""

_CSV_ROWS = 10_000
_LONGEST = 1000
_SHOWN_BYTES = 16


class Writer:
    """Writes a part of the quarantine, the rows of one file."""

    def __init__(self, stream: BinaryIO) -> None:
        """See the class."""
        self._writer = pq.ParquetWriter(stream, SCHEMA)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends rows, given as dicts with SCHEMA's names."""
        if rows:
            self._writer.write_table(pa.Table.from_pylist(list(rows), SCHEMA))

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()


def merge(parts: Iterable[str], parquet: BinaryIO, text: BinaryIO) -> None:
    """Joins parts, given by their paths, into one Parquet file, and writes the first 10,000 rows as CSV, too."""
    left = _CSV_ROWS
    with pq.ParquetWriter(parquet, SCHEMA) as writer, csv.CSVWriter(text, SCHEMA) as readable:
        for part in parts:
            with files.open_binary(part) as stream:
                found = pq.ParquetFile(stream)
                for batch in found.iter_batches() if found.num_row_groups else ():
                    writer.write_batch(batch)
                    readable.write_batch(batch.slice(0, left))
                    left -= min(left, batch.num_rows)


def cut(value: object) -> str | None:
    """A value as text of at most 1,000 characters; of bytes that are no text, how many and the first of them."""
    if value is None:
        return None
    if isinstance(value, bytes) and 0 in value[:_LONGEST]:
        return f"{len(value):,} bytes: {value[:_SHOWN_BYTES].hex(' ')} …"
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def plain(value: pa.Scalar) -> object:
    """A value as Python has it, or as text where Python has none, as for the year 10,000."""
    try:
        return value.as_py()
    except (ValueError, OverflowError, ImportError):
        try:
            return str(value.cast(pa.int64()).as_py())
        except pa.ArrowException:
            return f"a value of type {value.type}"


def plain_list(column: pa.Array, rows: np.ndarray) -> list[object]:
    """The values in some rows of a column, as `plain` gives them."""
    try:
        return list(column.take(pa.array(rows)).to_pylist())
    except (ValueError, OverflowError, ImportError, NotImplementedError):
        return [plain(column[int(row)]) for row in rows]


def as_json(row: Mapping[str, object]) -> str:
    """A row as a JSON object; long values are cut, and what JSON has no number for is text."""
    return json.dumps({name: _jsonable(value) for name, value in row.items()}, ensure_ascii=False)


def _jsonable(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if isinstance(value, int | None) else cut(value)
