"""One pass over the rows: labels, the answers of candidate and baseline, and the columns that rows are sliced by.

Models run in a session, as they are served. The baseline may be of another time: what it can't do is found out here, and
said, while the candidate's failures are raised.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.io import fileio
from tfx_bsl.coders import example_coder

from pipeline.errors import DataBlocked
from pipeline.evaluation import answer_column
from pipeline.evidence.cuts import in_ranges
from pipeline.evidence.report import Columns
from pipeline.evidence.standing import Standing, Status
from pipeline.evidence.tables import BASELINE, CANDIDATE
from pipeline.export import LABELS_SIGNATURE, SERVING_SIGNATURE
from pipeline.gates import Ranges
from pipeline.labels import Label
from pipeline.task import Task
from serving.errors import ServingError
from serving.session import SessionModel

_BATCH = 8192
_CLOSE = 1e-6
"""Targets that differ by less, absolute or relative, are of the same label."""


class NotComparable(Exception):
    """A baseline that can't be compared, and why."""

    def __init__(self, status: Status, detail: str) -> None:
        """See Standing."""
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass
class _Parts:
    """What the batches gave so far."""

    target: list[np.ndarray] = field(default_factory=list)
    answers: dict[str, list[np.ndarray]] = field(default_factory=lambda: {CANDIDATE: [], BASELINE: []})
    slices: dict[str, list[np.ndarray]] = field(default_factory=dict)


def columns_of(
    task: Task, files: Iterable[str], schema: schema_pb2.Schema, candidate: str, baseline: str | None, uri: str = ""
) -> tuple[Columns, Standing]:
    """Runs both models over the rows.

    Args:
      task: whose label and slices are wanted.
      files: gzipped TFRecord files of serialised raw tf.Examples.
      schema: of the rows.
      candidate: path of a SavedModel.
      baseline: likewise; None on a first run.
      uri: of the baseline's artifact, for the record.

    Raises:
      DataBlocked: there is no row.
      ServingError: the candidate does not load, or fails on the rows.
    """
    standing, other = Standing("none") if baseline is None else Standing("compared", uri=uri), None
    own = SessionModel(candidate)
    try:
        if baseline is not None:
            other = _loaded(baseline)
    except NotComparable as error:
        standing = Standing(error.status, error.detail, uri)
    parts, decode = _Parts(), _decoder(task, schema)
    for rows in batches(files):
        target = own.run(LABELS_SIGNATURE, {"examples": rows})[task.label.transformed]
        answer = answers(own, rows, task.label)
        parts.target.append(target)
        parts.answers[CANDIDATE].append(answer)
        for column, values in decode(rows).items():
            parts.slices.setdefault(column, []).append(values)
        if other is not None:
            try:
                parts.answers[BASELINE].append(compared(other, rows, target, answer, task.label))
            except NotComparable as error:
                standing = Standing(error.status, error.detail, uri)
                other.close()
                other = None
    for model in (own, other):
        if model is not None:
            model.close()
    if not parts.target:
        raise DataBlocked(
            "The split that measures the model has no row. Next: check the split of the task and the size of the data."
        )
    models = (CANDIDATE, BASELINE) if standing.comparable else (CANDIDATE,)
    return (
        Columns(
            np.concatenate(parts.target),
            {model: np.concatenate(parts.answers[model]) for model in models},
            {column: np.concatenate(values) for column, values in parts.slices.items()},
        ),
        standing,
    )


def batches(files: Iterable[str]) -> Iterator[np.ndarray]:
    """Serialised rows, object arrays of at most 8,192."""
    records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP")
    yield from records.batch(_BATCH).as_numpy_iterator()


def answers(model: SessionModel, rows: np.ndarray, label: Label) -> np.ndarray:
    """A model's main output to serialised rows, [rows] or [rows, classes]."""
    return model.run(SERVING_SIGNATURE, {"examples": rows}, (label.output,))[label.output]


def _loaded(path: str) -> SessionModel:
    """The baseline; NotComparable where it is not there or broken."""
    if not fileio.exists(path):
        raise NotComparable("missing", f"there is no {path}")
    try:
        return SessionModel(path)
    except ServingError as error:
        raise NotComparable("unloadable", error.message) from error


