"""The search of the Tuner: keras-tuner says what to try, `pipeline.train.fit` tries it, a journal remembers.

keras-tuner's own files are not what a search goes on from: they are written in place, and a process that dies in the
middle leaves half of one. They go to TFX's temporary folder.
"""

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import tensorflow_transform as tft
from keras_tuner.engine import base_tuner
from keras_tuner.engine import trial as trial_module
from keras_tuner.errors import FailedTrialError, FatalError
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle, RandomSearchOracle
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from components.tuner.journal import Journal, Trial
from pipeline import mirrored, tasks
from pipeline.errors import DataBlocked, MillraceError, UsageError, nearest, summarise
from pipeline.train.fit import Data, fit
from pipeline.train.tuned import search_of, values_of
from pipeline.tuning import Choice, IntRange, LogUniform, Space, Tuning, override

_LOG = logging.getLogger(__name__)
_LENGTHS = 9
"""Of hyperband: its longest trials are as many times as long as its shortest, in factors of 3."""
_LENGTH = "tuner/epochs"


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """TFX's Tuner calls this.

    Args:
      fn_args: paths of transformed rows and transform graph; `custom_config` has the task's name, its overrides, the
        digest of code and settings, and the folder of the journals.

    Raises:
      UsageError: the task has no search, or some value of it does not fit the task.
    """
    config = fn_args.custom_config
    name, overrides = config["task"], list(config["overrides"])
    tuning = search_of(name, overrides)
    data = Data(fn_args.train_files, fn_args.eval_files, tft.TFTransformOutput(fn_args.transform_graph_path))
    journal = Journal(
        mirrored.local(config["folder"]),
        *(fn_args.train_files, fn_args.eval_files, fn_args.transform_graph_path, config["code"]),
    )
    return TunerFnResult(Search(name, overrides, tuning, data, journal, fn_args.working_dir), {})


