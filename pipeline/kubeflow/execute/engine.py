"""Runs the graph of a spec: what may run does, as many at once as allowed, and exit handlers run whatever happened."""

import asyncio
import contextlib
import datetime
import itertools
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from google.protobuf import struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.errors import UsageError
from pipeline.kubeflow.execute import (
    artifacts,
    checks,
    conditions,
    containers,
    executor_input,
    graphs,
    importers,
    parameters,
    resolve,
    resolvers,
    results,
)
from pipeline.kubeflow.execute.board import Board, Watcher
from pipeline.kubeflow.execute.documents import Document
from pipeline.kubeflow.execute.failure import TaskFailed
from pipeline.kubeflow.execute.profiles import Profile
from pipeline.kubeflow.execute.resolve import Ended, Inputs
from pipeline.kubeflow.execute.settings import Settings

_MAIN, _EXITING = 1, 2
"""Levels: the first interruption ends the main graph, the second one the exit handlers too."""
_TICK = 0.25


def execute(
    document: Document, profile: Profile, given: Mapping[str, str], settings: Settings, watcher: Watcher
) -> results.Result:
    """Runs a compiled pipeline.

    Args:
      document: the spec.
      profile: the backend that is followed.
      given: name -> text, of the command line's parameters.
      settings: how.
      watcher: told of the tasks' states.

    Returns:
      What became of it.

    Raises:
      UsageError: the spec or the parameters can't do; nothing was started.
    """
    checks.check(document, profile)
    root = parameters.resolve(document, given)
    folder = settings.root / document.name / settings.job_id
    if folder.exists():
        raise UsageError(f"--job-id: {folder} is there already. Expected a name of no earlier run")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"--root: {folder} can't be made: {error.strerror}") from error
    return asyncio.run(Engine(document, profile, root, settings, Board(watcher)).run())


@dataclass
class Scope:
    """A graph that runs.

    Attributes:
      path: of the task that it is the body of.
      inputs: of the graph.
      id: a number of its own, as KFP's executions have.
      level: main or exiting.
      retry: of the task, for those within that have none.
      ended: task -> what became of it, when it is known.
      failed: a task of it did.
    """

    path: graphs.Path
    inputs: Inputs
    id: int
    level: int = _MAIN
    retry: pb.PipelineTaskSpec.RetryPolicy | None = None
    ended: dict[str, asyncio.Future[Ended]] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True)
class Node:
    """A task that is about to run.

    Attributes:
      path: of the task.
      task: of the spec.
      component: what it runs.
      scope: the graph that it is in.
      level: main or exiting.
      number: of its own.
    """

    path: graphs.Path
    task: pb.PipelineTaskSpec
    component: pb.ComponentSpec
    scope: Scope
    level: int
    number: int

    @property
    def retry(self) -> pb.PipelineTaskSpec.RetryPolicy | None:
        """Its own, or that of the graph that it is in."""
        return self.task.retry_policy if self.task.HasField("retry_policy") else self.scope.retry


