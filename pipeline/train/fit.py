"""Fits a task's model to transformed rows, under the strategy that its settings name.

    fitted = fit(task, Data(train_files, eval_files, transform), log_dir="logs", checkpoints=Path("training"))

With a folder for checkpoints, a training that was cut off continues by itself from the newest one, and ends as an unbroken
one would have: on the CPU, with one device, bit for bit. Without early stopping the model has the weights of the last
step, with it those of the best validation.
"""

import hashlib
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from pipeline import fingerprint, mirrored
from pipeline.labels import Scale
from pipeline.task import Task
from pipeline.train import batches
from pipeline.train.checkpoints import Checkpoints, digest_of
from pipeline.train.logs import Logs
from pipeline.train.loop import Loop, scoring_model
from pipeline.train.rows import label_scale, targets
from pipeline.train.team import Team, team_of
from pipeline.train.validate import Validator
from pipeline.train.validation import Validation
from pipeline.train.weighting import weighted
from pipeline.training.spec import check_metric

_NOT_OF_THE_RESULT = ("checkpoint_every", "checkpoints_kept", "steps_per_execution")

__all__ = ["Data", "Fitted", "Validation", "fit", "fit_here"]


@dataclass(frozen=True)
class Data:
    """Transformed rows.

    Attributes:
      train_files: patterns of files.
      eval_files: likewise.
      transform: of Transform.
    """

    train_files: Sequence[str]
    eval_files: Sequence[str]
    transform: tft.TFTransformOutput


@dataclass(frozen=True)
class Fitted:
    """A trained model.

    Attributes:
      model: transformed name -> scores; float32, outside any strategy.
      scale: of the label in training.
      history: all validations.
      best_step: the step whose weights it has.
    """

    model: keras.Model
    scale: Scale
    history: list[Validation]
    best_step: int


def fit(
    task: Task,
    data: Data,
    *,
    log_dir: str,
    checkpoints: Path | None = None,
    start: Callable[[keras.Model], None] | None = None,
    watch: Callable[[Validation], bool] | None = None,
) -> Fitted:
    """Trains.

    Args:
      task: what is trained, and how.
      data: what it is trained and validated on.
      log_dir: for TensorBoard.
      checkpoints: folder of this training's checkpoints, and of its `progress.json`; None: it can't be continued.
      start: sets initial weights.
      watch: sees each validation, returns True to stop.

    Raises:
      DataBlocked: no row to train or to validate on.
      TaskError: early stopping goes by a metric that the label does not have, or classes are weighted that are none.
      MillraceError: the loss, a gradient or a weight is not finite.
    """
    from pipeline.train import together  # it imports this module

    if together.needed(task.training):
        return together.fit(task, data, log_dir=log_dir, checkpoints=checkpoints, start=start, watch=watch)
    team = team_of(task.training)
    return fit_here(task, data, team, log_dir=log_dir, checkpoints=checkpoints, start=start, watch=watch)


def fit_here(
    task: Task,
    data: Data,
    team: Team,
    *,
    log_dir: str,
    checkpoints: Path | None,
    start: Callable[[keras.Model], None] | None,
    watch: Callable[[Validation], bool] | None,
) -> Fitted:
    """`fit` in this process, which has the part in the training that `team` says. Only the chief's result is one."""
    training = task.training
    check(task)
    if training.deterministic:
        tf.config.experimental.enable_op_determinism()
    with ThreadPoolExecutor(1, thread_name_prefix="rows") as reader:
        reading = reader.submit(_read, task, data)
        task.model.prepare()
        model, plain = _models(task, team, start)
        scale, source = reading.result()
    total = training.length(source.rows if training.epochs is not None else None)
    _say_if_large(task, source)
    loop = Loop(task, team, model, plain, total)
    digest = digest_of([np.asarray(weight.value) for weight in model.weights])
    team.check_same("model", int(digest, 16))
    kept = _checkpoints(task, data, digest, checkpoints)
    found = kept.newest(clear=team.chief) if kept else None
    team.check_same("checkpoint", found.state["step"] if found else 0)
    if found:
        loop.restore(found.state, found.groups)
    losses = weighted(task, scale, _all_targets(source, data, task))
    if not team.chief:
        loop.run(source, losses, None, None, None, None, watch)
        return Fitted(loop.plain, scale, loop.history, loop.step)
    validator = Validator(loop.plain, task, scale, data.eval_files, data.transform)
    with Logs(log_dir, task) as logs:
        for validation in loop.history:
            logs.scalars(validation.step, validation.values)
        loop.run(source, losses, validator, logs, kept, checkpoints, watch)
        logs.graph(validator.graph)
    return Fitted(loop.plain, scale, loop.history, loop.best.step if loop.best else loop.step)


