"""What Kubeflow Pipelines and Vertex AI can both do, by one interface, in one set of words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from pipeline.kubeflow.api.cron import Cron
from pipeline.kubeflow.api.package import Package, Target

ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
"""States that a run does not leave."""


@dataclass(frozen=True)
class TaskRun:
    """One task of a run.

    Attributes:
      name: as in the spec, such as `data-gate`.
      state: PENDING, RUNNING, SUCCEEDED, SKIPPED, FAILED, CANCELING, CANCELED or PAUSED.
      message: why it failed, as far as the server says.
      pods: names that its log may be under (Kubeflow Pipelines).
    """

    name: str
    state: str
    message: str = ""
    pods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A run on a server.

    Attributes:
      job_id: what the other commands take.
      name: what the user interface shows.
      link: to it.
      state: as of a task.
      root: where its results go, or "" where the server does not say.
      tasks: by name, in the order of their start; those that have not begun may be missing.
      error: why it failed, as far as the server says.
      created: when.
    """

    job_id: str
    name: str
    link: str
    state: str
    root: str = ""
    tasks: Mapping[str, TaskRun] = field(default_factory=dict)
    error: str = ""
    created: str = ""

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state in ENDED


@dataclass(frozen=True)
class Order:
    """What is to run.

    Attributes:
      package: the compiled file.
      parameters: values by name.
      name: of the run, or of the schedule.
      service_account: to run as, or None for the file's or the server's own.
      labels: for Vertex AI, beside the file's.
      network: for Vertex AI, in full.
    """

    package: Package
    parameters: Mapping[str, Any]
    name: str
    service_account: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None


@dataclass(frozen=True)
class Timetable:
    """When it is to run.

    Attributes:
      cron: the expression, with its zone.
      max_concurrency: runs at a time.
      catch_up: whether times that were missed are made up for.
      start: not before, or None for now.
      end: not after, or None for ever.
    """

    cron: Cron
    max_concurrency: int = 1
    catch_up: bool = False
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Schedule:
    """A schedule on a server.

    Attributes:
      schedule_id: the server's.
      name: ours.
      cron: as the server has it.
      state: ENABLED, PAUSED or COMPLETED.
      max_concurrency: runs at a time.
      next_run: when, or "" where the server does not say.
      link: to it.
    """

    schedule_id: str
    name: str
    cron: str
    state: str
    max_concurrency: int
    next_run: str
    link: str


class Backend(Protocol):
    """A server that runs pipelines. Every method may raise `MillraceError`, with the next step in it."""

    target: Target

    def submit(self, order: Order) -> Job:
        """Starts a run."""

    def job(self, job_id: str, *, within: float | None = None) -> Job:
        """A run as it is now; a server that is away is waited for, with `within` for up to so many seconds."""

    def cancel(self, job_id: str) -> None:
        """Asks the server to end a run."""

    def recent(self, count: int) -> list[Job]:
        """The newest runs, newest first, without their tasks."""

    def log(self, job: Job, task: TaskRun) -> str:
        """The last lines of a task's log, or "" where they can't be had."""

    def log_command(self, job: Job, task: TaskRun | None) -> str:
        """What a person types or opens to read the logs."""

    def fits(self, timetable: Timetable) -> str:
        """The cron expression as this server gets it.

        Raises:
          UsageError: the server has no such schedule.
        """

    def schedules(self, name: str | None = None) -> list[Schedule]:
        """All schedules, or those of a name."""

    def create_schedule(self, order: Order, timetable: Timetable) -> Schedule:
        """Makes a schedule, whatever others are there."""

    def pause(self, schedule_id: str) -> None:
        """No more runs until `resume`."""

    def resume(self, schedule_id: str, *, catch_up: bool = False) -> None:
        """Runs again."""

    def delete(self, schedule_id: str) -> None:
        """Removes a schedule; its runs that are under way go on."""
