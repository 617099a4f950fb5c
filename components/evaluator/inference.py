"""One pass over the rows, shard by shard: labels, the answers of candidate and baseline, and what rows are sliced by.

The same function asks about a shard in this process and in the workers of a Beam runner. Models run in a session, as they
are served. What the baseline can't do is said, while the candidate's failures are raised.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from components.evaluator import by_columns, loaded
from components.evaluator.comparison import NotComparable, answers, baseline_of, compared, told
from components.evaluator.part import Part
from components.evaluator.slices import Slices
from components.shards import Shard
from pipeline.evidence.tables import BASELINE, CANDIDATE
from pipeline.export import LABELS_SIGNATURE
from pipeline.remote import brought
from pipeline.task import Task
from serving.errors import ServingError
from serving.session import SessionModel

_BATCH = 8192


@dataclass(frozen=True)
class Ask:
    """A function of a shard, that travels: what candidate and baseline say of its rows.

    Attributes:
      task: whose label and slices are wanted.
      schema: of the rows, serialised.
      candidate: path of a SavedModel.
      baseline: likewise; None on a first run.
    """

    task: Task
    schema: bytes
    candidate: str
    baseline: str | None

    def __call__(self, shard: Shard) -> Part:
        """Asks.

        Raises:
          MillraceError: a file is damaged, or can't be reached.
        """
        # A call into a session leaves Python's lock to others, and takes one core.
        with ThreadPoolExecutor(2) as pool:
            loading = None if self.baseline is None else pool.submit(baseline_of, self.baseline)
            refused: NotComparable | None = None
            try:
                own, other = loaded.model(self.candidate), None
                try:
                    other = loading.result() if loading else None
                except NotComparable as error:
                    refused = error
                asked = _Shard(self.task, schema_pb2.Schema.FromString(self.schema), shard, own, pool)
                return asked.by_columns(other, refused) or asked.by_rows(other, refused)
            except ServingError as error:
                return Part(failed=(int(error.code), error.message))


@dataclass(frozen=True)
class _Shard:
    """A shard and the candidate."""

    task: Task
    schema: schema_pb2.Schema
    shard: Shard
    own: SessionModel
    pool: ThreadPoolExecutor

    def by_columns(self, other: SessionModel | None, refused: NotComparable | None) -> Part | None:
        """What the columns tell, if they tell all of it; None: the rows have to be asked as tf.Examples."""
        if self.shard.columns is None:
            return None
        stored, label = [self.shard.columns], self.task.label
        slices, parts = Slices(self.task, self.schema, _BATCH, stored), _Batches()
        models = (self.own,) if other is None else (self.own, other)
        try:
            for (target, answer), *theirs in by_columns.answered(stored, _BATCH, label, models, self.pool, slices):
                parts.add(target, answer, *(compared(told, target, answer) for told in theirs))
        except (by_columns.NotTheSame, NotComparable, ServingError):
            return None
        return parts.part(slices, refused)

    def by_rows(self, other: SessionModel | None, refused: NotComparable | None) -> Part:
        """What the tf.Examples tell.

        Raises:
          ServingError: the candidate fails on them.
        """
        stored, label, pool = self.shard.columns and [self.shard.columns], self.task.label, self.pool
        slices, parts = Slices(self.task, self.schema, _BATCH, stored), _Batches()
        for rows in batches(self.shard.records, ahead=2 if stored else 0):
            theirs = pool.submit(told, other, rows, label) if other else None
            given = pool.submit(answers, self.own, rows, label)
            labelled = pool.submit(self.own.run, LABELS_SIGNATURE, {"examples": rows})
            slices.add(rows)
            target, answer = labelled.result()[label.transformed], given.result()
            try:
                parts.add(target, answer, *([compared(theirs.result(), target, answer)] if theirs else []))
            except NotComparable as error:
                refused, other = error, None
                parts.add(target, answer)
        return parts.part(slices, refused)


class _Batches:
    """What the batches gave so far."""

    def __init__(self) -> None:
        self._found: tuple[list[np.ndarray], ...] = ([], [], [])

    def add(self, *values: np.ndarray) -> None:
        """Targets, the candidate's answers, maybe the baseline's, of some rows."""
        for found, some in zip(self._found, values, strict=False):
            found.append(some)

    def part(self, slices: Slices, refused: NotComparable | None) -> Part:
        """All of it."""
        why = (refused.status, refused.detail) if refused else None
        target, own, theirs = self._found
        if not target:
            return Part(refused=why)
        given = {CANDIDATE: np.concatenate(own)}
        if theirs and not refused:
            given[BASELINE] = np.concatenate(theirs)
        return Part(np.concatenate(target), given, slices.columns(), why)


def batches(file: str, ahead: int = 0) -> Iterator[np.ndarray]:
    """Serialised rows, object arrays of at most 8,192.

    Args:
      file: gzipped TFRecords.
      ahead: how many batches are read while one is worked on; none of large rows, such as images.
    """
    options = tf.data.Options()
    options.autotune.enabled = False  # Nothing is to be tuned, and the end would wait for its thread: half a second.
    with brought.here(file) as local:
        records = tf.data.TFRecordDataset(local, compression_type="GZIP").batch(_BATCH).prefetch(ahead)
        yield from records.with_options(options).as_numpy_iterator()
