"""Transformed rows as tf.data: what models read, in batches, once, in file order."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from pipeline.errors import DataBlocked
from pipeline.labels import Scale
from pipeline.task import Task

_SMALL_ROW = 1000


def rows(files: Sequence[str], transform: tft.TFTransformOutput, task: Task, batch_size: int) -> tf.data.Dataset:
    """Rows in file order, once: batches of ({transformed name: [rows, *shape]}, target [rows, *shape])."""
    return parsed(records(files).batch(batch_size), transform, task)


def targets(files: Sequence[str], transform: tft.TFTransformOutput, task: Task) -> tf.data.Dataset:
    """The same with no inputs: of images, say, nothing is decoded."""
    name = task.label.transformed
    spec = {name: transform.transformed_feature_spec()[name]}

    def parse(serialised: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return {}, tf.cast(tf.io.parse_example(serialised, spec)[name], tf.float32)

    return records(files).batch(4096).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def records(files: Sequence[str]) -> tf.data.Dataset:
    """Serialised tf.Examples in file order, once."""
    return tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(list(files))), compression_type="GZIP")


def parsed(batches: tf.data.Dataset, transform: tft.TFTransformOutput, task: Task) -> tf.data.Dataset:
    """Batches of serialised rows as what models read, and targets."""
    spec = transform.transformed_feature_spec()
    names = {task.label.transformed, *(feature.transformed for feature in task.features)}
    spec = {name: parsing for name, parsing in spec.items() if name in names}

    def parse(serialised: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        columns = tf.io.parse_example(serialised, spec)
        inputs = {f.transformed: f.model_input(columns[f.transformed]) for f in task.features}
        return inputs, tf.cast(columns[task.label.transformed], tf.float32)

    return batches.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def measuring_batch(task: Task) -> int:
    """Rows at a time where only scores are needed: fewer of what is large."""
    small = sum(int(np.prod(feature.shape)) for feature in task.features) < _SMALL_ROW
    return 4096 if small and all(feature.modality in ("number", "ids") for feature in task.features) else 256


def label_scale(data: tf.data.Dataset, batches: int = 25) -> Scale:
    """Mean and standard deviation of the label over the first batches of rows.

    Raises:
      DataBlocked: there is no row, or a row without a label.
    """
    values = [target.numpy().ravel() for _, target in data.take(batches)]
    if not values or not sum(map(len, values)):
        raise DataBlocked("The train split has no row. Next: check the split of the task and the size of the data.")
    joined = np.concatenate(values)
    missing = int(np.sum(~np.isfinite(joined)))
    if missing:
        raise DataBlocked(
            f"The label is missing or not finite in {missing:,} of {len(joined):,} rows of the train split. "
            "Next: mend the data, or let the schema require it: value_count { min: 1 }"
        )
    return Scale(float(joined.mean()), float(joined.std()) or 1.0)
