"""The loss that training lowers: the label's, with the weights of classes."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from pipeline.labels import Scale
from pipeline.task import Task
from pipeline.train.step import Losses


def weighted(task: Task, scale: Scale, known: np.ndarray | None) -> Losses:
    """Target and scores to the loss of each row, times the weight of its class.

    Args:
      task: label and class weights.
      scale: of the label.
      known: targets to balance the classes by, for "balanced".
    """
    weights = class_weights(task, known)
    if weights is None:
        return lambda target, scores: task.label.losses(target, scores, scale)
    table = tf.constant(weights, tf.float32)

    def losses(target: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        return task.label.losses(target, scores, scale) * tf.gather(table, task.label.class_of(target))

    return losses


def class_weights(task: Task, known: np.ndarray | None) -> list[float] | None:
    """The weight of each class, in their order; None where all count alike."""
    asked, classes = task.training.class_weights, task.label.classes
    if asked is None:
        return None
    if isinstance(asked, Mapping):
        return [float(asked.get(name, 1.0)) for name in classes]
    assert known is not None  # noqa: S101
    counts = np.bincount(task.label.class_of(tf.constant(known)).numpy(), minlength=len(classes))
    present = np.count_nonzero(counts)
    return [float(counts.sum() / (present * count)) if count else 1.0 for count in counts]
