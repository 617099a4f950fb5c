"""The `run_fn` of every task: reads transformed rows, trains, exports, and proves the export."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.v1.components import FnArgs

from pipeline import tasks
from pipeline.errors import DataBlocked, MillraceError
from pipeline.export import export, predict, verify
from pipeline.labels import Binary, Label
from pipeline.models.base import inputs_of
from pipeline.strategies import strategy
from pipeline.task import Task
from pipeline.training import Adam, Training
from pipeline.transform_graph import TransformGraph

_PROOF_ROWS = 64
_CACHE_LIMIT = 1 << 28
_SHUFFLE = 100_000
_SHARDS_AT_ONCE = 16
_STEPS_PER_CALL = 20


def run_fn(fn_args: FnArgs) -> None:
    """TFX Trainer calls this.

    Args:
      fn_args: paths of examples and transform graph; `custom_config` has the task's name, its overrides and the files
        of raw rows.

    Raises:
      DataBlocked: no row to train or to evaluate on.
      MillraceError: the loss is not a number.
      ExportError: the export does not answer as the trained model.
    """
    config = fn_args.custom_config
    task = tasks.load(config["task"], config["overrides"])
    transform = tft.TFTransformOutput(fn_args.transform_output)
    keras.utils.set_random_seed(task.training.seed)
    scope = strategy(task.training.strategy)
    with scope.scope():
        model = compiled(task, label_scale(rows(fn_args.train_files, transform, task, 4096)))
    fit(model, fn_args.train_files, fn_args.eval_files, transform, task, fn_args.model_run_dir)
    graph = TransformGraph(transform)
    export(model, graph, task.features, task.label, fn_args.serving_model_dir)
    examples = _some_rows(config["raw_examples"])
    spec = {feature.name: graph.spec[feature.name] for feature in task.features}
    expected = predict(model, graph, task.features, tf.io.parse_example(examples, spec)).numpy()
    verify(fn_args.serving_model_dir, examples, expected, task.features, task.label)


def rows(files: Sequence[str], transform: tft.TFTransformOutput, task: Task, batch_size: int) -> tf.data.Dataset:
    """Transformed rows in file order, once: batches of ({transformed name: [rows, 1]}, target [rows, 1])."""
    return _parsed(_records(files).batch(batch_size), transform, task)


def _training_rows(files: Sequence[str], transform: tft.TFTransformOutput, task: Task) -> tf.data.Dataset:
    """Shuffled and repeated without an end; serialised rows are kept in memory where they are few.

    Rows come in the order of their files, which may be that of time: so shards are read side by side, and what the
    buffer shuffles is from all over the data.
    """
    shards = tf.data.Dataset.from_tensor_slices(sorted(tf.io.gfile.glob(list(files))))
    records = shards.interleave(
        lambda shard: tf.data.TFRecordDataset(shard, compression_type="GZIP"),
        cycle_length=_SHARDS_AT_ONCE,
        num_parallel_calls=1,
        deterministic=True,
    )
    if sum(tf.io.gfile.stat(file).length for file in tf.io.gfile.glob(list(files))) < _CACHE_LIMIT:
        records = records.cache()
    shuffled = records.shuffle(_SHUFFLE, seed=task.training.seed).repeat()
    return _parsed(shuffled.batch(task.training.batch_size, drop_remainder=True), transform, task)


def _records(files: Sequence[str]) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(list(files))), compression_type="GZIP")


def _parsed(batches: tf.data.Dataset, transform: tft.TFTransformOutput, task: Task) -> tf.data.Dataset:
    spec = transform.transformed_feature_spec()
    target = task.label.transformed

    def parse(serialised: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        columns = tf.io.parse_example(serialised, spec)
        return columns, tf.cast(columns.pop(target), tf.float32)

    return batches.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def label_scale(data: tf.data.Dataset, batches: int = 25) -> tuple[float, float]:
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
    return float(joined.mean()), float(joined.std()) or 1.0


def compiled(task: Task, scale: tuple[float, float]) -> keras.Model:
    """The task's model with its output, loss and optimizer.

    Args:
      task: the task.
      scale: mean and standard deviation of the label; a regression learns the standardised label and answers in the
        label's own unit.

    Returns:
      Transformed name -> [rows, 1], to [rows, 1].
    """
    inputs = inputs_of(task.features)
    logits = task.model.logits(task.features, inputs)
    if isinstance(task.label, Binary):
        output = keras.layers.Activation("sigmoid", name=task.label.output)(logits)
    else:
        output = keras.layers.Rescaling(scale[1], scale[0], name=task.label.output)(logits)
    model = keras.Model(inputs, output, name=task.name)
    model.compile(
        optimizer=_optimizer(task.training),
        loss=_loss(task.label, scale[1]),
        metrics=["binary_accuracy"] if isinstance(task.label, Binary) else ["mae"],
        steps_per_execution=_steps_per_call(_rounds(task.training)[1]),
        jit_compile=False,
    )
    return model


def _optimizer(training: Training) -> keras.optimizers.Optimizer:
    spec = training.optimizer
    if isinstance(spec, Adam):
        return keras.optimizers.Adam(spec.learning_rate)
    return keras.optimizers.SGD(spec.learning_rate, momentum=spec.momentum)


def _loss(label: Label, deviation: float) -> Any:
    """The loss; a regression's is on the error in units of the label's standard deviation."""
    if isinstance(label, Binary):
        return "binary_crossentropy"
    base = {
        "huber": keras.losses.huber,
        "mse": keras.losses.mean_squared_error,
        "mae": keras.losses.mean_absolute_error,
    }
    loss = base[getattr(label, "loss", "mse")]
    return lambda target, output: loss(target / deviation, output / deviation)


def _rounds(training: Training) -> tuple[int, int]:
    """Number of validations, and steps before each: all rounds are alike and never more than `steps` together."""
    rounds = -(-training.steps // training.validate_every)
    return rounds, training.steps // rounds


def _steps_per_call(steps: int) -> int:
    """Steps in one call of the graph: a divisor, since Keras runs whole calls only and would overshoot."""
    return max(count for count in range(1, _STEPS_PER_CALL + 1) if steps % count == 0)


def fit(
    model: keras.Model,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    transform: tft.TFTransformOutput,
    task: Task,
    log_dir: str,
) -> keras.callbacks.History:
    """Trains for the task's steps, validating on the eval split; writes TensorBoard logs to `log_dir`.

    Raises:
      MillraceError: the loss is not a number.
    """
    training = task.training
    rounds, every = _rounds(training)
    callbacks: list[keras.callbacks.Callback] = [
        keras.callbacks.TensorBoard(log_dir=log_dir, update_freq="epoch", write_graph=False),
        keras.callbacks.TerminateOnNaN(),
    ]
    if training.early_stopping:
        callbacks.append(
            keras.callbacks.EarlyStopping(patience=training.early_stopping.patience, restore_best_weights=True)
        )
    history = model.fit(
        _training_rows(train_files, transform, task),
        epochs=rounds,
        steps_per_epoch=every,
        validation_data=rows(eval_files, transform, task, 4096),
        callbacks=callbacks,
        verbose=2,
    )
    losses = history.history["loss"]
    if not np.isfinite(losses[-1]):
        raise MillraceError(
            f"task {task.name!r}: the training loss is not a number within the first {len(losses) * every} steps. "
            f"Received: learning_rate={training.optimizer.learning_rate:g}, batch_size={training.batch_size}. "
            "Next: lower it, e.g. --set training.optimizer.learning_rate=0.0001"
        )
    return history


def _some_rows(files: Sequence[str]) -> list[bytes]:
    examples = list(_records(files).take(_PROOF_ROWS).as_numpy_iterator())
    if not examples:
        raise DataBlocked("The eval split has no row. Next: check the split of the task and the size of the data.")
    return examples
