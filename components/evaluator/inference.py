"""One pass over the rows: labels, the answers of candidate and baseline, and the columns that rows are sliced by.

Models run in a session, as they are served. The baseline may be of another time: what it can't do is found out here, and
said, while the candidate's failures are raised.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.io import fileio

from components.evaluator import by_columns
from components.evaluator.slices import Slices
from pipeline.errors import DataBlocked
from pipeline.evidence.report import Columns
from pipeline.evidence.standing import Standing, Status
from pipeline.evidence.tables import BASELINE, CANDIDATE
from pipeline.export import LABELS_SIGNATURE, SERVING_SIGNATURE
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


def columns_of(
    task: Task,
    files: Iterable[str],
    schema: schema_pb2.Schema,
    candidate: str,
    baseline: str | None,
    uri: str = "",
    stored: Sequence[str] | None = None,
) -> tuple[Columns, Standing]:
    """Runs both models over the rows.

    Args:
      task: whose label and slices are wanted.
      files: gzipped TFRecord files of serialised raw tf.Examples.
      schema: of the rows.
      candidate: path of a SavedModel.
      baseline: likewise; None on a first run.
      uri: of the baseline's artifact, for the record.
      stored: the same rows as columns, see `pipeline.ingest.columnar.shards`; None where there are none.

    Raises:
      DataBlocked: there is no row.
      ServingError: the candidate does not load, or fails on the rows.
    """
    standing = Standing("none") if baseline is None else Standing("compared", uri=uri)
    parts, slices = _Parts(), Slices(task, schema, _BATCH, stored)
    # A call into a session leaves Python's lock to others, and takes one core.
    with ThreadPoolExecutor(2) as pool:
        loading = None if baseline is None else pool.submit(_loaded, baseline)
        own, other = SessionModel(candidate), None
        try:
            other = loading.result() if loading else None
        except NotComparable as error:
            standing = Standing(error.status, error.detail, uri)
        found = _by_columns(task, schema, stored, own, other, pool) if stored else None
        if found is not None:
            parts, slices = found
        else:
            for rows in batches(files, ahead=2 if stored else 0):
                theirs = pool.submit(told, other, rows, task.label) if other else None
                given = pool.submit(answers, own, rows, task.label)
                labelled = pool.submit(own.run, LABELS_SIGNATURE, {"examples": rows})
                slices.add(rows)
                target, answer = labelled.result()[task.label.transformed], given.result()
                parts.target.append(target)
                parts.answers[CANDIDATE].append(answer)
                if other is not None and theirs is not None:
                    try:
                        parts.answers[BASELINE].append(compared(theirs.result(), target, answer))
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
            slices.columns(),
        ),
        standing,
    )


def _by_columns(
    task: Task,
    schema: schema_pb2.Schema,
    stored: Sequence[str],
    own: SessionModel,
    other: SessionModel | None,
    pool: ThreadPoolExecutor,
) -> tuple[_Parts, Slices] | None:
    """What the rows give where their columns tell all of it; None: they have to be asked as tf.Examples."""
    parts, slices = _Parts(), Slices(task, schema, _BATCH, stored)
    models = (own,) if other is None else (own, other)
    try:
        for (target, answer), *theirs in by_columns.answered(stored, _BATCH, task.label, models, pool, slices):
            parts.target.append(target)
            parts.answers[CANDIDATE].append(answer)
            parts.answers[BASELINE] += [compared(told, target, answer) for told in theirs]
    except (by_columns.NotTheSame, NotComparable, ServingError):
        return None
    return parts, slices


def batches(files: Iterable[str], ahead: int = 0) -> Iterator[np.ndarray]:
    """Serialised rows, object arrays of at most 8,192.

    Args:
      files: gzipped TFRecord files.
      ahead: how many batches are read while one is worked on; none of large rows, such as images.
    """
    options = tf.data.Options()
    options.autotune.enabled = False  # Nothing is to be tuned, and the end would wait for its thread: half a second.
    records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP").batch(_BATCH).prefetch(ahead)
    yield from records.with_options(options).as_numpy_iterator()


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


def told(model: SessionModel, rows: np.ndarray, label: Label) -> tuple[np.ndarray, np.ndarray]:
    """The baseline's targets and answers to some serialised rows.

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
        return own, answers(model, rows, label)
    except (ServingError, KeyError) as error:
        raise NotComparable("unreadable", _cause(str(error))) from error


def compared(baseline: tuple[np.ndarray, np.ndarray], target: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """The baseline's answers to some rows, where they can be compared with the candidate's.

    Args:
      baseline: its targets and its answers, see `told`.
      target: of the rows, as the candidate's `labels` signature has it.
      candidate: its answers.

    Raises:
      NotComparable: it has another label, or answers that are no numbers.
    """
    own, given = baseline
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
