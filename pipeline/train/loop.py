"""The training loop: steps, validations, checkpoints, in that order and at the steps that the settings name."""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np

from pipeline.errors import MillraceError
from pipeline.models.base import every_trainable, inputs_of
from pipeline.task import Task
from pipeline.train import progress as progress_file
from pipeline.train.batches import Source
from pipeline.train.checkpoints import Checkpoints
from pipeline.train.logs import Logs
from pipeline.train.optimizers import begins, learning_rate_at, optimizer, phase_of
from pipeline.train.step import Losses, Step
from pipeline.train.stopping import Best
from pipeline.train.team import Team
from pipeline.train.validate import Validator
from pipeline.train.validation import Validation

_LOG = logging.getLogger(__name__)
_CALL_SECONDS = 0.5
_MOST_STEPS = 1000
_PROGRESS_SECONDS = 0.5


def scoring_model(task: Task) -> keras.Model:
    """The task's model, untrained: transformed name -> [rows, *shape], to scores [rows, units]."""
    inputs = inputs_of(task.features)
    return keras.Model(inputs, task.model.scores(task.features, inputs, task.label.units), name=task.name)


class Loop:
    """A training in this process, from its first step or a checkpoint to its last."""

    def __init__(self, task: Task, team: Team, model: keras.Model, plain: keras.Model, total: int) -> None:
        """Makes the optimizer.

        Args:
          task: what is trained.
          team: this process's part in it.
          model: is trained.
          plain: the model to validate and to end with, float32 and outside any strategy; may be the same.
          total: steps.
        """
        self.task, self.team, self.model, self.plain, self.total = task, team, model, plain, total
        self.step = 0
        self.history: list[Validation] = []
        stopping = task.training.early_stopping
        self.best = Best(stopping) if stopping else None
        with team.weights():
            self.optimizer = optimizer(task.training, task.model.phases, total)
            self.optimizer.build(every_trainable(task.model, model))
        self._sums = np.zeros(2)  # of the losses since the last validation, and how many
        self._last_loss = math.nan
        self._asked_to_end = False

    def restore(self, state: dict[str, Any], groups: dict[str, list[np.ndarray]]) -> None:
        """Takes up where a checkpoint was written."""
        variables = {"model": self.model.variables, "optimizer": self.optimizer.variables}
        for name, known in variables.items():
            for variable, value in zip(known, groups[name], strict=True):
                variable.assign(value)
        self.step = state["step"]
        self.history = [Validation(step, values) for step, values in state["history"]]
        self._sums = np.array(state["sums"])
        if self.best:
            self.best.restore(state["best"], groups["best"])
        self._copy_weights()

    def run(
        self,
        source: Source,
        losses: Losses,
        validator: Validator | None,
        logs: Logs | None,
        checkpoints: Checkpoints | None,
        progress: Path | None,
        watch: Callable[[Validation], bool] | None,
    ) -> None:
        """Trains to the end.

        Args:
          source: rows.
          losses: target and scores to the loss of each row.
          validator: of `plain`; the chief's.
          logs: the chief's.
          checkpoints: the chief's, where there are any.
          progress: folder of the progress file, or None.
          watch: sees each validation and returns True to stop.

        Raises:
          MillraceError: the loss, a gradient or a weight is not finite.
        """
        training = self.task.training
        first = self.step
        batches = self.team.batches(lambda: source.batches(first, self.total, self.team.share))
        pace = _Pace(training.batch_size, training.steps_per_execution)
        steps: Any = None
        entered, ended = -1, bool(self.best and self.best.over)
        previous = _on_sigterm(self._end)
        try:
            while self.step < self.total and not ended:
                phase = phase_of(self.task.model.phases, self.step, self.total)
                if phase != entered:
                    self.task.model.enter(self.model, phase)
                    entered, steps = phase, self._compile(losses)
                count = self.team.agree(min(pace.count, self._next_stop() - self.step))
                began = time.perf_counter()
                self._take(self.team.run(steps, batches, count), count)
                pace.note(count, time.perf_counter() - began)
                self._report(pace, progress)
                if self._validates_now():
                    values = {"loss": float(self._sums[0] / self._sums[1]), "examples_per_second": pace.rows_a_second}
                    ended = bool(self.team.agree(self._validate(values, validator, logs, watch)))
                    self._sums = np.zeros(2)
                if checkpoints and (self._saves_now() or self._asked_to_end):
                    self._save(checkpoints)
                if self._asked_to_end:
                    break
        finally:
            _restore_sigterm(previous)
        if self._asked_to_end:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        if self.best and self.best.over and self.team.chief:
            metric = self.best.metric
            _LOG.info(
                "stopped early at step %d of %d: %s was best at step %d, whose weights are taken",
                *(self.step, self.total, metric, self.best.step),
            )
        if self.best and self.best.weights:
            for weight, value in zip(self.plain.weights, self.best.weights, strict=True):
                weight.assign(value)

    def _compile(self, losses: Losses) -> Any:
        training = self.task.training
        step = Step(
            self.model,
            self.optimizer,
            losses,
            precise=training.precision != "mixed_float16",
            jit=training.jit_compile,
        )
        servers = self.team.coordinator.strategy if self.team.coordinator else None
        return step.steps(None if servers else self.team.strategy, servers)

    def _next_stop(self) -> int:
        """The next step after which there is something to do, or another phase begins."""
        training = self.task.training
        periods = [training.validate_every, training.checkpoint_every]
        stops = [(self.step // period + 1) * period for period in periods if period]
        stops += [begin for begin in begins(self.task.model.phases, self.total) if begin > self.step]
        return min(self.total, *stops)

    def _validates_now(self) -> bool:
        return self.step == self.total or self.step % self.task.training.validate_every == 0

    def _saves_now(self) -> bool:
        every = self.task.training.checkpoint_every
        return self._validates_now() or bool(every and self.step % every == 0)

    def _take(self, result: np.ndarray, asked: int) -> None:
        """Counts finished steps.

        Raises:
          MillraceError: one was not finite.
        """
        total, done, last = result
        self.step += int(done)
        self._sums += (total, done)
        if done:
            self._last_loss = float(last)
        if int(done) < asked:
            raise self._not_finite("loss or a gradient")

    def _not_finite(self, what: str) -> MillraceError:
        training = self.task.training
        rate = learning_rate_at(training, self.task.model.phases, self.step, self.total)
        lower = f"--set training.optimizer.learning_rate={rate / 10:g}"
        return MillraceError(
            f"task {self.task.name!r}: the {what} is not a number at step {self.step + 1:,} of {self.total:,}. "
            f"Received: learning_rate={rate:g}, batch_size={training.batch_size}, "
            f"loss of the step before: {self._last_loss:g}. "
            f"Next: a lower learning rate, such as {lower}, or shorter gradients, --set training.optimizer.clip_norm=1; "
            "if it is so from the first step on, look for values that are not finite in the data"
        )

    def _validate(
        self,
        values: dict[str, float],
        validator: Validator | None,
        logs: Logs | None,
        watch: Callable[[Validation], bool] | None,
    ) -> bool:
        """Measures, logs and remembers the best; whether training is to end. Only the chief does."""
        if validator is None:
            return False
        self._copy_weights()
        if not all(np.isfinite(weight.numpy()).all() for weight in self.plain.weights if "float" in weight.dtype):
            raise self._not_finite("weight of some layer")
        rate = learning_rate_at(self.task.training, self.task.model.phases, self.step - 1, self.total)
        speed = values.pop("examples_per_second")
        found = Validation(self.step, {**values, **validator(), "learning_rate": rate})
        self.history.append(found)
        shown = ", ".join(f"{name} {value:.5g}" for name, value in found.values.items())
        _LOG.info("step %d of %d: %s", self.step, self.total, shown)
        if logs:
            logs.scalars(self.step, {**found.values, "examples_per_second": speed})
            logs.weights(self.step, self.plain)
            logs.flush()
        over = self.best.sees(found, self.plain) if self.best else False
        return bool(watch and watch(found)) or over

    def _copy_weights(self) -> None:
        if self.plain is not self.model:
            for weight, trained in zip(self.plain.weights, self.model.weights, strict=True):
                weight.assign(np.asarray(trained.value))

    def _save(self, checkpoints: Checkpoints) -> None:
        state = {
            "step": self.step,
            "history": [[validation.step, validation.values] for validation in self.history],
            "sums": self._sums.tolist(),
            "best": self.best.state() if self.best else None,
        }
        groups = {
            "model": [np.asarray(variable.value) for variable in self.model.variables],
            "optimizer": [np.asarray(variable.value) for variable in self.optimizer.variables],
            "best": self.best.weights if self.best else [],
        }
        checkpoints.save(state, groups)

    def _report(self, pace: "_Pace", folder: Path | None) -> None:
        if folder and pace.due():
            left = (self.total - self.step) * self.task.training.batch_size / pace.rows_a_second
            speed = pace.rows_a_second
            progress_file.write(
                folder, step=self.step, steps=self.total, loss=self._last_loss, examples_per_second=speed, eta=left
            )

    def _end(self, number: int, frame: FrameType | None) -> None:
        """A scheduler's stop: after the steps in hand, a checkpoint is written."""
        self._asked_to_end = True


class _Pace:
    """How many steps make a call, and how fast they are."""

    def __init__(self, batch_size: int, fixed: int | None) -> None:
        self._batch_size, self._fixed = batch_size, fixed
        self.count = fixed or 1
        self._seconds = 0.0
        self._steps = 0
        self._told = 0.0

    def note(self, count: int, seconds: float) -> None:
        """The first call also compiles, and is not counted."""
        if self._seconds == 0.0 and self._steps == 0:
            self._steps = -1
            self.count = self._fixed or 8
            return
        self._steps, self._seconds = max(self._steps, 0) + count, self._seconds + seconds
        if not self._fixed:
            self.count = max(1, min(_MOST_STEPS, int(_CALL_SECONDS * self._steps / max(self._seconds, 1e-9))))

    @property
    def rows_a_second(self) -> float:
        """Of all calls but the first; 1 where there was no other."""
        return self._steps * self._batch_size / self._seconds if self._seconds > 0 else 1.0

    def due(self) -> bool:
        """Whether it is time to tell of the progress."""
        now = time.monotonic()
        if self._seconds > 0 and now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            return True
        return False


def _on_sigterm(handler: Callable[[int, FrameType | None], None]) -> Any:
    """Sets the handler, where the interpreter lets this thread; gives the one before."""
    return signal.signal(signal.SIGTERM, handler) if threading.current_thread() is threading.main_thread() else None


def _restore_sigterm(previous: Any) -> None:
    if previous is not None:
        signal.signal(signal.SIGTERM, previous)
