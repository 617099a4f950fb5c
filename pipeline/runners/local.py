"""Runs the pipeline on this machine: independent branches side by side, a process for each node, nothing silent."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from pipeline import strategies, tasks
from pipeline.beam.engines import ENGINES
from pipeline.config import RunConfig
from pipeline.errors import DataBlocked, ExitCode, MillraceError, UsageError, nearest
from pipeline.ingest import files
from pipeline.runners import account, processes, records, remote_root, reporting
from pipeline.runners.nodes import NodeState
from pipeline.sources import JsonLines, TfRecord
from pipeline.task import Task
from pipeline.train import cluster, progress
from pipeline.train.tuned import search_of

_TICK = 0.2
_RECENT = 10
_READY = ("done", "cached", "skipped")
_LOST = ("failed", "blocked", "stopped", "not_run")


class Watcher(Protocol):
    """Shows a run while it goes on."""

    def phase(self, text: str) -> None:
        """A step before the first node."""

    def nodes(self, states: list[NodeState]) -> None:
        """The states, whenever they may have changed."""


def preflight(config: RunConfig) -> Task:
    """Checks what can be checked in a second: the task, its schema, the data's headers.

    Raises:
      UsageError: a flag, a setting or a path is wrong.
      DataBlocked: the data's header or size can't do.
    """
    from pipeline import schema
    from pipeline.beam import checks as beam
    from pipeline.ingest import selection

    task = tasks.load(config.task, config.overrides)
    curated = schema.path_of(task.name)
    if curated:
        schema.check(task, schema.read(curated))
    if config.serving_log:
        _check_serving_log(config.serving_log)
    if config.tune:
        search_of(config.task, config.overrides)
    if task.training.warm_start not in (None, "latest"):
        _check_warm_start(config, str(task.training.warm_start))
    start = task.model.starts_from
    if start and "://" not in start and not Path(start).expanduser().exists():
        raise UsageError(
            f"model {type(task.model).__name__}: {start}: no such file or folder. Expected what the model starts from. "
            "Next: check the path in the task, or --set model.<field>=PATH"
        )
    strategies.check(task.training.strategy)
    if task.training.strategy in strategies.OF_PROCESSES:
        cluster.check_here(task.training.strategy)
    if config.predict:
        files.list_files(config.predict)
    if task.serving.server != "embedded":
        task.serving.engine()
    if config.beam_runner != "local" or config.beam_options or config.beam_nodes:
        beam.check(task, config)
    selection.check(task.source.at(config.data), task.split, task.columns, config.span, config.window)
    return task


def _check_warm_start(config: RunConfig, run_id: str) -> None:
    """Raises UsageError where no run of this id trained a model of the task."""
    trained = [
        record["run_id"]
        for record in records.read_all(str(config.home.parent), config.task)
        if record["nodes"].get("Trainer", {}).get("state") in ("done", "cached")
    ]
    if run_id not in trained:
        raise UsageError(
            f"--warm-start: no run {run_id!r} of {config.task!r} trained a model.{nearest(run_id, trained[-_RECENT:])}"
        )


def _check_serving_log(path: str) -> None:
    """Raises UsageError where the log of requests is not there, or its start can't be read."""
    from pipeline.ingest import read

    try:
        file = files.list_files(path)[0]
        source = JsonLines(path).at(file)
        if not isinstance(source, TfRecord):  # One of requests is not one of rows; reading it needs TensorFlow.
            read.names(file, source)
    except MillraceError as error:
        raise UsageError(f"--serving-log: {error}") from error


def run(config: RunConfig, watcher: Watcher, resumed_from: str | None = None) -> dict[str, Any]:
    """Runs the pipeline.

    Args:
      config: what to run.
      watcher: is shown the progress.
      resumed_from: id of the run that this one continues.

    Returns:
      The record, as written to run.json.

    Raises:
      UsageError: nothing was started, nothing written.
    """
    started = time.monotonic()
    remote_root.known(config)
    try:
        task = preflight(config)
        blocked = None
    except DataBlocked as error:
        task, blocked = tasks.load(config.task, config.overrides), error
    with records.locked(config):
        records.wait_for_workers(config.home)
        return _run_locked(config, task, watcher, resumed_from, blocked, started)


