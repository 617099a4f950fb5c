"""The first step: what `local_runner.py` checks in a second before anything heavy starts, and a folder for the run."""

from datetime import UTC, datetime
from typing import Any

from pipeline import tasks
from pipeline.config import RunConfig
from pipeline.errors import MillraceError
from pipeline.kubeflow.node import state_of
from pipeline.kubeflow.outcome import place
from pipeline.remote.mirror import Mirror
from pipeline.runners import account, remote_root
from pipeline.runners.local import preflight
from pipeline.task import Task

NODE = "start"


def run(config: RunConfig, job: str, origin: dict[str, Any]) -> str:
    """Makes the run of a job, once however often the step is repeated, and checks what can be.

    Args:
      config: of the run; with a mirror.
      job: its id.
      origin: about the job, for the record.

    Returns:
      The run's id.

    Raises:
      UsageError: a setting or a path is wrong.
      DataBlocked: the data's header or size can't do.
    """
    mirror = Mirror.of(config)
    run_id = run_of(mirror, job) or _new(mirror, config, job, origin)
    state = {"node": NODE, "state": "done", "exit_code": 0, "error": None, "seconds": 0.0}
    try:
        remote_root.known(config)
        preflight(config)
    except MillraceError as error:
        failed = {"state": "failed", "exit_code": int(error.exit_code), "error": str(error)}
        mirror.write(state_of(run_id, NODE), state | failed)
        raise
    mirror.write(state_of(run_id, NODE), state)
    return run_id


def run_of(mirror: Mirror, job: str) -> str | None:
    """The run of a job; None where there is none yet."""
    found = mirror.read(place(job))
    return found["run_id"] if found else None


def task_of(config: RunConfig) -> Task:
    """The task of a run; where a setting of the job can't be, as in its file: the step `start` says what is wrong."""
    try:
        return tasks.load(config.task, config.overrides)
    except MillraceError:
        return tasks.load(config.task)


def _new(mirror: Mirror, config: RunConfig, job: str, origin: dict[str, Any]) -> str:
    """A run's id is the moment of its start, as on a laptop; two of one second get different ones."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    task = task_of(config)
    for attempt in range(1000):
        run_id = f"{stamp}-{attempt}" if attempt else stamp
        record = account.begun(config, task, run_id) | {"job": {"id": job, **origin}}
        record["reason"] = "its exit handler never ran"
        if mirror.write(f"runs/{run_id}/run.json", record, create=True):
            if mirror.write(place(job), {"run_id": run_id}, create=True):
                return run_id
            mirror.drop(f"runs/{run_id}/run.json")  # another attempt of this step was first
            return str(run_of(mirror, job))
    raise MillraceError(f"root: {mirror.url} has too many runs of this second")
