"""Runs a container's command: its driver first where the backend has one, and again as often as its task may retry."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute import artifacts, environment, executor_input, placeholders, processes
from pipeline.kubeflow.execute.board import Board
from pipeline.kubeflow.execute.failure import TaskFailed
from pipeline.kubeflow.execute.graphs import Path as TaskPath
from pipeline.kubeflow.execute.settings import LONGEST_WAIT, Settings

_INPUT = "executor_input.json"
_LOG = "log.txt"


class Stopped(Exception):
    """The run was interrupted."""


@dataclass(frozen=True)
class Container:
    """A container to run.

    Attributes:
      path: of the task.
      name: of the task.
      spec: its command and variables.
      component: its interface.
      kubernetes: its settings of the platform document.
      given: the ExecutorInput.
      folder: its own.
      retry: how often it is tried again.
      drivers: its driver is run.
      legacy: parameters are of schema 2.0.
      job: what `{{$.pipeline_job_uuid}}` and the like stand for in its command, where the backend fills them in there.
      own: variables that Millrace adds.
    """

    path: TaskPath
    name: str
    spec: pb.PipelineDeploymentConfig.PipelineContainerSpec
    component: pb.ComponentSpec
    kubernetes: Mapping[str, Any]
    given: pb.ExecutorInput
    folder: Path
    retry: pb.PipelineTaskSpec.RetryPolicy
    drivers: bool
    legacy: bool
    job: Mapping[str, str]
    own: Mapping[str, str]

    @property
    def log(self) -> Path:
        """All output of all attempts."""
        return self.folder / _LOG


async def run(
    container: Container, settings: Settings, ledger: artifacts.Ledger, board: Board, stop: asyncio.Event
) -> artifacts.Outputs:
    """Runs a container to its end.

    Returns:
      What it gave.

    Raises:
      TaskFailed: its last attempt did.
      Stopped: the run was interrupted.
    """
    attempts = 1 + container.retry.max_retry_count
    container.folder.mkdir(parents=True, exist_ok=True)
    board.begin(container.path, str(container.log))
    for attempt in range(1, attempts + 1):
        if attempt > 1:
            board.again(container.path, "retrying", attempt, attempts)
            await _wait(_seconds(container.retry, attempt), settings, stop)
            board.again(container.path, "running", attempt, attempts)
            processes.note(container.log, f"attempt {attempt} of {attempts}")
        try:
            return await _attempt(container, attempt, settings, ledger, board, stop)
        except TaskFailed as error:
            processes.note(container.log, str(error))
            if stop.is_set():
                raise Stopped from error
            if attempt == attempts:
                raise
    raise AssertionError("unreachable")


async def _attempt(
    container: Container, attempt: int, settings: Settings, ledger: artifacts.Ledger, board: Board, stop: asyncio.Event
) -> artifacts.Outputs:
    """One attempt, with nothing left of an earlier one but what it has written to the artifacts' own place."""
    variables = environment.build(container.spec, container.kubernetes, settings.environment, container.own)
    given = pb.ExecutorInput()
    given.CopyFrom(container.given)
    executor_input.prepare(given)
    work = container.folder / f".work-{attempt}"
    shutil.rmtree(work, ignore_errors=True)
    driver = container.spec.lifecycle.pre_cache_check
    if container.drivers and (driver.command or driver.args):
        await _command(
            [*driver.command, *driver.args], given, container, variables, work / "driver", settings, board, stop
        )
        executor_input.after_driver(given)
    (container.folder / _INPUT).write_text(placeholders.as_json(given), encoding="utf-8")
    arguments = [*container.spec.command, *container.spec.args]
    await _command(arguments, given, container, variables, work, settings, board, stop)
    return executor_input.collect(given, container.component, ledger, legacy=container.legacy)


async def _command(
    arguments: list[str],
    given: pb.ExecutorInput,
    container: Container,
    variables: Mapping[str, str],
    work: Path,
    settings: Settings,
    board: Board,
    stop: asyncio.Event,
) -> None:
    """Runs a command, and fails if it does."""
    filled = placeholders.command(arguments, given, container.job)
    if not filled:
        raise TaskFailed("its command is empty")
    code = await processes.run(processes.Command(filled, variables, work, container.log), stop, settings.grace)
    board.exited(container.path, code)
    if stop.is_set():
        raise TaskFailed("interrupted")
    if code:
        what = "its driver" if work.name == "driver" else "it"
        raise TaskFailed(f"{what} ended with exit code {code}")


def _seconds(retry: pb.PipelineTaskSpec.RetryPolicy, attempt: int) -> float:
    """How long to wait before this attempt: the first wait, times the factor for each one after it.

    The policy's longest duration is no wait: Argo counts it from the beginning of the first attempt. Here nobody waits long
    enough for that.
    """
    wait = retry.backoff_duration.ToTimedelta().total_seconds() * (retry.backoff_factor or 2.0) ** (attempt - 2)
    return float(min(wait, LONGEST_WAIT))


async def _wait(seconds: float, settings: Settings, stop: asyncio.Event) -> None:
    """Waits, or is interrupted."""
    slept = asyncio.ensure_future(settings.sleep(seconds))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({slept, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for each in (slept, stopped):
        each.cancel()
    if stop.is_set():
        raise Stopped
