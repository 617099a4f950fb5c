"""What TensorBoard shows of a training: scalars, histograms of the weights, the graph, the settings."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams import api as hparams

from pipeline.task import Task


class Logs:
    """A run's log; use as a context manager."""

    def __init__(self, folder: str, task: Task) -> None:
        """Opens the log and writes the settings."""
        self._writer = tf.summary.create_file_writer(folder)
        with self._writer.as_default():
            hparams.hparams(settings_of(task))

    def __enter__(self) -> "Logs":
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """The values of a validation."""
        with self._writer.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def weights(self, step: int, model: keras.Model) -> None:
        """A histogram of each weight, made by NumPy: as operations of TensorFlow they cost ten times as much."""
        with self._writer.as_default(step):
            for weight in model.weights:
                summary = histogram_pb(weight.path, np.asarray(weight.value))
                tf.summary.experimental.write_raw_pb(summary.SerializeToString())

    def graph(self, graph: tf.Graph) -> None:
        """What is computed for a batch."""
        with self._writer.as_default():
            tf.summary.graph(graph)

    def flush(self) -> None:
        """Makes what was written visible."""
        self._writer.flush()


def settings_of(task: Task) -> dict[str, Any]:
    """Model and training as TensorBoard's table of hyperparameters takes them: numbers, truth values, texts."""
    return {"model": type(task.model).__name__, **_flat("model", task.model), **_flat("training", task.training)}


def _flat(name: str, value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {} if name in ("model", "training") else {name: type(value).__name__}
        parts = (_flat(f"{name}.{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value))
        return {**own, **{key: item for part in parts for key, item in part.items()}}
    return {name: value if isinstance(value, bool | int | float | str) else repr(value)}