def _run_locked(
    config: RunConfig,
    task: Task,
    watcher: Watcher,
    resumed_from: str | None,
    blocked: DataBlocked | None,
    started: float,
) -> dict[str, Any]:
    """The run, with its root locked; `blocked` is what preflight found wrong with the data."""
    folder, record = remote_root.begin(config, task, resumed_from)
    execution = GraphRun(config, folder, watcher)
    report = reporting.Maker(folder)
    # A scheduler's stop is a Ctrl-C: the nodes are ended and the record is written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        records.write(folder, record)
        if blocked:
            raise blocked
        if not config.cache:
            shutil.rmtree(config.training, ignore_errors=True)
        processes.warm_up(folder / "logs" / "millrace.log")
        _cancel_leftovers(config)
        try:
            execution.run(report.start)
        except MillraceError:
            record.update(execution.results())
            raise
        record.update(execution.results())
        code, outcome, reason = account.judged(config, record)
    except UsageError:
        report.stop()
        remote_root.forget(config, folder)
        raise
    except MillraceError as error:
        code, outcome, reason = error.exit_code, records.OUTCOMES.get(error.exit_code, "failed"), str(error)
    except KeyboardInterrupt:
        code, outcome = ExitCode.FAILED, "failed"
        reason = f"interrupted. Next: {records.resume_command(config)}"
    except OSError as error:
        code, outcome, reason = ExitCode.FAILED, "failed", processes.explain(error)
    record.update(
        outcome=outcome,
        exit_code=int(code),
        reason=reason,
        seconds=round(time.monotonic() - started, 3),
        nodes={state.id: state.record() for state in execution.states},
    )
    try:
        records.write(folder, record)
    except OSError as error:
        raise records.unwritable(config, error) from error
    watcher.phase("writing the report")
    reporting.add(folder, record, report)
    remote_root.end(config, folder)
    return record


def _cancel_leftovers(config: RunConfig) -> None:
    if ENGINES[config.beam_runner].by_size:
        from pipeline.beam import leftovers

        leftovers.cancel(config)


def plan(config: RunConfig) -> list[tuple[str, str]]:
    """What `run` would do: for each node "run", "cached" or "skip". Writes nothing to the root.

    Raises:
      MillraceError: see `preflight`, and `--from` or `--to` that name no node.
    """
    remote_root.known(config)
    preflight(config)
    with remote_root.to_itself(config), tempfile.TemporaryDirectory(prefix="millrace-") as folder:
        log = Path(folder) / "plan.log"
        processes.warm_up(log)
        nodes: list[tuple[str, str]] = processes.call(_plan, config, log=log)
    return nodes


def engines(config: RunConfig) -> dict[str, str]:
    """Node -> which engine runs its Beam jobs, and why; empty where there is nothing to choose."""
    if not ENGINES[config.beam_runner].by_size:
        return {}
    from pipeline.beam import choice

    task = tasks.load(config.task, config.overrides)
    return {node: str(chosen) for node, chosen in choice.choices(task, config).items()}


