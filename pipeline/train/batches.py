"""The batches that training takes: from memory where the rows fit, from the files where they don't.

Batch s of a training holds rows s * batch_size to (s + 1) * batch_size - 1 of an endless row of epochs. In each epoch every
row of the split comes once, in an order of its own that only the seed decides. So any step can be the first: a
training that goes on after a crash sees the batches that an unbroken one would have seen.

From memory the order of an epoch is a pseudo-random permutation that is computed place by place, never stored. From the
files it is that of the shards, shuffled and read side by side, through a buffer that shuffles them further: of 100,000 rows,
or of 256 MB where rows are large.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from pipeline.task import Task
from pipeline.train import sizes
from pipeline.train.rows import measuring_batch, parsed, plainly, records, side_by_side, untuned
from pipeline.train.team import Share

_FILES_LIMIT = 1 << 28
"""Bytes of compressed files that are tried to be held in memory."""
_MEMORY_LIMIT = 1 << 30
"""Bytes of rows in memory."""
_LOADED_ANYWAY = 1 << 24
_SHUFFLE = 100_000
_SHUFFLE_BYTES = 1 << 28
_SEED_OF_ZERO = 1 << 30


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
    if total <= _LOADED_ANYWAY or (total <= _FILES_LIMIT and _sees_half(found, task)):
        columns = _load(found, transform, task)
        if columns:
            return Memory(*columns, task)
    return Files(found, transform, task)


def _sees_half(files: Sequence[str], task: Task) -> bool:
    """Whether training sees at least half as many rows as the files hold, going by the start of the first of them."""
    steps = task.training.steps
    return steps is None or 2 * steps * task.training.batch_size >= sizes.stored(files).rows


def _load(files: Sequence[str], transform: tft.TFTransformOutput, task: Task) -> tuple[dict[str, Any], Any] | None:
    """All rows, a tensor for each column; None where they take more than the limit."""
    parts: list[tuple[dict[str, tf.Tensor], tf.Tensor]] = []
    size, batch = 0, measuring_batch(task)
    for inputs, target in parsed(
        side_by_side(tf.data.Dataset.from_tensor_slices(files)).batch(batch), transform, task, batch
    ):
        size += len(target) * sizes.read_bytes(task)
        if size > _MEMORY_LIMIT:
            return None
        parts.append((inputs, target))
    if not parts:
        return None
    names = list(parts[0][0])
    # Column by column, so that there is never a second copy of all.
    columns = {name: tf.concat([inputs.pop(name) for inputs, _ in parts], 0) for name in names}
    return columns, tf.concat([target for _, target in parts], 0)


@dataclass(frozen=True)
class Memory:
    """Rows in memory, as models read them.

    Attributes:
      columns: transformed name -> tensor, [rows, *shape].
      target: tensor, [rows, *shape].
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
        columns, target, size = self.columns, self.target, self.task.training.batch_size
        if not tf.executing_eagerly():  # It is made for another process: tensors of this one are not there.
            columns = {name: tf.constant(column.numpy()) for name, column in columns.items()}
            target = tf.constant(target.numpy())

        @plainly
        def fetch(step: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            chosen = places(part.of(step * size + tf.range(size, dtype=tf.int64)), self.rows, self.task.training.seed)
            inputs = {name: tf.gather(column, chosen) for name, column in columns.items()}
            return _augmented(inputs, self.task, step, part.index), tf.gather(target, chosen)

        steps = tf.data.Dataset.range(first, last)
        waiting = sizes.ahead(self.task, size)
        return _at_once(steps.map(fetch, num_parallel_calls=waiting, deterministic=True).prefetch(waiting))


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
        count = (
            records(self.files)
            .batch(8192)
            .reduce(np.int64(0), plainly(lambda count, part: count + tf.size(part, tf.int64)))
        )
        return int(count)

    def batches(self, first: int, last: int, part: Share) -> tf.data.Dataset:
        """See `Source`. What is before the first step is passed over: whole epochs at once, the rest unparsed."""
        size, seed = self.task.training.batch_size, self.task.training.seed
        rows = self.rows if first else 1
        epoch, passed = divmod(first * size, rows) if first else (0, 0)
        shuffled = max(1, min(_SHUFFLE, int(_SHUFFLE_BYTES / max(sizes.stored(self.files).row_bytes, 1))))

        @plainly
        def of_epoch(number: tf.Tensor) -> tf.data.Dataset:
            # Of this function's graph. Where it is 0, TensorFlow can't take another seed that is a tensor.
            tf.compat.v1.set_random_seed(seed or _SEED_OF_ZERO)
            own = tf.random.experimental.index_shuffle(number, [seed, 0], tf.constant((1 << 62) - 1, tf.int64))
            shards = tf.data.Dataset.from_tensor_slices(list(self.files)).shuffle(len(self.files), seed=own)
            return side_by_side(shards).shuffle(shuffled, seed=own, reshuffle_each_iteration=False)

        serialised = tf.data.Dataset.range(epoch, np.iinfo(np.int64).max).flat_map(of_epoch).skip(passed)
        whole = serialised.batch(size).take(last - first).map(plainly(part.of))
        steps = tf.data.Dataset.range(first, last)
        read = tf.data.Dataset.zip(steps, parsed(whole, self.transform, self.task, size))

        @plainly
        def augment(step: tf.Tensor, row: Any) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            return _augmented(row[0], self.task, step, part.index), row[1]

        waiting = sizes.ahead(self.task, size)
        return _at_once(read.map(augment, num_parallel_calls=waiting, deterministic=True).prefetch(waiting))


def _at_once(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Begins to read when there is an iterator, not when the first batch is asked for: meanwhile the step is compiled."""
    options = untuned()
    options.experimental_warm_start = True
    return batches.with_options(options)


def _augmented(inputs: dict[str, tf.Tensor], task: Task, step: tf.Tensor, part: int) -> dict[str, tf.Tensor]:
    """What training sees of a batch's part, by the seeds of the task, the part and the step."""
    seed = tf.stack([tf.constant(task.training.seed + (part << 32), tf.int64), step])
    return {f.transformed: f.augmented(inputs[f.transformed], seed) for f in task.features}
