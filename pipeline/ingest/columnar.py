"""The rows of an Examples artifact as columns, beside its TFRecord shards: read without decoding a tf.Example.

    files = columnar.shards(examples.uri, "train")
    for batch in columnar.batches(files, 16_384, ["fare", "company"]) if files else ():
        batch.column("fare")  # large_list<float>, null where the row has none

`<uri>/columns/<split>/` has a file for each shard of `Split-<split>`, with the same rows in the same order;
`<uri>/columns/index.json` says what is in each. ExampleGen writes them (`column_shards.py`) where rows are small. They
are never needed: whoever reads them reads the TFRecords where there are none, with the same results.

A file is one Arrow IPC stream after another, compressed: a column that only later rows have starts a new stream. Of a
column with at most one value a row only the values are stored; what a reader gets are lists, as tfx_bsl's decoder makes
them of tf.Examples.
"""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataBlocked, UsageError
from pipeline.ingest import files as stored
from pipeline.ingest import typed

FOLDER = "columns"
INDEX = "index.json"


@dataclass(frozen=True)
class Shard:
    """What one shard holds.

    Attributes:
      split: which it is of.
      file: of its columns, below the artifact; None where its split has none.
      records: the TFRecord file of the same rows, below the artifact.
      rows: how many.
      span: of the files that they came from; None of a shard without rows.
      digest: of the rows in their order, hexadecimal: equal in two runs where the rows are.
    """

    split: str
    file: str | None
    records: str
    rows: int
    span: int | None
    digest: str


def index(uri: str) -> list[Shard]:
    """The shards of all splits, in the order of their files; empty where nothing is known of them.

    Args:
      uri: of an Examples artifact: a folder, or a place in a bucket.
    """
    try:
        with stored.open_binary(f"{uri}/{FOLDER}/{INDEX}") as stream:
            return [Shard(**shard) for shard in json.load(stream)["shards"]]
    except UsageError:  # none was written, or not by us
        return []


def shards(uri: str, split: str) -> list[str] | None:
    """The files of a split's columns, in the order of its TFRecord shards.

    Args:
      uri: of an Examples artifact.
      split: its name.

    Returns:
      Paths; None where the split has no columns: another ExampleGen wrote it, or its rows are large, such as images.
    """
    of_split = [shard for shard in index(uri) if shard.split == split]
    paths = [f"{uri}/{shard.file}" for shard in of_split if shard.file]
    complete = len(paths) == len(of_split) and all(stored.exists(path) for path in paths)
    return paths if paths and complete else None


def batches(files: Sequence[str], rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Reads rows in their order.

    Args:
      files: as `shards` gives them.
      rows: of a batch, across the ends of files; the last one may have fewer.
      columns: which ones, in this order; None: those that a batch has, by name. The others are not decompressed.

    Yields:
      large_list<int64>, large_list<float> or large_list<large_binary>, null where a row has no value. A column that
      these rows lack is of the type null where it was asked for, else it is not there.

    Raises:
      DataBlocked: a file is damaged.
    """
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in (batch for file in files for batch in _parts(file, columns)):
        at = 0
        while at < batch.num_rows:
            some = batch.slice(at, rows - count)
            held.append(some)
            count += some.num_rows
            at += some.num_rows
            if count == rows:
                yield _joined(held, columns)
                held, count = [], 0
    if count:
        yield _joined(held, columns)


def as_decoded(values: pa.Array) -> pa.Array:
    """A stored column as tfx_bsl's decoder gives it."""
    if pa.types.is_list(values.type):
        return values.cast(pa.large_list(_large(values.type.value_type)))
    values = values.cast(_large(values.type))
    if not values.null_count:
        return pa.LargeListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int64)), values)
    present = np.asarray(values.is_valid())
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(present, out=offsets[1:])
    return pa.LargeListArray.from_arrays(pa.array(offsets), values.drop_null(), mask=pa.array(~present))


def _large(kind: pa.DataType) -> pa.DataType:
    return pa.large_binary() if pa.types.is_binary(kind) else kind


def _joined(parts: Sequence[pa.RecordBatch], columns: Sequence[str] | None) -> pa.RecordBatch:
    """Stored rows as one batch of lists."""
    (stored_rows,) = join(parts).to_batches() if len(parts) > 1 else parts
    names = stored_rows.schema.names if columns is None else columns
    found = {
        name: as_decoded(stored_rows.column(name))
        if name in stored_rows.schema.names
        else pa.nulls(stored_rows.num_rows)
        for name in names
    }
    return pa.RecordBatch.from_pydict(found)


def join(parts: Sequence[pa.RecordBatch]) -> pa.Table:
    """Stored rows in one chunk, with all their columns by name; lists where some of the parts have lists."""
    names = sorted({name for part in parts for name in part.schema.names})
    lists = {name for part in parts for name in part.schema.names if pa.types.is_list(part.schema.field(name).type)}
    tables = [pa.table({name: _stored(part, name, name in lists) for name in part.schema.names}) for part in parts]
    return pa.concat_tables(tables, promote_options="default").select(names).combine_chunks()


def _stored(part: pa.RecordBatch, name: str, as_list: bool) -> pa.Array:
    return typed.as_lists(part.column(name)) if as_list else part.column(name)


def _parts(file: str, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    """The stored batches of a file."""
    with _opened(file) as source, stored.translated(file, DataBlocked):
        end = source.size()
        while source.tell() < end:
            start = source.tell()
            options = pa.ipc.IpcReadOptions(use_threads=False)
            if columns is not None:
                names = pa.ipc.open_stream(source).schema.names
                chosen = [number for number, name in enumerate(names) if name in columns]
                options.included_fields = chosen or [0][: len(names)]  # none would mean all
                source.seek(start)
            with pa.ipc.open_stream(source, options=options) as reader:
                yield from reader


@contextmanager
def _opened(file: str) -> Iterator[Any]:
    """A local file is mapped into memory; of another all is read."""
    if not stored.scheme(file):
        with stored.translated(file):
            mapped = pa.memory_map(file)
        with mapped:
            yield mapped
        return
    with stored.open_binary(file) as stream:
        yield pa.PythonFile(io.BytesIO(stream.read()), "r")
