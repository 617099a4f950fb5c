"""A run is watched until it ends; its exit code is read from what it wrote.

The run's own record (`run.json`, found by the server's id of the run) says whether a model was pushed and, if not, which gate stopped
it. Where it can't be read, the server's word counts: 0 if the run succeeded, else 1, with the failed tasks as hints.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import ExitCode, MillraceError
from pipeline.kubeflow.api.backend import Backend, Job, TaskRun
from pipeline.kubeflow.api.retrying import Clock

Outcome = Callable[[str, str], Mapping[str, Any] | None]
"""Root and id of a run -> its record, or None; `pipeline.kubeflow.outcome.of_job`."""

_FIRST_LOOK = 5.0
_LONGEST = 30.0
_EXCERPT = 20
_CODE = re.compile(r"exit(?:ed with)?(?: a)?(?: non-zero)?(?: code| status of)\D{0,3}(\d+)", re.IGNORECASE)
_HINTS: dict[int, str] = {
    ExitCode.DATA_BLOCKED: "the data gate stopped the run: the report of the run says which check",
    ExitCode.NOT_BLESSED: "the model was not blessed",
    ExitCode.SERVING_BLOCKED: "the model failed the serving check",
}
_BY_TASK = {"data-gate": ExitCode.DATA_BLOCKED, "serving-check": ExitCode.SERVING_BLOCKED}


@dataclass(frozen=True)
class Failure:
    """A task that failed.

    Attributes:
      task: its name.
      exit_code: of its container, or None where the server does not say.
      message: the server's.
      log: the last lines, or "".
    """

    task: str
    exit_code: int | None
    message: str
    log: str


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
      job: as it was last seen.
      exit_code: 0, 1, 10, 11 or 12, as of a local run.
      reason: in a sentence, or "".
      failures: the tasks that failed.
    """

    job: Job
    exit_code: int
    reason: str = ""
    failures: list[Failure] = field(default_factory=list)


class Interrupted(MillraceError):
    """The wait was ended from here; the run goes on."""


def wait(
    backend: Backend,
    job_id: str,
    clock: Clock,
    *,
    timeout: float | None = None,
    outcome: Outcome | None = None,
    seen: Callable[[float, str, str], None] = lambda seconds, name, state: None,
    root: str = "",
    hints: str = "",
) -> Result:
    """Watches a run until it ends.

    Args:
      backend: where it runs.
      job_id: which.
      clock: for the waits between looks.
      timeout: seconds, or None for ever.
      outcome: reads the run's record.
      seen: called with seconds so far, a task's name ("" for the run) and its state, whenever that changed.
      root: of the run, where the server does not say.
      hints: what to type to watch or end the run, for messages.

    Raises:
      Interrupted: at the time-out, or by Ctrl-C.
      MillraceError: the server can't be asked any more.
    """
    begin = clock.monotonic()
    states: dict[str, str] = {}
    pause = _FIRST_LOOK
    try:
        while True:
            try:
                left = math.inf if timeout is None else max(0.0, timeout - (clock.monotonic() - begin))
                job = backend.job(job_id, within=left)
            except MillraceError as error:
                raise type(error)(f"{error}. The run goes on, as far as is known. {hints}") from error
            for name, state in [*((task.name, task.state) for task in job.tasks.values()), ("", job.state)]:
                if states.get(name) != state:
                    states[name] = state
                    seen(clock.monotonic() - begin, name, state)
            if job.ended:
                return _result(backend, job, outcome, root)
            if timeout is not None and clock.monotonic() - begin + pause > timeout:
                raise Interrupted(
                    f"wait: run {job_id} is {job.state} after {clock.monotonic() - begin:.0f} s "
                    f"(--timeout {timeout:.0f}); it goes on. {hints}"
                )
            clock.sleep(pause)
            pause = min(pause * 1.5, _LONGEST)
    except KeyboardInterrupt:
        raise Interrupted(f"wait: ended from here; run {job_id} goes on. {hints}") from None


def _result(backend: Backend, job: Job, outcome: Outcome | None, root: str) -> Result:
    record, unread = _record(outcome, job.root or root, job.job_id)
    failures = [_failure(backend, job, task) for task in job.tasks.values() if task.state == "FAILED"]
    if record is not None:
        code = int(record["exit_code"])
        # What came after the record, such as the exit handler, may have failed too.
        if code == 0 and job.state != "SUCCEEDED":
            code = int(ExitCode.FAILED)
        reason = str(record.get("reason") or _HINTS.get(code, ""))
        return Result(job, code, reason, failures)
    if job.state == "SUCCEEDED":
        return Result(job, 0, unread)
    said = [_guess(failures), job.error or ("it was canceled" if job.state == "CANCELED" else ""), unread]
    return Result(job, int(ExitCode.FAILED), "; ".join(part for part in said if part), failures)


def _record(outcome: Outcome | None, root: str, job_id: str) -> tuple[Mapping[str, Any] | None, str]:
    """The run's record, and where there is none, why."""
    if outcome is None or not root:
        return None, ""
    try:
        found = outcome(root, job_id)
    except Exception as error:  # the storage's library has many; the run itself is over
        line = str(error).strip().partition("\n")[0]
        kind = "" if isinstance(error, MillraceError) else f"{type(error).__name__}: "
        return None, f"its record in {root} can't be read ({kind}{line})"
    if not found or not isinstance(found.get("exit_code"), int):
        return None, f"it left no record in {root}"
    return found, ""


def _failure(backend: Backend, job: Job, task: TaskRun) -> Failure:
    log = "\n".join(backend.log(job, task).splitlines()[-_EXCERPT:])
    code = _CODE.search(task.message)
    return Failure(task.name, int(code[1]) if code else None, task.message, log)


def _guess(failures: list[Failure]) -> str:
    """What the names of the failed tasks let one suppose; only a hint, so it does not become the exit code."""
    for failure in failures:
        supposed = _BY_TASK.get(failure.task)
        if supposed is not None:
            return f"task {failure.task} failed, so perhaps {_HINTS[supposed]} (exit code {int(supposed)} then)"
    names = ", ".join(failure.task for failure in failures if failure.task != "finish")
    return f"failed: {names}" if names else ""
