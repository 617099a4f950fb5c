"""The batches that training takes: from memory where the rows fit, from the files where they don't.

Batch s of a training holds rows s * batch_size to (s + 1) * batch_size - 1 of an endless row of epochs. In each epoch every
row of the split comes once, in an order of its own that only the seed decides. So any step can be the first: a
training that goes on after a crash sees the batches that an unbroken one would have seen.

From memory the order of an epoch is a pseudo-random permutation that is computed place by place, never stored. From the
files it is that of the shards, shuffled and read side by side, through a buffer that shuffles them further.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from pipeline.task import Task
from pipeline.train.rows import measuring_batch, parsed, records
from pipeline.train.team import Share

_FILES_LIMIT = 1 << 28
"""Bytes of compressed files that are tried to be held in memory."""
_MEMORY_LIMIT = 1 << 30
"""Bytes of rows in memory."""
_LOADED_ANYWAY = 1 << 24
_SHUFFLE = 100_000
_SHARDS_AT_ONCE = 16


class Source(Protocol):
    """Rows to train on."""

    @property
    def rows(self) -> int:
        """How many there are."""

    def batches(self, first: int, last: int, part: Share) -> tf.data.Dataset:
        """This part of the batches of steps `first` to `last` - 1: (inputs, target)."""


def source(files: Sequence[str], transform: tft.TFTransformOutput, task: Task) -> "Memory | Files":
    """The rows of these files, in memory if they are few, or if training sees about all of them.

    Args:
      files: patterns of transformed examples; there must be a row.
      transform: of Transform.
      task: its features, label, batch size and seed are used.
    """
    found = sorted(tf.io.gfile.glob(list(files)))
    total = sum(tf.io.gfile.stat(file).length for file in found)
    if total <= _LOADED_ANYWAY or (total <= _FILES_LIMIT and _sees_half(found, total, task)):
        columns = _load(found, transform, task)
        if columns:
            return Memory(*columns, task)
    return Files(found, transform, task)


def _sees_half(files: Sequence[str], total: int, task: Task) -> bool:
    """Whether training sees at least half as many rows as the files hold, going by the first of them."""
    if task.training.steps is None:
        return True
    sizes = tf.io.gfile.stat(files[0]).length
    estimated = _count(files[:1]) * total / max(sizes, 1)
    return 2 * task.training.steps * task.training.batch_size >= estimated


def _count(files: Sequence[str]) -> int:
    return int(records(files).batch(8192).reduce(np.int64(0), lambda count, part: count + tf.size(part, tf.int64)))


def _load(files: Sequence[str], transform: tft.TFTransformOutput, task: Task) -> tuple[dict[str, Any], Any] | None:
    """All rows as arrays; None where they take more than the limit."""
    parts: list[tuple[dict[str, Any], Any]] = []
    size = 0
    batches = parsed(
        _side_by_side(tf.data.Dataset.from_tensor_slices(files)).batch(measuring_batch(task)), transform, task
    )
    for inputs, target in batches.as_numpy_iterator():
        size += target.nbytes + sum(column.nbytes for column in inputs.values())
        if size > _MEMORY_LIMIT:
            return None
        parts.append((inputs, target))
    columns = {name: np.concatenate([inputs[name] for inputs, _ in parts]) for name in parts[0][0]}
    return columns, np.concatenate([target for _, target in parts])


def _side_by_side(shards: tf.data.Dataset) -> tf.data.Dataset:
    return shards.interleave(
        lambda shard: tf.data.TFRecordDataset(shard, compression_type="GZIP"),
        cycle_length=_SHARDS_AT_ONCE,
        num_parallel_calls=2,
        deterministic=True,
    )


@dataclass(frozen=True)
class Memory:
    """Rows in memory, as models read them.

    Attributes:
      columns: transformed name -> [rows, *shape].
      target: [rows, *shape].
      task: batch size, seed and augmentation.
    """

    columns: dict[str, Any]
    target: Any
    task: Task

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.target)

    def batches(self, first: int, last: int, part: Share) -> tf.data.Dataset:
        """See `Source`."""
        columns = {name: tf.constant(column) for name, column in self.columns.items()}
        target, size = tf.constant(self.target), self.task.training.batch_size

        def fetch(step: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            chosen = places(part.of(step * size + tf.range(size, dtype=tf.int64)), self.rows, self.task.training.seed)
            inputs = {name: tf.gather(column, chosen) for name, column in columns.items()}
            return _augmented(inputs, self.task, step, part.index), tf.gather(target, chosen)

        steps = tf.data.Dataset.range(first, last)
        return steps.map(fetch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(4)


def places(positions: tf.Tensor, rows: int, seed: int) -> tf.Tensor:
    """Which row is at each position of the endless row of epochs.

    Args:
      positions: int64, [n], from 0.
      rows: in an epoch.
      seed: of the orders.

    Returns:
      int64, [n], in [0, rows).
    """
    if rows == 1:
        return tf.zeros_like(positions)
    epochs = positions // rows
    seeds = tf.stack([tf.fill(tf.shape(epochs), tf.constant(seed, tf.int64)), epochs, tf.zeros_like(epochs)], 1)
    # tf.random.experimental.index_shuffle is this with one seed for all; of several it makes a wrong shape.
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % rows, seed=seeds, max_index=tf.constant(rows - 1, tf.int64), rounds=4
    )


@dataclass(frozen=True)
class Files:
    """Rows that stay in their files.

    Attributes:
      files: TFRecord shards.
      transform: of Transform.
      task: features, label, batch size, seed, augmentation.
    """

    files: Sequence[str]
    transform: tft.TFTransformOutput
    task: Task

    @property
    def rows(self) -> int:
        """How many there are; reads all files."""
        return _count(self.files)

    def batches(self, first: int, last: int, part: Share) -> tf.data.Dataset:
        """See `Source`. What is before the first step is passed over: whole epochs at once, the rest unparsed."""
        size, seed = self.task.training.batch_size, self.task.training.seed
        rows = self.rows if first else 1
        epoch, passed = divmod(first * size, rows) if first else (0, 0)

        def of_epoch(number: tf.Tensor) -> tf.data.Dataset:
            own = tf.random.experimental.index_shuffle(number, [seed, 0], tf.constant((1 << 62) - 1, tf.int64))
            shards = tf.data.Dataset.from_tensor_slices(list(self.files)).shuffle(len(self.files), seed=own)
            return _side_by_side(shards).shuffle(_SHUFFLE, seed=own, reshuffle_each_iteration=False)

        serialised = tf.data.Dataset.range(epoch, np.iinfo(np.int64).max).flat_map(of_epoch).skip(passed)
        whole = serialised.batch(size).take(last - first).map(part.of)
        steps = tf.data.Dataset.range(first, last)
        read = tf.data.Dataset.zip(steps, parsed(whole, self.transform, self.task))

        def augment(step: tf.Tensor, row: Any) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            return _augmented(row[0], self.task, step, part.index), row[1]

        return read.map(augment, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(4)


def _augmented(inputs: dict[str, tf.Tensor], task: Task, step: tf.Tensor, part: int) -> dict[str, tf.Tensor]:
    """What training sees of a batch's part, by the seeds of the task, the part and the step."""
    seed = tf.stack([tf.constant(task.training.seed + (part << 32), tf.int64), step])
    return {f.transformed: f.augmented(inputs[f.transformed], seed) for f in task.features}
