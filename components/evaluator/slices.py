"""The columns that rows are sliced by: read from the rows, and kept as codes, 4 bytes a row and column."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder

from pipeline.evidence.cuts import in_ranges
from pipeline.gates import Ranges
from pipeline.ingest import columnar
from pipeline.task import Task

Read = Callable[[np.ndarray], pa.RecordBatch]
"""A function of the next serialised rows to their columns."""


class Slices:
    """The columns of a task's slices, batch by batch."""

    def __init__(self, task: Task, schema: schema_pb2.Schema, rows: int, stored: Sequence[str] | None = None) -> None:
        """Prepares reading.

        Args:
          task: whose slices they are.
          schema: of the rows.
          rows: of a batch; the last one may have fewer.
          stored: files of `pipeline.ingest.columnar` with the same rows in the same order; None where there are none.
        """
        wanted = sorted({column for cross in task.evaluation.crosses for column in cross})
        self._encoders = {name: Encoder(task.evaluation.ranges.get(name)) for name in wanted}
        self._read = _from_columns(stored, rows, wanted) if stored else _from_records(schema, wanted)

    def add(self, rows: np.ndarray) -> None:
        """Takes the next rows, serialised."""
        if self._encoders:
            self.take(self._read(rows))

    @property
    def names(self) -> Iterable[str]:
        """Of the columns that are wanted."""
        return self._encoders

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes the next rows, as columns of lists."""
        for name, encoder in self._encoders.items():
            place = batch.schema.get_field_index(name)
            encoder.add(batch.column(place) if place >= 0 else pa.nulls(batch.num_rows))

    def columns(self) -> dict[str, pd.Categorical]:
        """Name -> of all rows: text, or the name of a range; missing where a row has no value."""
        return {name: encoder.column() for name, encoder in self._encoders.items()}


def _from_columns(stored: Sequence[str], size: int, wanted: Sequence[str]) -> Read:
    """Of the columns beside the rows, which are not decoded then."""
    batches: Iterator[pa.RecordBatch] = columnar.batches(stored, size, wanted)

    def read(rows: np.ndarray) -> pa.RecordBatch:
        batch = next(batches)
        if batch.num_rows != len(rows):
            raise ValueError(f"{stored[0]}: expected {len(rows):,} more rows. Received: {batch.num_rows:,}")
        return batch

    return read


def _from_records(schema: schema_pb2.Schema, wanted: Sequence[str]) -> Read:
    """Of the rows themselves."""
    known = [schema_pb2.Feature(name=f.name, type=f.type) for f in schema.feature if f.name in wanted]
    plain = schema_pb2.Schema(feature=known).SerializeToString() if len(known) == len(wanted) else None
    decoder = example_coder.ExamplesToRecordBatchDecoder(plain)
    return lambda rows: decoder.DecodeBatch(rows.tolist())


class Encoder:
    """A column of lists as codes of its distinct texts.

    A row with several values is in the slice of them all, joined by "|", and in no range.
    """

    def __init__(self, ranges: Ranges | None) -> None:
        """Of texts, or of numbers in ranges."""
        self._ranges = ranges
        self._codes: dict[str, int] = {}
        self._parts: list[np.ndarray] = []

    def add(self, column: pa.Array) -> None:
        """Takes a column of lists, or of nothing."""
        found = np.full(len(column), -1, np.int32)
        self._parts.append(found)
        if pa.types.is_null(column.type):
            return
        lengths = np.asarray(column.value_lengths().fill_null(0))
        starts = np.cumsum(lengths) - lengths
        single = lengths == 1
        flat = column.flatten()
        if self._ranges is not None:
            found[single] = in_ranges(np.asarray(flat)[starts[single]], self._ranges).codes
            return
        encoded = flat.dictionary_encode()
        texts = [_text(value) for value in encoded.dictionary.to_numpy(zero_copy_only=False)]
        places = np.asarray(encoded.indices)
        codes = np.array([self._code(text) for text in texts], np.int32)
        found[single] = codes[places[starts[single]]]
        for row in np.flatnonzero(lengths > 1):
            own = places[starts[row] : starts[row] + lengths[row]]
            found[row] = self._code("|".join(texts[place] for place in own))

    def _code(self, text: str) -> int:
        return self._codes.setdefault(text, len(self._codes))

    def column(self) -> pd.Categorical:
        """Of all rows so far."""
        names: Iterable[str] = self._codes if self._ranges is None else self._ranges.names
        codes = np.concatenate(self._parts) if self._parts else np.empty(0, np.int32)
        return pd.Categorical.from_codes(codes, list(names))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
