"""Writes rows of the output: Parquet or CSV, in one file or in shards of a number of rows.

CSV has a line of names; a missing value is empty, text is in quotes. Numbers are the shortest ones that read back as
the same value. Values of the data are written as they are: a text that begins with = is a formula to a spreadsheet.
"""

import shutil
from collections.abc import Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from pipeline.ingest import files


class Shards:
    """Files of rows in order, `<prefix>-00000.parquet` and so on.

    Attributes:
      written: each file with its rows, once closed; at least one.
    """

    def __init__(self, prefix: str, schema: pa.Schema, format_: str, rows: int | None) -> None:
        """Opens the first.

        Args:
          prefix: path of the files.
          schema: of the rows.
          format_: parquet or csv.
          rows: of a file; None puts all into one.
        """
        self.written: list[tuple[str, int]] = []
        self._prefix, self._schema, self._format, self._limit = prefix, schema, format_, rows
        self._count = 0
        self._open()

    def write(self, batch: pa.RecordBatch) -> None:
        """Appends rows."""
        while batch.num_rows:
            room = batch.num_rows if self._limit is None else self._limit - self._count
            if not room:
                self._close()
                self._open()
                continue
            self._writer.write_batch(batch.slice(0, room))
            self._count += min(room, batch.num_rows)
            batch = batch.slice(room)

    def close(self) -> None:
        """Ends the last file."""
        self._close()

    def _open(self) -> None:
        self._path = f"{self._prefix}-{len(self.written):05d}.{self._format}"
        self._stream = files.create(self._path)
        self._writer = open_writer(self._stream, self._schema, self._format)
        self._count = 0

    def _close(self) -> None:
        try:
            self._writer.close()
        finally:
            self._stream.close()
        self.written.append((self._path, self._count))


def open_writer(stream: BinaryIO, schema: pa.Schema, format_: str) -> Any:
    """A writer of batches to a stream."""
    return pq.ParquetWriter(stream, schema) if format_ == "parquet" else csv.CSVWriter(stream, schema)


def join(parts: Sequence[str], path: Path, schema: pa.Schema, format_: str) -> None:
    """Puts files of the same columns into one, in order; a single one is renamed."""
    if len(parts) == 1:
        Path(parts[0]).replace(path)
        return
    with files.create(str(path)) as stream:
        if format_ == "csv":
            names = BytesIO()
            open_writer(names, schema, format_).close()
            for number, part in enumerate(parts):
                with Path(part).open("rb") as source:
                    source.seek(names.tell() if number else 0)
                    shutil.copyfileobj(source, stream, 1 << 20)
            return
        with closing(open_writer(stream, schema, format_)) as writer:
            for part in parts:
                for batch in pq.ParquetFile(part).iter_batches():
                    writer.write_batch(batch)
