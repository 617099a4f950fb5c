"""The states of all tasks while a run goes on, for whoever watches it."""

import time
from dataclasses import replace
from typing import Protocol

from pipeline.kubeflow.execute import graphs
from pipeline.kubeflow.execute.artifacts import NOTHING, Outputs
from pipeline.kubeflow.execute.results import TaskResult
from pipeline.runners.nodes import NodeState


class Watcher(Protocol):
    """Shows a run while it goes on; `pipeline.runners.progress.Progress` is one."""

    def phase(self, text: str) -> None:
        """A step that is no task."""

    def nodes(self, states: list[NodeState]) -> None:
        """The states, whenever they may have changed."""


class Board:
    """Keeps the states."""

    def __init__(self, watcher: Watcher) -> None:
        """Shows them to this watcher."""
        self._watcher = watcher
        self._tasks: dict[graphs.Path, tuple[str, TaskResult]] = {}
        self._began: dict[graphs.Path, float] = {}
        self._progress: dict[graphs.Path, str] = {}
        self.failures: list[TaskResult] = []

    def add(self, path: graphs.Path, name: str, *, exit_handler: bool) -> None:
        """A task that waits."""
        self._tasks.setdefault(path, (name, TaskResult("waiting", exit_handler=exit_handler)))

    def begin(self, path: graphs.Path, log: str | None = None) -> None:
        """It runs, for the first time."""
        self._began[path] = time.monotonic()
        self._change(path, state="running", attempts=1, log=log)

    def again(self, path: graphs.Path, state: str, attempt: int, of: int) -> None:
        """It is about to be tried again, or is."""
        self._progress[path] = f"{state}, attempt {attempt} of {of}"
        self._change(path, state=state, attempts=attempt)

    def exited(self, path: graphs.Path, code: int) -> None:
        """An attempt of it has ended."""
        self._change(path, exit_code=code)

    def end(self, path: graphs.Path, state: str, outputs: Outputs = NOTHING, error: str | None = None) -> None:
        """It has ended, and so has all that is below it and still waits."""
        for below, (_, task) in list(self._tasks.items()):
            if below[: len(path)] == path and below != path and task.state == "waiting":
                self._change(below, state=state if state in ("skipped", "not_run") else "not_run")
        self._change(path, state=state, outputs=outputs.record(), error=error, seconds=self._seconds(path))
        task = self._tasks[path][1]
        if state == "failed":
            self.failures.append(task)

    def show(self) -> None:
        """Tells the watcher."""
        self._watcher.nodes([self._shown(path) for path in self._tasks])

    def results(self) -> dict[str, TaskResult]:
        """What became of each."""
        return dict(self._tasks.values())

    def phase(self, text: str) -> None:
        """Tells the watcher of a step that is no task."""
        self._watcher.phase(text)

    def _shown(self, path: graphs.Path) -> NodeState:
        name, task = self._tasks[path]
        busy = task.state in ("running", "retrying")
        return NodeState(
            id=name,
            state=task.state,
            seconds=self._seconds(path) if busy else task.seconds,
            error=task.error,
            progress=self._progress.get(path) if busy else None,
        )

    def _seconds(self, path: graphs.Path) -> float:
        return round(time.monotonic() - self._began[path], 3) if path in self._began else 0.0

    def _change(self, path: graphs.Path, **what: object) -> None:
        name, task = self._tasks[path]
        self._tasks[path] = (name, replace(task, **what))  # type: ignore[arg-type]
        self.show()
