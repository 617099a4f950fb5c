"""Parquet to Arrow: batch by batch, each column with the type that the file gives it."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DataBlocked
from pipeline.ingest.batch import RawBatch

ROWS = 32_768
BYTES = 16 << 20
_SMALLEST = 12
"""Bytes of a file with an empty footer."""

_BUFFER = 4 << 20
"""Bytes read at once of each column of a row group, which as a whole may be larger than memory."""


def read(stream: BinaryIO, file: str, source: Any, columns: Mapping[str, str]) -> Iterator[RawBatch]:
    """Reads a Parquet file of any number of row groups.

    `RawBatch.lines` counts records from 1. Memory is that of a batch, at most ROWS rows or about BYTES, and of _BUFFER
    for each column. A file without rows gives one batch without rows, so that its columns are known.

    Args:
      stream: the file; must be seekable, since a Parquet file is read from its end.
      file: its name in messages.
      source: the source's settings; Parquet has none.
      columns: not used: a Parquet file knows its types.

    Raises:
      DataBlocked: not Parquet, truncated, damaged, encrypted; without columns, or with two of one name.
    """
    del source, columns
    try:
        parquet = pq.ParquetFile(stream, buffer_size=_BUFFER, page_checksum_verification=True)
        schema = parquet.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise DataBlocked(_not_read(stream, file, error)) from error
    _check_names(schema.names, file)
    rows = 0
    batches = parquet.iter_batches(_batch_rows(parquet.metadata))
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise DataBlocked(
                f"{file}: the file is damaged after record {rows:,} of {parquet.metadata.num_rows:,}: "
                f"{_first_line(error)}. Next: write it again"
            ) from error
        if batch is None:
            break
        if batch.num_rows:
            yield RawBatch(batch, np.arange(rows + 1, rows + 1 + batch.num_rows))
        rows += batch.num_rows
    if rows != parquet.metadata.num_rows:
        raise DataBlocked(
            f"{file}: expected {parquet.metadata.num_rows:,} records, as its footer says. Received {rows:,}. "
            "Next: write it again"
        )
    if not rows:
        yield RawBatch(pa.RecordBatch.from_pylist([], schema), np.empty(0, np.int64))


def _batch_rows(metadata: pq.FileMetaData) -> int:
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return int(max(1, min(ROWS, BYTES * metadata.num_rows // max(1, size))))


def _check_names(names: list[str], file: str) -> None:
    if not names:
        raise DataBlocked(f"{file}: the file has no columns. Expected at least one. Next: write it again")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataBlocked(f"{file}: the columns {', '.join(repeated)} are there more than once. Next: rename them")


def _not_read(stream: BinaryIO, file: str, error: Exception) -> str:
    """What is wrong with a file whose footer can't be read; its first and last four bytes say what it is."""
    stream.seek(0)
    start = stream.read(4)
    size = stream.seek(0, 2)
    stream.seek(max(0, size - 4))
    end = stream.read(4)
    if not size:
        return f"{file}: the file is empty. Expected Parquet."
    if b"PARE" in (start, end) or "decrypt" in str(error):
        return f"{file}: the file is encrypted. Expected plain Parquet. Next: write it without encryption"
    if start != b"PAR1":
        return f"{file}: not a Parquet file. Expected PAR1 at its start. Received {start!r}. Next: check the source"
    if end != b"PAR1" or size < _SMALLEST:
        return f"{file}: the file is truncated at byte {size:,}: its footer is missing. Next: copy or write it again"
    return f"{file}: the footer is damaged: {_first_line(error)}. Next: write the file again"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")[:200]