def _read(task: Task, data: Data) -> tuple[Scale, batches.Source]:
    """What is known of the rows before the first step; it waits for files while the model is made."""
    scale = label_scale(targets(data.train_files, data.transform, task))
    return scale, batches.source(data.train_files, data.transform, task)


def check(task: Task) -> None:
    """Raises TaskError where the training's settings do not fit the label."""
    stopping = task.training.early_stopping
    if stopping and stopping.metric != "val_loss":
        check_metric(stopping, frozenset(task.label.metrics()))
    if task.training.class_weights is not None:
        task.label.class_of(tf.zeros([1, *task.label.shape]))


def _models(task: Task, team: Team, start: Callable[[keras.Model], None] | None) -> tuple[keras.Model, keras.Model]:
    """The model that is trained, and the one that is validated and goes on: float32, on this process's device."""
    precision = task.training.precision
    keras.utils.set_random_seed(task.training.seed)
    plain = scoring_model(task)
    if start:
        start(plain)
    if precision == "float32" and not team.coordinator:
        return plain, plain
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        keras.utils.set_random_seed(task.training.seed)
        with team.weights():
            model = scoring_model(task)
    finally:
        keras.config.set_dtype_policy(before)
    for weight, value in zip(model.weights, plain.weights, strict=True):
        weight.assign(np.asarray(value.value))
    return model, plain


def _all_targets(source: batches.Source, data: Data, task: Task) -> np.ndarray | None:
    """The targets of the train split, or of its first rows where it is not in memory; None where nobody asks."""
    if task.training.class_weights != "balanced":
        return None
    if isinstance(source, batches.Memory):
        return np.asarray(source.target)
    return np.concatenate(
        [target for _, target in targets(data.train_files, data.transform, task).take(250).as_numpy_iterator()]
    )


def _checkpoints(task: Task, data: Data, digest: str, folder: Path | None) -> Checkpoints | None:
    """With what tells this training from another."""
    if folder is None:
        return None
    files = sorted(tf.io.gfile.glob([*data.train_files, *data.eval_files]))
    # By the root's names: a bucket's files are in another folder on each machine.
    listed = [(mirrored.named(file), tf.io.gfile.stat(file).length) for file in files]
    training = {k: v for k, v in vars(task.training).items() if k not in _NOT_OF_THE_RESULT}
    kinds = sorted({type(part).__module__ for part in (task.model, task.label, *task.features)})
    identity = {
        "settings": _digest((task.name, task.features, task.label, task.model, training)),
        "data": _digest(listed),
        "code": fingerprint.of("pipeline.train.fit", *[kind for kind in kinds if kind.startswith("pipeline.")]),
        "initial weights": digest,
    }
    return Checkpoints(folder, identity, task.training.checkpoints_kept)


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _say_if_large(task: Task, source: batches.Source) -> None:
    """A batch larger than the data is no error: it holds rows several times."""
    if isinstance(source, batches.Memory) and source.rows < task.training.batch_size:
        sys.stderr.write(
            f"task {task.name!r}: a batch of {task.training.batch_size:,} rows is larger than the train split of "
            f"{source.rows:,}: it holds rows several times. Next: --set training.batch_size={source.rows}\n"
        )
