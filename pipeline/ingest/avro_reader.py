"""Avro to Arrow, through fastavro: records with a schema of their own, in compressed blocks.

`["null", x]` is a nullable column of x. Logical types become Arrow's: date, time, timestamp (in UTC), decimal. A union
of several types is a column of text where its values are of several kinds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import fastavro
import numpy as np
import pyarrow as pa

from pipeline.errors import DataBlocked, MillraceError
from pipeline.ingest import mixed
from pipeline.ingest.batch import RawBatch

ROWS = 32_768
BYTES = 8 << 20
"""Of compressed blocks whose records are held as Python objects, which are larger, before they become a batch."""

_MAGIC = b"Obj\x01"
_PRIMITIVES = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "enum": pa.string(),
    "bytes": pa.binary(),
    "fixed": pa.binary(),
}
_LOGICAL = {
    "date": pa.date32(),
    "time-millis": pa.time64("us"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("us", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "local-timestamp-millis": pa.timestamp("us"),
    "local-timestamp-micros": pa.timestamp("us"),
}


def read(stream: BinaryIO, file: str, source: Any, columns: Mapping[str, str]) -> Iterator[RawBatch]:
    """Reads an Avro object container file.

    `RawBatch.lines` counts records from 1. A file without records gives one batch without rows, so that its columns
    are known. Memory is that of a batch: ROWS records, or fewer from blocks of BYTES together.

    Args:
      stream: the file.
      file: its name in messages.
      source: the source's settings; Avro has none.
      columns: not used: an Avro file knows its types.

    Raises:
      DataBlocked: not Avro, a codec that is not known or not installed, no records of named fields; truncated or
        damaged, with the number of records before that. A file that was cut between two blocks can't be told from a
        whole one.
    """
    del source, columns
    blocks, schema = _open(stream, file)
    types = {field["name"]: _arrow_type(field["type"]) for field in schema["fields"]}
    rows = 0
    held: list[dict[str, Any]] = []
    size = 0
    while True:
        try:
            block = next(blocks, None)
            records = list(block) if block is not None else []
        except MillraceError:
            raise
        except Exception as error:  # fastavro's decoder raises whatever damaged bytes lead it to
            if held:
                yield _batch(held, types, rows)
            if not rows and not held and "codec" in str(error):
                raise DataBlocked(
                    f"{file}: {str(error).rstrip('.')[:200]}. Expected the codec null, deflate, bzip2 or xz. "
                    "Next: install what the codec needs, or write the file with deflate"
                ) from error
            cut = isinstance(error, EOFError) or not stream.read(1)
            what = "truncated" if cut else f"damaged ({type(error).__name__})"
            raise DataBlocked(
                f"{file}: the file is {what} after record {rows + len(held):,}. Expected whole blocks. "
                "Next: copy or write it again"
            ) from error
        held += records
        size += block.size if block is not None else 0
        while len(held) >= ROWS or (held and (block is None or size >= BYTES)):
            yield _batch(held[:ROWS], types, rows)
            rows += min(ROWS, len(held))
            held, size = held[ROWS:], 0
        if block is None:
            break
    if not rows:
        yield RawBatch(pa.RecordBatch.from_pylist([], pa.schema(_known(types))), np.empty(0, np.int64))


def _open(stream: BinaryIO, file: str) -> tuple[Any, Any]:
    """The blocks of a file and the schema of its records."""
    try:
        blocks = fastavro.block_reader(stream)
        schema = blocks.writer_schema
    except MillraceError:
        raise
    except Exception as error:
        raise DataBlocked(_not_avro(stream, file)) from error
    if not isinstance(schema, dict) or schema.get("type") != "record":
        kind = schema.get("type") if isinstance(schema, dict) else schema
        raise DataBlocked(f"{file}: an Avro file of {kind}. Expected records of named fields")
    if not schema["fields"]:
        raise DataBlocked(f"{file}: the records have no fields. Expected at least one")
    return blocks, schema


def _not_avro(stream: BinaryIO, file: str) -> str:
    if not stream.seekable():
        return f"{file}: not an Avro file, or its header is damaged"
    stream.seek(0)
    start = stream.read(len(_MAGIC))
    if not start:
        return f"{file}: the file is empty. Expected Avro."
    if start != _MAGIC:
        return f"{file}: not an Avro file. Expected {_MAGIC!r} at its start. Received {start!r}. Next: check the source"
    return f"{file}: the header is truncated or damaged. Next: copy or write the file again"


def _arrow_type(schema: Any) -> pa.DataType | None:
    """The Arrow type of an Avro type; None where it is left to the values."""
    if isinstance(schema, list):
        others = [branch for branch in schema if branch != "null"]
        return _arrow_type(others[0]) if len(others) == 1 else None
    if isinstance(schema, dict):
        if "logicalType" in schema:
            if schema["logicalType"] == "decimal" and schema["precision"] <= 38:
                return pa.decimal128(schema["precision"], schema.get("scale", 0))
            return _LOGICAL.get(schema["logicalType"])
        if schema["type"] == "array":
            items = _arrow_type(schema["items"])
            return None if items is None else pa.list_(items)
        return _PRIMITIVES.get(schema["type"])
    return _PRIMITIVES.get(schema)


def _batch(records: Sequence[dict[str, Any]], types: Mapping[str, pa.DataType | None], rows: int) -> RawBatch:
    arrays = [_column([record[name] for record in records], kind) for name, kind in types.items()]
    lines = np.arange(rows + 1, rows + 1 + len(records))
    return RawBatch(pa.RecordBatch.from_arrays(arrays, names=list(types)), lines)


def _column(values: Sequence[Any], kind: pa.DataType | None) -> pa.Array:
    if kind is not None:
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            return mixed.texts(values)
    return mixed.guess(values)


def _known(types: Mapping[str, pa.DataType | None]) -> list[tuple[str, pa.DataType]]:
    return [(name, pa.null() if kind is None else kind) for name, kind in types.items()]
