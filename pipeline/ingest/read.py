"""Reading any source: a reader for each format, chosen by the kind of source.

A reader is imported when it is needed: that of TFRecords loads TensorFlow's libraries, which a look at a CSV header
need not wait for.
"""

import importlib
from collections.abc import Iterator, Mapping

from pipeline.errors import TaskError
from pipeline.ingest import csv_reader, files
from pipeline.ingest.batch import RawBatch
from pipeline.sources import Avro, Csv, JsonLines, Parquet, Source, TfRecord

_READERS: dict[type[Source], str] = {
    Csv: "csv_reader",
    JsonLines: "jsonl_reader",
    Parquet: "parquet_reader",
    Avro: "avro_reader",
    TfRecord: "tfrecord_reader",
}
_TEXT = (Csv, JsonLines)
KEYED = (JsonLines, TfRecord)
"""Formats in which each row names its own columns, so that no single row says which columns a file has."""


def batches(path: str, source: Source, columns: Mapping[str, str]) -> Iterator[RawBatch]:
    """The rows of one file.

    Args:
      path: of the file.
      source: its format and dialect.
      columns: column -> INT, FLOAT or BYTES, as far as known.

    Raises:
      UsageError: there is no such file, or it can't be read.
      DataBlocked: it is not what the source says.
    """
    reader = importlib.import_module(module_of(source)).read
    with files.open_binary(path, decompress=isinstance(source, _TEXT)) as stream:
        yield from reader(stream, path, source, columns)


def module_of(source: Source) -> str:
    """Dotted name of the module that reads a format; it has a function `read`."""
    if type(source) not in _READERS:
        raise TaskError(f"source: {type(source).__name__} has no files")
    return f"pipeline.ingest.{_READERS[type(source)]}"


def names(path: str, source: Source) -> tuple[list[str], bool]:
    """The columns at the start of a file, and whether there is a row or a record that is none.

    Raises:
      UsageError: there is no such file, or it can't be read.
      DataBlocked: it is not what the source says.
    """
    if isinstance(source, Csv):
        with files.open_binary(path) as stream:
            return csv_reader.start(stream, path, source)
    for batch in batches(path, source, {}):
        return list(batch.columns.schema.names), bool(batch.columns.num_rows or batch.malformed)
    return [], False
