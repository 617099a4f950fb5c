"""`fit` under the strategies that need other processes: this one starts and watches them, and has the result.

Without TF_CONFIG all of them run on this machine. With it, this process starts the chief of that cluster, and the others
are started by `millrace worker --root … --task …` on the machines that the cluster names; they find the job at

    <root>/<task>/training/job.json

as long as the training goes on, on storage that all machines share; where the root is in a bucket, `published` does what
a shared folder would. So every process of every strategy is started and watched in one way, and what the pipeline goes on
with is a plain model in any case.
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline import mirrored, strategies
from pipeline.errors import MillraceError
from pipeline.labels import Scale
from pipeline.task import Task
from pipeline.train import cluster as clusters
from pipeline.train import job as jobs
from pipeline.train import published
from pipeline.train.cluster import Cluster, Member
from pipeline.train.crew import Crew
from pipeline.train.fit import Data, Fitted, Validation
from pipeline.train.job import Job
from pipeline.train.loop import scoring_model
from pipeline.training import Training

_WORKERS = 2


def needed(training: Training) -> bool:
    """Whether a training has processes of its own."""
    name = training.strategy
    return name in strategies.OF_PROCESSES or strategies.wants_logical_cpus(name, training.workers)


def fit(
    task: Task,
    data: Data,
    *,
    log_dir: str,
    checkpoints: Path | None,
    start: Callable[[keras.Model], None] | None,
    watch: Callable[[Validation], bool] | None,
) -> Fitted:
    """See `pipeline.train.fit.fit`.

    Raises:
      UsageError: the cluster that TF_CONFIG describes can't be had.
      MillraceError: what a process had to say, or that one was lost.
    """
    cluster, members, everywhere = _processes(task.training)
    clusters.check_ports(cluster, members)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="millrace-training-")))
        home = published.home_of(checkpoints) if everywhere else None
        shared = everywhere and home is None
        if shared:
            folder = stack.enter_context(_shared(checkpoints))
        keras.utils.set_random_seed(task.training.seed)
        model = scoring_model(task)
        if start:
            start(model)
            save(model, folder / "start.npz")
        job = Job(
            task=task,
            train_files=tuple(data.train_files),
            eval_files=tuple(data.eval_files),
            transform=os.path.dirname(data.transform.transform_savedmodel_dir),
            log_dir=log_dir,
            checkpoints=str(checkpoints) if checkpoints else None,
            start=str(folder / "start.npz") if start else None,
            result=str(folder / "result.npz"),
            stand_ins=mirrored.stand_ins(),
        )
        file = folder / jobs.FILE
        jobs.write(job, file)
        if shared:
            for left in (folder / "start.npz", folder / "result.npz", file):
                stack.callback(left.unlink, missing_ok=True)
        _say(f"strategy {task.training.strategy}: {', '.join(map(str, cluster.members))}")
        if home:
            others = [member for member in cluster.members if member not in members]
            stack.enter_context(published.call(job, home, others))
        answers = _Answers(watch)
        with _orderly(), Crew(task.training.strategy, cluster, members, file) as crew:
            crew.run(answers)
        if answers.done is None:
            raise MillraceError("the chief ended without a result; this is a defect of Millrace")
        load(model, Path(job.result))
        return Fitted(
            model=model,
            scale=Scale(*answers.done["scale"]),
            history=answers.history,
            best_step=answers.done["best_step"],
        )


class _Answers:
    """What the chief is told, and what it has told."""

    def __init__(self, watch: Callable[[Validation], bool] | None) -> None:
        self._watch = watch
        self.history: list[Validation] = []
        self.done: dict[str, Any] | None = None

    def __call__(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if "done" in message:
            self.done = message["done"]
            self.history = [Validation(step, values) for step, values in message["done"]["history"]]
            return None
        stop = bool(self._watch and self._watch(Validation(message["step"], message["values"])))
        return {"stop": stop}


def _processes(training: Training) -> tuple[Cluster, tuple[Member, ...], bool]:
    """All processes, those to be started here, and whether others are started elsewhere."""
    name = training.strategy
    if name not in strategies.OF_PROCESSES:
        alone = clusters.on_this_machine("multi_worker", 1, 0)
        return alone, alone.members, False
    given = clusters.given(name)
    if given is None:
        here = clusters.on_this_machine(name, training.workers or _WORKERS, training.servers)
        return here, here.members, False
    clusters.check_role(name, *given, worker=False)
    return given[0], (given[1],), True


@contextlib.contextmanager
def _shared(checkpoints: Path | None) -> Iterator[Path]:
    if checkpoints is None:
        raise MillraceError("a training with TF_CONFIG needs a folder that all machines share: expected checkpoints=…")
    checkpoints.mkdir(parents=True, exist_ok=True)
    (checkpoints / jobs.FILE).unlink(missing_ok=True)
    yield checkpoints


@contextlib.contextmanager
def _orderly() -> Iterator[None]:
    """SIGTERM is an exception meanwhile: the processes are ended, and the folder is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def save(model: keras.Model, path: Path) -> None:
    """Writes a model's weights, in its order."""
    np.savez(path, *[np.asarray(variable) for variable in model.weights])


def load(model: keras.Model, path: Path) -> None:
    """Gives a model the weights that `save` has written."""
    with np.load(path, allow_pickle=False) as arrays:
        model.set_weights([arrays[f"arr_{number}"] for number in range(len(arrays.files))])


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
