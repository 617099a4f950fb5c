"""What became of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.errors import ExitCode

TELLING = frozenset({ExitCode.USAGE, ExitCode.DATA_BLOCKED, ExitCode.NOT_BLESSED, ExitCode.SERVING_BLOCKED})
"""Exit codes of a task that say more than that it failed."""


@dataclass(frozen=True)
class TaskResult:
    """What became of a task.

    Attributes:
      state: done, failed, stopped (ended because the run was interrupted), skipped (its condition is false, or a task
        before it was skipped) or not_run (a task before it failed, or the run was interrupted).
      exit_code: of its last attempt; None for one without a process.
      seconds: from its first attempt to its end.
      attempts: how many were made.
      log: file with all output; None for one without a process.
      outputs: `parameters` (name -> value) and `artifacts` (name -> list of uri, type and metadata).
      error: why it failed, where its process does not say so.
      exit_handler: it is one, or belongs to one.
    """

    state: str
    exit_code: int | None = None
    seconds: float = 0.0
    attempts: int = 0
    log: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    exit_handler: bool = False


@dataclass(frozen=True)
class Result:
    """What became of a run.

    Attributes:
      job_id: of the run.
      state: succeeded, failed or interrupted.
      shown_as: what the backend would call the run: SUCCEEDED, FAILED or CANCELLED. KFP calls one SUCCEEDED whose exit
        handler alone failed.
      exit_code: of the command.
      folder: of the run.
      tasks: name -> what became of it, in the order of the graph.
    """

    job_id: str
    state: str
    shown_as: str
    exit_code: int
    folder: str
    tasks: Mapping[str, TaskResult]

    def record(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @property
    def failed(self) -> list[str]:
        """Names of the tasks that failed by themselves, not because of another."""
        return [name for name, task in self.tasks.items() if task.state == "failed" and (task.log or task.error)]


def exit_code(failures: Sequence[TaskResult], *, succeeded: bool) -> ExitCode:
    """The exit code of a run.

    Args:
      failures: tasks that failed, in the order of time.
      succeeded: the run did.

    Returns:
      0; or that of the exit handler, or of the first task that failed, where it tells something; or 1.
    """
    if succeeded:
        return ExitCode.PUSHED
    handlers = [task for task in failures if task.exit_handler and task.exit_code in TELLING]
    for task in [*handlers, *failures[:1]]:
        if task.exit_code in TELLING:
            return ExitCode(task.exit_code)
    return ExitCode.FAILED
