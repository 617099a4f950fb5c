"""The Keras layer of a SavedModel."""

from typing import Any

import keras
import tensorflow as tf


class Reloaded(keras.layers.TFSMLayer):
    """Keras's layer of a SavedModel, which chooses an endpoint by itself and one of several outputs.

    It computes in float32 whatever the precision of the model around it: a SavedModel's graph has types of its own.

    Args:
      path: the SavedModel's folder.
      endpoint: a method or signature; None for `__call__` where there is one, else `serving_default`.
      output: which of the outputs, where there are several.
      trainable: whether its variables are trained.
      name: of the layer.

    Raises:
      ValueError: it has no such endpoint; the message lists its signatures.
    """

    def __init__(self, path: str, endpoint: str | None, output: str | None, trainable: bool, name: str) -> None:
        if endpoint is None:
            endpoint = "__call__" if callable(tf.saved_model.load(path)) else "serving_default"
        super().__init__(path, endpoint, trainable=trainable, name=name, dtype="float32")
        self._output = output

    def call(self, inputs: Any, training: bool = False) -> Any:
        if inputs.dtype == tf.string:
            inputs = tf.reshape(inputs, [-1])
        answers = super().call(inputs, training=training)
        if not isinstance(answers, dict):
            return answers
        names = ", ".join(sorted(answers))
        if self._output is None and len(answers) > 1:
            raise ValueError(f"expected one output, or its name as output. Received: {names}")
        chosen = self._output or next(iter(answers))
        if chosen not in answers:
            raise ValueError(f"no output {chosen!r}. Received: {names}")
        return answers[chosen]