class GraphRun:
    """One pass over the graph: launches each node when all that it waits for has ended well."""

    def __init__(self, config: RunConfig, folder: Path, watcher: Watcher) -> None:
        """See `run`; `folder` is the run's."""
        self._config = config
        self._folder = folder
        self._watcher = watcher
        self._states: dict[str, NodeState] = {}
        self._jobs: dict[str, tuple[processes.Job, float]] = {}

    @property
    def states(self) -> list[NodeState]:
        """The nodes in topological order; empty before the graph is compiled."""
        return list(self._states.values())

    def run(self, begun: Callable[[], None] = lambda: None) -> None:
        """Runs to the end, or as far as it goes.

        Args:
          begun: called before the graph is compiled, which leaves a core idle.

        Raises:
          MillraceError: a node failed, or the data gate stopped the run; what did not depend on it has run.
        """
        try:
            self._watcher.phase("starting TFX")
            begun()
            graph = self._call(_compile, self._config, self._folder.name)
            self._states = {
                node.id: NodeState(node.id, "skipped" if node.skipped else "waiting", engine=node.engine)
                for node in graph.nodes
            }
            upstream = {node.id: node.upstream for node in graph.nodes}
            while self._start_ready(graph.ir, upstream) or self._jobs:
                self._watcher.nodes(self.states)
                self._collect_ended()
        except BaseException:
            self._stop_all()
            raise
        finally:
            self._watcher.nodes(self.states)
        self._raise_failure()

    def results(self) -> dict[str, Any]:
        """What the artifacts of the nodes that ended well hold; see `results.collect`. Empty where nothing was started."""
        if not self._states:
            return {}
        self._watcher.phase("reading the results")
        found: dict[str, Any] = self._call(_collect, self._config, self._folder.name)
        return found

    def _call(self, function: Any, *args: Any) -> Any:
        return processes.call(function, *args, log=self._folder / "logs" / "millrace.log")

    def _start_ready(self, ir: bytes, upstream: Mapping[str, Sequence[str]]) -> bool:
        """Starts what can start; skips what never will. Returns whether any node changed."""
        changed = False
        for node in _urgent_first(upstream):
            state = self._states[node]
            if state.state != "waiting":
                continue
            before = [self._states[name] for name in upstream[node] if name in self._states]
            if any(other.state in _LOST for other in before):
                self._states[node] = replace(state, state="not_run")
                changed = True
            elif len(self._jobs) < _width() and all(other.state in _READY for other in before):
                log = self._folder / "logs" / f"{node}.log"
                if node == "Trainer":
                    progress.clear(self._config.training)
                self._jobs[node] = (
                    processes.Job(_launch, ir, node, self._config, self._folder.name, log=log),
                    time.monotonic(),
                )
                self._states[node] = replace(state, state="running")
                changed = True
        return changed

    def _collect_ended(self) -> None:
        """Waits a moment for nodes to end, and notes how."""
        ended = processes.first_ended([job for job, _ in self._jobs.values()], _TICK)
        for node, (job, began) in list(self._jobs.items()):
            seconds = time.monotonic() - began
            state = replace(self._states[node], seconds=seconds, progress=self._progress(node))
            if job in ended:
                del self._jobs[node]
                result = job.result()
                blocked = result.error is not None and result.exit_code == ExitCode.DATA_BLOCKED
                outcome = "blocked" if blocked else "failed" if result.error is not None else result.value
                state = replace(
                    state,
                    state=outcome,
                    peak_mb=result.peak_mb,
                    cpu_seconds=result.cpu_seconds,
                    error=result.error,
                    progress=None,
                )
            self._states[node] = state
        if any(state.state == "blocked" for state in self.states):
            self._stop_all()
            for node, state in self._states.items():
                if state.state == "waiting":
                    self._states[node] = replace(state, state="not_run")
        self._watcher.nodes(self.states)

    def _progress(self, node: str) -> str | None:
        return progress.read(self._config.training) if node == "Trainer" else None

    def _stop_all(self) -> None:
        for node, (job, began) in self._jobs.items():
            job.stop()
            self._states[node] = replace(
                self._states[node], state="stopped", seconds=time.monotonic() - began, progress=None
            )
        self._jobs = {}

    def _raise_failure(self) -> None:
        """Raises for the first blocked node, or else for the first failed one."""
        for wanted, error_class in (("blocked", DataBlocked), ("failed", MillraceError)):
            for state in self.states:
                if state.state == wanted:
                    log = self._folder / "logs" / f"{state.id}.log"
                    text = str(state.error)
                    raise error_class(text if wanted == "blocked" else f"{state.id} failed: {text}\nIts log: {log}")


def _urgent_first(upstream: Mapping[str, Sequence[str]]) -> list[str]:
    """Nodes by the longest way from them to the end, the longest first; so each comes before those that wait for it.

    Args:
      upstream: node -> those that it waits for, in topological order.
    """
    way = dict.fromkeys(upstream, 0)
    for node in reversed(list(upstream)):
        for before in upstream[node]:
            if before in way:
                way[before] = max(way[before], way[node] + 1)
    return sorted(upstream, key=lambda node: -way[node])


def _width() -> int:
    """Nodes at the same time: one a core, two at the most, since each also uses threads."""
    return min(2, len(os.sched_getaffinity(0)))


# The functions below run in child processes, where TFX is imported.


def _compile(config: RunConfig, run_id: str) -> Any:
    from pipeline.runners import graph

    with remote_root.prepared(config, run_id):
        return graph.compile_graph(config, run_id)


def _launch(ir: bytes, node: str, config: RunConfig, run_id: str) -> Any:
    records.work_in(config.home)
    return remote_root.launch(ir, node, config, run_id)


def _plan(config: RunConfig) -> Any:
    from pipeline.runners import graph

    with remote_root.prepared(config, "plan"):
        return graph.plan(config)


def _collect(config: RunConfig, run_id: str) -> Any:
    from pipeline.runners import results

    remote_root.bring_results(config, run_id)
    return results.collect(config, run_id)
