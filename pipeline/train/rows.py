"""Transformed rows as tf.data: what models read, in batches, once.

What tf.data calls for its rows is not converted by AutoGraph, which takes longer than reading ten thousand of them; nor is
it in the exported model, where features and labels are called, too.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from pipeline.errors import DataBlocked
from pipeline.labels import Scale
from pipeline.task import Task
from pipeline.train import sizes

_MOST_ROWS, _MOST_ROWS_OF_MEDIA = 4096, 256
_MOST_BYTES = 1 << 25
_SHARDS_AT_ONCE = 16

_Function = TypeVar("_Function", bound=Callable[..., Any])


def plainly(function: _Function) -> _Function:
    """The function, not to be converted by AutoGraph: what it calls decides by `tf.cond` and `tf.where`, not by `if`."""
    return cast(_Function, tf.autograph.experimental.do_not_convert(function))


def rows(files: Sequence[str], transform: tft.TFTransformOutput, task: Task, batch_size: int) -> tf.data.Dataset:
    """Rows in file order, once: batches of ({transformed name: [rows, *shape]}, target [rows, *shape])."""
    return parsed(records(files).batch(batch_size), transform, task, batch_size)


def targets(files: Sequence[str], transform: tft.TFTransformOutput, task: Task) -> tf.data.Dataset:
    """The same with no inputs: of images, say, nothing is decoded."""
    name = task.label.transformed
    spec = {name: transform.transformed_feature_spec()[name]}

    @plainly
    def parse(serialised: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return {}, tf.cast(tf.io.parse_example(serialised, spec)[name], tf.float32)

    return records(files).batch(4096).map(parse, num_parallel_calls=2).prefetch(2)


def records(files: Sequence[str]) -> tf.data.Dataset:
    """Serialised tf.Examples in file order, once."""
    found = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(list(files))), compression_type="GZIP")
    return found.with_options(untuned())


def untuned() -> tf.data.Options:
    """Of a data set that says itself how much is done at once.

    What would tune it is a thread, for which the end of an iterator waits up to a second, now and then.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def side_by_side(shards: tf.data.Dataset, at_once: int = _SHARDS_AT_ONCE) -> tf.data.Dataset:
    """Serialised tf.Examples of several shards in turns, one of each.

    Args:
      shards: names of files.
      at_once: of how many; the next is begun where one ends.
    """
    read = shards.interleave(
        plainly(lambda shard: tf.data.TFRecordDataset(shard, compression_type="GZIP")),
        cycle_length=at_once,
        num_parallel_calls=min(2, at_once),
        deterministic=True,
    )
    return read.with_options(untuned())


def parsed(batches: tf.data.Dataset, transform: tft.TFTransformOutput, task: Task, batch_size: int) -> tf.data.Dataset:
    """Batches of serialised rows, of that size, as what models read, and targets."""
    spec = transform.transformed_feature_spec()
    names = {task.label.transformed, *(feature.transformed for feature in task.features)}
    spec = {name: parsing for name, parsing in spec.items() if name in names}

    @plainly
    def parse(serialised: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        columns = tf.io.parse_example(serialised, spec)
        inputs = {f.transformed: f.model_input(columns[f.transformed]) for f in task.features}
        return inputs, tf.cast(columns[task.label.transformed], tf.float32)

    waiting = sizes.ahead(task, batch_size)
    return batches.map(parse, num_parallel_calls=waiting).prefetch(waiting)


def measuring_batch(task: Task) -> int:
    """Rows at a time where only scores are needed: 32 MB of them, and fewer of what is no single number."""
    small = all(feature.modality in ("number", "ids") for feature in task.features)
    most = _MOST_ROWS if small else _MOST_ROWS_OF_MEDIA
    return max(1, min(most, _MOST_BYTES // sizes.read_bytes(task)))


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
