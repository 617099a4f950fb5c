"""What is measured on the eval split while training goes on."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from pipeline.errors import DataBlocked
from pipeline.labels import Scale
from pipeline.task import Task
from pipeline.train import sizes
from pipeline.train.rows import measuring_batch, parsed, side_by_side

_KEPT_BYTES = 1 << 27
_SHARDS_AT_ONCE = 256

Batch = tuple[dict[str, tf.Tensor], tf.Tensor]


class Validator:
    """The loss and the label's metrics of a model on the eval split, or on as many of its rows as the task asks for.

    The loss is the mean of `label.losses` over the rows: without class weights and without regularisation, so that it
    compares models that differ in these.
    """

    def __init__(
        self, model: keras.Model, task: Task, scale: Scale, files: Sequence[str], transform: tft.TFTransformOutput
    ) -> None:
        """Of a float32 model outside any strategy; begins to read the rows, in a thread."""
        self._model, self._task, self._scale = model, task, scale
        self._metrics = task.label.metrics()
        self._rows = Rows(files, transform, task)
        self._part = tf.function(self._measure, input_signature=self._rows.spec, autograph=False)

    def __call__(self) -> dict[str, float]:
        """`val_loss` and `val_<metric>`, each.

        Raises:
          DataBlocked: the eval split has no row.
        """
        for metric in self._metrics.values():
            metric.reset_state()
        total, count = 0.0, 0
        for inputs, target in self._rows:
            part, rows = self._part(inputs, target)
            total, count = total + float(part), count + int(rows)
        if not count:
            raise DataBlocked("The eval split has no row. Next: check the split of the task and the size of the data.")
        measured = {f"val_{name}": float(metric.result()) for name, metric in self._metrics.items()}
        return {"val_loss": total / count, **measured}

    def _measure(self, inputs: dict[str, tf.Tensor], target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Counts a batch; gives the sum of its losses, and how many these are."""
        scores = tf.cast(self._model(inputs, training=False), tf.float32)
        losses = self._task.label.losses(target, scores, self._scale)
        answer = self._task.label.answers(scores, self._scale)[self._task.label.output]
        for metric in self._metrics.values():
            metric.update_state(target, tf.reshape(answer, tf.shape(target)) if answer.shape.rank == 1 else answer)
        return tf.reduce_sum(tf.cast(losses, tf.float64)), tf.size(losses, tf.int64)

    @property
    def graph(self) -> tf.Graph:
        """What is computed for a batch, for TensorBoard."""
        return self._part.get_concrete_function().graph


class Rows:
    """The rows to validate on, in batches, as often as asked: the same ones in the same order each time.

    They are kept as the model reads them if these take no more than 128 MB, and read anew each time if they take more.
    """

    def __init__(self, files: Sequence[str], transform: tft.TFTransformOutput, task: Task) -> None:
        """Begins to read.

        Args:
          files: patterns of transformed examples. Where the task validates on a part of the rows, it takes as many of
            each shard, as far as it has them.
          transform: of Transform.
          task: its features, label and `training.validation_rows` are used.
        """
        batch, most = measuring_batch(task), task.training.validation_rows
        shards = sorted(tf.io.gfile.glob(list(files)))
        found = side_by_side(tf.data.Dataset.from_tensor_slices(shards), max(1, min(len(shards), _SHARDS_AT_ONCE)))
        serialised = found if most is None else found.take(most)
        self._data = parsed(serialised.batch(batch), transform, task, batch)
        self._size = sizes.read_bytes(task)
        reader = ThreadPoolExecutor(1, thread_name_prefix="validation")
        self._kept: Future[list[Batch] | None] = reader.submit(self._read)
        reader.shutdown(wait=False)

    @property
    def spec(self) -> Any:
        """Of a batch."""
        return self._data.element_spec

    def __iter__(self) -> Iterator[Batch]:
        """All batches."""
        kept = self._kept.result()
        return iter(self._data if kept is None else kept)

    def _read(self) -> list[Batch] | None:
        """All batches, or None where they are too many to be kept."""
        size = 0
        kept: list[Batch] = []
        for batch in self._data:
            size += len(batch[1]) * self._size
            if size > _KEPT_BYTES:
                return None
            kept.append(batch)
        return kept
