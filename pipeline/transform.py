"""The `preprocessing_fn` of every task: a loop over its features, and the label."""

from typing import TYPE_CHECKING, Any

from pipeline import tasks
from pipeline.features.base import Feature, dense
from pipeline.labels import Label

if TYPE_CHECKING:
    import tensorflow as tf


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, "tf.Tensor"]:
    """TFX Transform calls this to build the transform graph.

    Args:
      inputs: raw column -> tensor or sparse tensor.
      custom_config: `{"task": name, "overrides": […]}`, set by `pipeline.dag`.

    Returns:
      Transformed name -> tensor of shape [rows, …], features and label.
    """
    task = tasks.load(custom_config["task"], custom_config["overrides"])
    return preprocess(inputs, task.features, task.label)


def preprocess(inputs: dict[str, Any], features: tuple[Feature, ...], label: Label) -> dict[str, "tf.Tensor"]:
    """The transformed columns of these features and this label."""
    import tensorflow as tf

    outputs = {feature.transformed: feature.preprocess(inputs[feature.name]) for feature in features}
    values = {column: dense(inputs[column]) for column in label.columns}
    outputs[label.transformed] = tf.reshape(label.target(values), [-1, *label.shape])
    return outputs
