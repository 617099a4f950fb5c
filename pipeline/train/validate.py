"""What is measured on the eval split while training goes on."""

from collections.abc import Sequence

import keras
import tensorflow as tf
import tensorflow_transform as tft

from pipeline.errors import DataBlocked
from pipeline.labels import Scale
from pipeline.task import Task
from pipeline.train.rows import measuring_batch, rows

_CACHE_LIMIT = 1 << 26


class Validator:
    """The loss and the label's metrics of a model on the eval split.

    The loss is the mean of `label.losses` over the rows: without class weights and without regularisation, so that it
    compares models that differ in these.
    """

    def __init__(
        self, model: keras.Model, task: Task, scale: Scale, files: Sequence[str], transform: tft.TFTransformOutput
    ) -> None:
        """Of a float32 model outside any strategy; rows of small files are kept parsed."""
        self._model, self._task, self._scale = model, task, scale
        self._metrics = task.label.metrics()
        self._data = rows(files, transform, task, measuring_batch(task))
        if sum(tf.io.gfile.stat(file).length for file in tf.io.gfile.glob(list(files))) <= _CACHE_LIMIT:
            self._data = self._data.cache()
        self._pass = tf.function(self._measure, reduce_retracing=True)

    def __call__(self) -> dict[str, float]:
        """`val_loss` and `val_<metric>`, each.

        Raises:
          DataBlocked: the eval split has no row.
        """
        for metric in self._metrics.values():
            metric.reset_state()
        total, count = self._pass(self._data)
        if not int(count):
            raise DataBlocked("The eval split has no row. Next: check the split of the task and the size of the data.")
        measured = {f"val_{name}": float(metric.result()) for name, metric in self._metrics.items()}
        return {"val_loss": float(total) / int(count), **measured}

    def _measure(self, data: tf.data.Dataset) -> tuple[tf.Tensor, tf.Tensor]:
        total, count = tf.constant(0.0, tf.float64), tf.constant(0, tf.int64)
        for inputs, target in data:
            scores = tf.cast(self._model(inputs, training=False), tf.float32)
            losses = self._task.label.losses(target, scores, self._scale)
            answer = self._task.label.answers(scores, self._scale)[self._task.label.output]
            for metric in self._metrics.values():
                metric.update_state(target, tf.reshape(answer, tf.shape(target)) if answer.shape.rank == 1 else answer)
            total += tf.reduce_sum(tf.cast(losses, tf.float64))
            count += tf.size(losses, tf.int64)
        return total, count

    @property
    def graph(self) -> tf.Graph:
        """What is computed, for TensorBoard."""
        return self._pass.get_concrete_function(self._data).graph