class Search(base_tuner.BaseTuner):
    """A keras-tuner whose trials are trainings of the task."""

    def __init__(
        self, name: str, overrides: Sequence[str], tuning: Tuning, data: Data, journal: Journal, folder: str
    ) -> None:
        """Prepares a search.

        Args:
          name: of the task.
          overrides: `--set`, for all trials.
          tuning: what to search for.
          data: to train and evaluate on.
          journal: of finished trials.
          folder: for keras-tuner's own files.
        """
        super().__init__(oracle_of(tuning), directory=folder, project_name="search", overwrite=True)
        self.oracle.verbose = 0
        self._name = name
        self._overrides = tuple(overrides)
        self._tuning = tuning
        self._data = data
        self._journal = journal
        self._trials: list[tuple[Trial, dict[str, Any], bool]] = []

    def run_trial(self, trial: trial_module.Trial, *args: Any, **kwargs: Any) -> dict[str, float]:
        """See BaseTuner."""
        values = values_of(trial.hyperparameters.get_config())
        settings = [override(path, value) for path, value in values.items()]
        if steps := self._steps(trial):
            settings += [override("training.steps", steps), override("training.epochs", None)]
        known = self._journal.find(settings)
        done = known or self._tried(settings)
        self._trials.append((done, values, known is not None))
        _LOG.info("trial %d of %d at the most: %s", len(self._trials), self._tuning.trials, done)
        if done.value is None:
            raise FailedTrialError(done.reason)
        return {self._tuning.objective: done.value}

    def _steps(self, trial: trial_module.Trial) -> int | None:
        """How long a trial is; None: as the task or the search says."""
        length = trial.hyperparameters.values.get(_LENGTH)
        steps = self._tuning.steps
        return steps if length is None or steps is None else math.ceil(steps * length / _LENGTHS)

    def _tried(self, settings: Sequence[str]) -> Trial:
        """Trains once, and writes down how it went; what may be another time otherwise is not written down."""
        began = time.monotonic()
        kept = True
        try:
            value, step, metrics = self._trained(settings)
            done = Trial(tuple(settings), value, step, metrics, round(time.monotonic() - began, 3))
        except FatalError:
            raise
        except DataBlocked as error:
            raise FatalError(str(error)) from error
        except Exception as error:
            kept = isinstance(error, MillraceError)
            reason = str(error) if kept else f"{type(error).__name__}: {error}"
            done = Trial(tuple(settings), None, seconds=round(time.monotonic() - began, 3), reason=reason[:1000])
        finally:
            keras.backend.clear_session()
        if kept:
            self._journal.add(done)
        return done

    def _trained(self, settings: Sequence[str]) -> tuple[float, int, dict[str, float]]:
        """The best value of the objective, its step, and what else was measured then."""
        task = tasks.load(self._name, [*self._overrides, *settings])
        fitted = fit(task, self._data, log_dir=str(self._journal.folder(settings) / "logs"))
        objective, better = self._tuning.objective, min if self._tuning.better == "min" else max
        known = fitted.history[-1].values if fitted.history else {}
        if objective not in known:
            error = UsageError(f"tuning: objective: no metric {objective!r}.{nearest(objective, known)}")
            raise FatalError(str(error)) from error
        finite = [found for found in fitted.history if math.isfinite(found.values[objective])]
        if not finite:
            raise MillraceError(f"{objective} is not a number at any of {len(fitted.history)} validations")
        best = better(finite, key=lambda found: found.values[objective])
        return float(best.values[objective]), best.step, {name: float(value) for name, value in best.values.items()}

    def on_search_end(self) -> None:
        """See BaseTuner.

        Raises:
          MillraceError: no trial ended well.
        """
        if all(trial.value is None for trial, _, _ in self._trials):
            reasons = list(dict.fromkeys(trial.reason for trial, _, _ in self._trials))
            raise MillraceError(f"tuning: all {len(self._trials)} trials failed:\n{summarise(reasons)}")

    def report(self) -> dict[str, Any]:
        """The search as run.json has it: `best` values and their `value` of the `objective`, and all `trials`."""
        better = min if self._tuning.better == "min" else max
        ended = [(trial.value, values) for trial, values, _ in self._trials if trial.value is not None]
        value, best = better(ended, key=lambda pair: pair[0])
        return {
            "best": best,
            "objective": self._tuning.objective,
            "direction": self._tuning.better,
            "value": value,
            "algorithm": self._tuning.algorithm,
            "trials": [
                {
                    "state": "failed" if trial.value is None else "done",
                    "value": trial.value,
                    "values": values,
                    "step": trial.step,
                    "seconds": trial.seconds,
                    "reused": reused,
                    "reason": trial.reason,
                }
                for trial, values, reused in self._trials
            ],
        }


def oracle_of(tuning: Tuning) -> keras_tuner.Oracle:
    """keras-tuner's algorithm for a search; a trial that failed is not tried again, and the search goes on."""
    space = keras_tuner.HyperParameters()
    for path, where in tuning.search.items():
        _declare(space, path, where)
    common: Mapping[str, Any] = {
        "objective": keras_tuner.Objective(tuning.objective, tuning.better),
        "hyperparameters": space,
        "seed": tuning.seed,
        "max_consecutive_failed_trials": tuning.trials + 1,
    }
    if tuning.algorithm == "hyperband":
        oracle = HyperbandOracle(max_epochs=_LENGTHS, **common)
        # It has no such parameter of its own; TFX's executor reads it, too.
        oracle.max_trials = tuning.trials
        return oracle
    kind = BayesianOptimizationOracle if tuning.algorithm == "bayesian" else RandomSearchOracle
    return kind(max_trials=tuning.trials, **common)


def _declare(space: keras_tuner.HyperParameters, path: str, where: Space) -> None:
    """A setting as keras-tuner knows it: its choices are numbers or texts, so that the rest becomes JSON."""
    if isinstance(where, IntRange):
        space.Int(path, where.low, where.examples[1], step=where.step)
    elif isinstance(where, Choice):
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in where.values)
        whole = all(isinstance(value, int) for value in where.values)
        values = [value if whole else float(value) for value in where.values] if numbers else _texts(where)
        space.Choice(path, values)
    else:
        space.Float(path, where.low, where.high, sampling="log" if isinstance(where, LogUniform) else "linear")


def _texts(where: Choice) -> list[str]:
    return [json.dumps(value) for value in where.values]
