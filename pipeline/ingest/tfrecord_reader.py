"""TFRecord of tf.Example to Arrow, through tfx_bsl's decoder.

A feature with at most one value in every row of a batch is a flat column, null where it has none; any other is a column
of lists. Types are the features' own: int64, float32, binary; a feature that is of one type here and of another there
is text.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from pipeline.errors import DataBlocked
from pipeline.ingest import mixed
from pipeline.ingest.batch import Malformed, RawBatch
from pipeline.ingest.tfrecord_frames import Frames, frames, shown

_NO_EXAMPLE = "expected a tf.Example, received another record"
_FLAT = {pa.large_binary(): pa.binary(), pa.large_string(): pa.string()}


def read(stream: BinaryIO, file: str, source: Any, columns: Mapping[str, str]) -> Iterator[RawBatch]:
    """Reads a TFRecord file of tf.Examples, plain or compressed.

    `RawBatch.lines` counts records from 1. A record is malformed whose checksum is wrong, or that is no tf.Example.
    Memory is that of a batch, at most 32,768 records or about 16 MB.

    Args:
      stream: the file.
      file: its name in messages.
      source: has `compression`: `auto` (where it is not set), `none`, `gzip` or `zlib`.
      columns: not used: a tf.Example knows its types.

    Raises:
      DataBlocked: empty, not TFRecord, truncated, or damaged so that no further record can be found; a TFRecord of
        something else, which its first record or all of its first 32,768 show.
    """
    del columns
    seen = 0
    for batch in frames(stream, file, getattr(source, "compression", "auto")):
        if not seen and batch.records and not is_example(batch.records[0]):
            raise DataBlocked(
                f"{file}: a TFRecord of something else. Expected tf.Examples. Received in record {batch.numbers[0]}: "
                f"{shown(batch.records[0])[:80]!r}. Next: check the source"
            )
        made = _batch(batch)
        seen += len(made.lines)
        if not seen and made.malformed:
            raise DataBlocked(
                f"{file}: none of the first {len(made.malformed):,} records is a sound tf.Example: "
                f"{made.malformed[0].message}. Next: copy or write it again"
            )
        if len(made.lines) or made.malformed:
            yield made


def decode(records: Sequence[bytes]) -> tuple[pa.RecordBatch, list[int]]:
    """Decodes serialised tf.Examples.

    Returns:
      The columns, and the positions of the records that are no tf.Examples, which the columns don't have.
    """
    bad: list[int] = []
    try:
        batch = _DECODER.DecodeBatch(list(records))
        suspects = _without_values(batch)
    except RuntimeError:
        suspects = list(range(len(records)))
        batch = None
    if suspects:
        bad = [position for position in suspects if not is_example(records[position])]
        if bad:
            left_out = set(bad)
            records = [record for position, record in enumerate(records) if position not in left_out]
            batch = None
    if batch is None:
        try:
            batch = _DECODER.DecodeBatch(list(records))
        except RuntimeError:  # a feature of several types
            return _of_several_types(records), bad
    arrays = [_flat(array) for array in batch.columns]
    return record_batch(dict(zip(batch.schema.names, arrays, strict=True)), len(records)), bad


def is_example(record: bytes) -> bool:
    """Whether a record is a tf.Example and nothing more; many other messages can be read as one without values.

    A tf.Example is `{1: {1: entry, 1: entry, …}}` in protobuf's numbers, so a field of another number tells.
    """
    try:
        _DECODER.DecodeBatch([record])
        for features in _entries(record):
            for _ in _entries(features):
                pass
    except (RuntimeError, _OtherMessageError):
        return False
    return True


def record_batch(columns: Mapping[str, pa.Array], rows: int) -> pa.RecordBatch:
    """Columns as a batch; it has its rows even where there is no column."""
    if not columns:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


_DECODER = ExamplesToRecordBatchDecoder()


class _OtherMessageError(Exception):
    """Another message than the one that was looked for."""


def _entries(message: bytes) -> Iterator[bytes]:
    """The values of field 1 of a message that has no other field."""
    position = 0
    while position < len(message):
        if message[position] != 0x0A:  # field 1, with a length
            raise _OtherMessageError
        position += 1
        length = shift = 0
        while True:
            byte = message[position]
            length |= (byte & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if byte < 0x80:
                break
        yield message[position : position + length]
        position += length


def _batch(batch: Frames) -> RawBatch:
    columns, bad = decode(batch.records)
    malformed = [*batch.malformed]
    malformed += [Malformed(batch.numbers[i], _NO_EXAMPLE, shown(batch.records[i])) for i in bad]
    malformed.sort(key=lambda record: record.line)
    return RawBatch(columns, np.delete(np.array(batch.numbers, np.int64), bad), tuple(malformed))


def _without_values(batch: pa.RecordBatch) -> list[int]:
    """Positions of the rows in which no feature has a value."""
    if not batch.num_rows or any(array.null_count == 0 for array in batch.columns):
        return []
    empty = np.ones(batch.num_rows, bool)
    for array in batch.columns:
        empty &= array.is_null().to_numpy(zero_copy_only=False)
    return [int(position) for position in np.flatnonzero(empty)]


def _flat(array: pa.Array) -> pa.Array:
    """A column of lists as a column of values, where no list has several."""
    if not pa.types.is_large_list(array.type):
        return array
    kind = _FLAT.get(array.type.value_type, array.type.value_type)
    counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy()
    values = array.flatten().cast(kind)
    if counts.max(initial=0) > 1:
        return array.cast(pa.list_(kind))
    if len(values) == len(array):
        return values
    positions = np.cumsum(counts) - 1
    return values.take(pa.array(positions, mask=counts == 0))


def _of_several_types(records: Sequence[bytes]) -> pa.RecordBatch:
    """The columns of tf.Examples in which a feature has values of several types."""
    rows = [_DECODER.DecodeBatch([record]).to_pylist()[0] for record in records]
    columns = {}
    for name in sorted({name for row in rows for name in row}):
        lists = [row.get(name) or None for row in rows]
        single = all(values is None or len(values) == 1 for values in lists)
        columns[name] = mixed.guess([values and values[0] for values in lists] if single else lists)
    return record_batch(columns, len(rows))
