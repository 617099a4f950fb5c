"""The transform graph as a function: for the rows of one machine, and inside the exported model."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from pipeline.features.base import INT_MISSING

EMPTY: dict[tf.DType, Any] = {tf.float32: float("nan"), tf.int64: INT_MISSING, tf.string: ""}
"""What stands for a missing value in a dense column."""


class TransformGraph(tf.Module):
    """The transform graph as a function of raw columns; to be tracked by what calls it.

    TFT's own `transform_features_layer` does the same as a tf_keras model, which costs seconds to save and drags a
    second Keras into the export.
    """

    def __init__(self, transform: tft.TFTransformOutput) -> None:
        """Loads what the Transform component wrote."""
        super().__init__()
        self._spec = transform.raw_feature_spec()
        self._loaded = tf.saved_model.load(transform.transform_savedmodel_dir)

    @property
    def spec(self) -> dict[str, Any]:
        """Raw column -> parsing spec."""
        return dict(self._spec)

    def __call__(self, raw: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """Transformed columns; raw columns that are not given are missing in every row."""
        rows = _row_count(next(iter(raw.values())))
        return self._loaded.transform_fn(
            {name: raw[name] if name in raw else _all_missing(spec, rows) for name, spec in self._spec.items()}
        )


def _row_count(column: Any) -> tf.Tensor:
    return column.dense_shape[0] if isinstance(column, tf.SparseTensor) else tf.shape(column, tf.int64)[0]


def _all_missing(spec: Any, rows: tf.Tensor) -> Any:
    if isinstance(spec, tf.io.VarLenFeature):
        none = tf.zeros([0, 2], tf.int64)
        return tf.SparseTensor(none, tf.zeros([0], spec.dtype), tf.stack([rows, tf.constant(1, tf.int64)]))
    return tf.fill(
        tf.concat([[rows], tf.constant(spec.shape, tf.int64)], 0), tf.constant(EMPTY[spec.dtype], spec.dtype)
    )