class Engine:
    """One run."""

    def __init__(
        self, document: Document, profile: Profile, root: parameters.Parameters, settings: Settings, board: Board
    ) -> None:
        """Prepares it.

        Args:
          document: the spec, checked.
          profile: the backend that is followed.
          root: the root's parameters.
          settings: how.
          board: where states are kept.
        """
        self._document = document
        self._profile = replace(profile, fail_fast=profile.fail_fast or document.fail_fast)
        self._root = root
        self._settings = settings
        self._board = board
        self._names = graphs.Names(document.spec)
        self._ledger = artifacts.Ledger(profile, settings.job_id)
        self._numbers = itertools.count(1)
        self._job = self._about_job()
        self._pipeline = settings.root / document.name

    async def run(self) -> results.Result:
        """Runs the root's graph to its end."""
        self._slots = asyncio.Semaphore(self._settings.parallel)
        self._stops = {_MAIN: asyncio.Event(), _EXITING: asyncio.Event()}
        self._add((), self._document.spec.root.dag, exit_handler=False)
        self._board.show()
        scope = Scope((), Inputs(self._root, {}), next(self._numbers))
        ticking = asyncio.create_task(self._tick())
        with self._interruptible():
            ended = await self._graph(self._document.spec.root.dag, scope)
        ticking.cancel()
        interrupted = self._stops[_MAIN].is_set()
        # On KFP a handler's failure leaves the graph's own state as it is, and yet is one here.
        succeeded = ended.state == "done" and not self._board.failures and not interrupted
        shown = "SUCCEEDED" if ended.state == "done" else "FAILED"
        return results.Result(
            job_id=self._settings.job_id,
            state="interrupted" if interrupted else "succeeded" if succeeded else "failed",
            shown_as="CANCELLED" if interrupted else shown,
            exit_code=int(results.exit_code(self._board.failures, succeeded=succeeded)),
            folder=str(self._pipeline / self._settings.job_id),
            tasks=self._board.results(),
        )

    def _add(self, path: graphs.Path, dag: pb.DagSpec, *, exit_handler: bool) -> None:
        """Shows the tasks of a graph, and those below, as far as they are known: iterations of a loop are not."""
        for name in graphs.ordered(dag):
            task = dag.tasks[name]
            handler = exit_handler or graphs.is_exit(task)
            self._board.add((*path, name), self._names.of((*path, name)), exit_handler=handler)
            component = self._document.spec.components[task.component_ref.name]
            if component.HasField("dag") and not graphs.is_loop(task):
                self._add((*path, name), component.dag, exit_handler=handler)

    async def _graph(self, dag: pb.DagSpec, scope: Scope) -> Ended:
        """Runs all tasks of a graph, each when those before it have ended."""
        loop = asyncio.get_running_loop()
        scope.ended = {name: loop.create_future() for name in dag.tasks}
        await asyncio.gather(*(self._task(name, dag, scope) for name in graphs.ordered(dag)))
        ended = {name: future.result() for name, future in scope.ended.items()}
        counted = [
            each.state
            for name, each in ended.items()
            if self._profile.exits_count or not graphs.is_exit(dag.tasks[name])
        ]
        for state in ("stopped", "failed"):
            if state in counted:
                return Ended(state, error=next((e.error for e in ended.values() if e.state == state), None))
        if self._stops[scope.level].is_set() and "not_run" in counted:
            return Ended("stopped")
        return Ended("done", resolve.outputs(dag, ended))

    async def _task(self, name: str, dag: pb.DagSpec, scope: Scope) -> None:
        """Runs a task when it is its turn, and makes known what became of it."""
        task = dag.tasks[name]
        before = {other: await scope.ended[other] for other in sorted(graphs.upstream(task))}
        node = Node(
            path=(*scope.path, name),
            task=task,
            component=self._document.spec.components[task.component_ref.name],
            scope=scope,
            level=_EXITING if graphs.is_exit(task) else scope.level,
            number=next(self._numbers),
        )
        ended = self._unneeded(node, before)
        if ended is None:
            try:
                ended = await self._ready(node, before)
            except TaskFailed as error:
                ended = Ended("failed", error=str(error))
            except containers.Stopped:
                ended = Ended("stopped", error="the run was interrupted")
        if ended.state == "failed" and (self._profile.exits_count or not graphs.is_exit(task)):
            scope.failed = True
        self._board.end(node.path, ended.state, ended.outputs, ended.error)
        scope.ended[name].set_result(ended)

    def _unneeded(self, node: Node, before: Mapping[str, Ended]) -> Ended | None:
        """Why a task is not to run, if so."""
        if self._stops[node.level].is_set():
            return Ended("not_run")
        if graphs.is_exit(node.task):
            return None
        states = {each.state for each in before.values()} - {"done"}
        if states:
            return Ended("skipped" if states == {"skipped"} else "not_run")
        return Ended("not_run") if node.scope.failed and self._profile.fail_fast else None

    async def _ready(self, node: Node, before: Mapping[str, Ended]) -> Ended:
        """Resolves a task's inputs, judges its condition, and runs it: once, or for each item."""
        around = resolve.Surroundings(self._profile, node.scope.inputs, before, self._about(node), self._root)
        inputs = resolve.resolve(node.task, node.component, around)
        condition = node.task.trigger_policy.condition
        if condition and not conditions.holds(condition, self._judged(inputs)):
            return Ended("skipped")
        if not graphs.is_loop(node.task):
            return await self._execute(node, inputs)
        self._board.begin(node.path)
        found = resolve.items(node.task, inputs)
        iterator = node.task.parameter_iterator
        limit = asyncio.Semaphore(node.task.iterator_policy.parallelism_limit or max(len(found), 1))
        dropped = {iterator.items.input_parameter, iterator.item_input}
        rest = {key: value for key, value in inputs.parameters.items() if key not in dropped}

        async def once(index: int, item: struct_pb2.Value) -> Ended:
            own = replace(node, path=(*node.path, str(index)), number=next(self._numbers))
            self._board.add(own.path, self._names.of(own.path), exit_handler=node.level == _EXITING)
            async with limit:
                try:
                    ended = await self._execute(own, replace(inputs, parameters={**rest, iterator.item_input: item}))
                except TaskFailed as error:
                    ended = Ended("failed", error=str(error))
                except containers.Stopped:
                    ended = Ended("stopped", error="the run was interrupted")
            self._board.end(own.path, ended.state, ended.outputs, ended.error)
            return ended

        rounds = await asyncio.gather(*(once(index, item) for index, item in enumerate(found)))
        for state in ("stopped", "failed"):
            if any(each.state == state for each in rounds):
                return Ended(state)
        return Ended("done", resolve.collected(node.component, [each.outputs for each in rounds]))

    async def _execute(self, node: Node, inputs: Inputs) -> Ended:
        """Runs what a task's component is: a graph, a container, an importer or a resolver."""
        iterator = node.task.parameter_iterator.items.input_parameter
        inputs = resolve.checked(inputs, node.component, frozenset({iterator} - {""}))
        if node.component.HasField("dag"):
            self._board.begin(node.path)
            if node.path[-1].isdecimal():
                self._add(node.path, node.component.dag, exit_handler=node.level == _EXITING)
            body = Inputs(inputs.parameters, inputs.artifacts)
            scope = Scope(node.path, body, next(self._numbers), node.level, node.retry)
            return await self._graph(node.component.dag, scope)
        async with self._slots:
            unneeded = self._unneeded(node, {})
            if unneeded:
                return unneeded
            found = await self._leaf(node, inputs)
        resolvers.remember(self._pipeline, found)
        return Ended("done", found)

    async def _leaf(self, node: Node, inputs: Inputs) -> artifacts.Outputs:
        """Runs a component without a graph."""
        name = self._names.of(node.path)
        label = node.component.executor_label
        executor = self._document.executors[label]
        folder = self._pipeline / self._settings.job_id / name
        legacy = self._document.legacy
        given = executor_input.build(name, node.component, inputs, folder, self._ledger, legacy=legacy)
        which = executor.WhichOneof("spec")
        if which == "container":
            container = containers.Container(
                path=node.path,
                name=name,
                spec=executor.container,
                component=node.component,
                kubernetes=self._document.kubernetes.get(label, {}),
                given=given,
                folder=folder,
                retry=node.retry or pb.PipelineTaskSpec.RetryPolicy(),
                drivers=self._profile.drivers,
                legacy=legacy,
                job=self._about(node) if self._profile.embeds else {},
                own=self._variables(name),
            )
            stop = self._stops[node.level]
            return await containers.run(container, self._settings, self._ledger, self._board, stop)
        self._board.begin(node.path)
        if which == "resolver":
            return resolvers.resolve(self._pipeline, executor.resolver, given)
        bucket = (self._document.root, str(self._settings.root))
        return importers.run(executor.importer, node.component, inputs, given, self._ledger, bucket)

    def _judged(self, inputs: Inputs) -> pb.ExecutorInput.Inputs:
        """The inputs as a condition sees them: without defaults, and with what the backend hands over."""
        bare = executor_input.build("", pb.ComponentSpec(), inputs, Path(), self._ledger, legacy=False)
        if self._document.legacy:
            for key, value in inputs.parameters.items():
                bare.inputs.parameters[key].CopyFrom(_guessed(value))
        return bare.inputs

    def _variables(self, name: str) -> dict[str, str]:
        """What Millrace tells its own containers; any other does not look."""
        scratch = self._settings.root / ".scratch" / name
        scratch.mkdir(parents=True, exist_ok=True)
        found = {"MILLRACE_SCRATCH": str(scratch), "MILLRACE_JOB": self._settings.job_id}
        if "://" in self._document.root:
            found["MILLRACE_ROOT_IS"] = f"{self._document.root}={self._settings.root}"
        return found

    def _about_job(self) -> dict[str, str]:
        """What the job's placeholders stand for."""
        job_id = self._settings.job_id
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        vertex = self._profile.types
        return {
            "pipeline_job_uuid": job_id,
            "pipeline_job_name": job_id if vertex else self._document.display_name,
            "pipeline_job_resource_name": (
                f"projects/local/locations/local/pipelineJobs/{job_id}" if vertex else f"{self._document.name}-{job_id}"
            ),
            "pipeline_job_create_time_utc": now,
            "pipeline_job_schedule_time_utc": now,
        } | ({"pipeline_root": str(self._settings.root)} if self._profile.embeds else {})

    def _about(self, node: Node) -> dict[str, str]:
        """The same, and of a task; KFP's uuid of a task is the number of the graph that it is in."""
        number = node.number if self._profile.types else node.scope.id
        return {
            **self._job,
            "pipeline_task_name": next(part for part in reversed(node.path) if not part.isdecimal()),
            "pipeline_task_uuid": str(number),
        }

    async def _tick(self) -> None:
        """Keeps the seconds going."""
        while True:
            await asyncio.sleep(_TICK)
            self._board.show()

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first SIGINT or SIGTERM ends the main graph, the second one the exit handlers too."""
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            level = _EXITING if self._stops[_MAIN].is_set() else _MAIN
            self._stops[level].set()
            what = "the exit handlers" if level == _EXITING else "the tasks; exit handlers still run"
            self._board.phase(f"interrupted: ending {what}")

        added = []
        for number in (signal.SIGINT, signal.SIGTERM):
            # Only the main thread of a process may have handlers.
            with contextlib.suppress(ValueError, RuntimeError):
                loop.add_signal_handler(number, interrupt)
                added.append(number)
        try:
            yield
        finally:
            for number in added:
                loop.remove_signal_handler(number)


def _guessed(value: struct_pb2.Value) -> pb.Value:
    """A value of schema 2.0, by its kind."""
    if value.WhichOneof("kind") == "number_value":
        return pb.Value(double_value=value.number_value)
    return pb.Value(string_value=value.string_value)