def compared(
    model: SessionModel, rows: np.ndarray, target: np.ndarray, candidate: np.ndarray, label: Label
) -> np.ndarray:
    """The baseline's answers to some rows.

    Args:
      model: the baseline.
      rows: serialised.
      target: of the rows, as the candidate's `labels` signature has it.
      candidate: its answers.
      label: the task's.

    Raises:
      NotComparable: it has another label, or fails on the rows.
    """
    lacking = [name for name in (LABELS_SIGNATURE, SERVING_SIGNATURE) if name not in model.signatures]
    if lacking:
        raise NotComparable("unreadable", f"it has no signature {lacking[0]!r}")
    outputs = {name: model.signatures[name].outputs for name in (LABELS_SIGNATURE, SERVING_SIGNATURE)}
    for signature, wanted in ((LABELS_SIGNATURE, label.transformed), (SERVING_SIGNATURE, label.output)):
        if wanted not in outputs[signature]:
            there = ", ".join(sorted(outputs[signature]))
            raise NotComparable("other_label", f"expected {wanted} of {signature}. Received: {there}")
    try:
        own = model.run(LABELS_SIGNATURE, {"examples": rows}, (label.transformed,))[label.transformed]
        given = answers(model, rows, label)
    except (ServingError, KeyError) as error:
        raise NotComparable("unreadable", _cause(str(error))) from error
    if own.shape != target.shape or given.shape != candidate.shape:
        raise NotComparable(
            "other_label",
            f"expected a label of shape {target.shape[1:]} and answers of {candidate.shape[1:]}. "
            f"Received: {own.shape[1:]} and {given.shape[1:]}",
        )
    equal = np.isclose(own, target, rtol=_CLOSE, atol=_CLOSE, equal_nan=True).reshape(len(own), -1).all(axis=1)
    if not equal.all():
        row = int(np.argmin(equal))
        raise NotComparable(
            "other_label",
            f"{int((~equal).sum()):,} of {len(own):,} rows have another target. Expected, for example: {target[row]}. "
            f"Received: {own[row]}",
        )
    if not np.isfinite(given).all():
        raise NotComparable("unreadable", "its answers to some of them are not numbers")
    return given


def _cause(message: str) -> str:
    """The line of TensorFlow's message that says what is wrong; the others say where in the graph."""
    places = ("Graph execution error", "Detected at", "<stack", "Node:", "[[", "(0) ", "(1) ")
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(places)), lines[0] if lines else "no reason given")


def _decoder(task: Task, schema: schema_pb2.Schema) -> Any:
    """A function of serialised rows: the columns that rows are sliced by, name -> see `text_of` and `in_ranges`."""
    wanted = sorted({column for cross in task.evaluation.crosses for column in cross})
    ranges = task.evaluation.ranges
    known = [schema_pb2.Feature(name=f.name, type=f.type) for f in schema.feature if f.name in wanted]
    if not wanted:
        return lambda rows: {}
    plain = schema_pb2.Schema(feature=known).SerializeToString() if len(known) == len(wanted) else None
    decoder = example_coder.ExamplesToRecordBatchDecoder(plain)

    def decode(rows: np.ndarray) -> dict[str, np.ndarray]:
        batch = decoder.DecodeBatch(rows.tolist())
        return {name: sliced(_column(batch, name), ranges.get(name)) for name in wanted}

    return decode


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of lists; of nulls where no row of the batch has it."""
    place = batch.schema.get_field_index(name)
    return batch.column(place) if place >= 0 else pa.nulls(batch.num_rows)


def sliced(column: pa.Array, ranges: Ranges | None) -> np.ndarray:
    """What a column of lists is sliced by: text, or the name of a range; None for a row without a value.

    A row with several values is in the slice of them all, joined by "|", and in no range.
    """
    if pa.types.is_null(column.type):
        return np.full(len(column), None, object)
    lengths = np.asarray(column.value_lengths().fill_null(0))
    flat = column.flatten().to_numpy(zero_copy_only=False)
    starts = np.cumsum(lengths) - lengths
    if ranges is not None:
        numbers = np.full(len(lengths), np.nan)
        single = lengths == 1
        numbers[single] = flat[starts[single]]
        return in_ranges(numbers, ranges)
    found = np.full(len(lengths), None, object)
    texts = np.array(
        [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in flat], object
    )
    single = lengths == 1
    found[single] = texts[starts[single]]
    for row in np.flatnonzero(lengths > 1):
        found[row] = "|".join(texts[starts[row] : starts[row] + lengths[row]])
    return found


def record_batches(label: Label, columns: Columns) -> list[pa.RecordBatch]:
    """The columns for TFMA, in batches: see `pipeline.evaluation.eval_config` for their names."""
    lists: Mapping[str, pa.Array] = {
        label.transformed: _lists(columns.target),
        **{answer_column(label, model): _lists(values) for model, values in columns.answers.items()},
        **{
            name: pa.array([None if value is None else [value] for value in values], pa.list_(pa.string()))
            for name, values in columns.slices.items()
        },
    }
    table = pa.table(dict(lists))
    return [batch for batch in table.to_batches(max_chunksize=_BATCH) if batch.num_rows]


def _lists(values: np.ndarray) -> pa.Array:
    flat = values.reshape(len(values), -1)
    width = flat.shape[1]
    offsets = pa.array(np.arange(len(flat) + 1) * width, pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(flat.ravel()))
