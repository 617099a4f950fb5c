"""Trains as a job file says and writes what came out: a process for `test_resume` to have killed.

`arguments`, a global, are the job's file, the file for the result, and at which of its moments the process kills itself: -1
is none. Moments are those between two calls of the graph, and those in the middle of writing a checkpoint. A call itself
leaves nothing behind: being killed in it is being killed before it.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_transform as tft

from pipeline.train import job as jobs
from pipeline.train.fit import Data, fit
from pipeline.train.team import Team

file, out, kill_at = globals()["arguments"]
moments = 0


def dying(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, before which the process may end."""

    def call(*args: Any, **kwargs: Any) -> Any:
        global moments
        if moments == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)
        moments += 1
        return function(*args, **kwargs)

    return call


Team.run = dying(Team.run)  # type: ignore[method-assign]
os.fsync = dying(os.fsync)
job = jobs.read(Path(file))
fitted = fit(
    job.task,
    Data(job.train_files, job.eval_files, tft.TFTransformOutput(job.transform)),
    log_dir=job.log_dir,
    checkpoints=Path(str(job.checkpoints)),
)
history = json.dumps([[validation.step, validation.values] for validation in fitted.history])
np.savez(out, *fitted.model.get_weights(), history=np.array([fitted.best_step, history]))
Path(out).with_suffix(".moments").write_text(str(moments))
