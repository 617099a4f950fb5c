"""What the child processes do with TFX's graph: compile it, launch a node of it, plan it, read its results.

TFX's LocalDagRunner reports success on some failures (an unmet input, an ambiguous one) and runs nodes one by one. This
module drives TFX's own Launcher, one node a call, and checks in ML Metadata what became of the execution.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from google.protobuf import message
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import (
    base_executor_operator,
    beam_executor_operator,
    data_types,
    launcher,
    partial_run_utils,
    python_executor_operator,
    runtime_parameter_utils,
)
from tfx.proto.orchestration import executable_spec_pb2, execution_result_pb2, pipeline_pb2

from components.serving_check import embedded
from pipeline import mirrored, schema, tasks
from pipeline.beam import place
from pipeline.config import RunConfig
from pipeline.dag import build_pipeline
from pipeline.errors import MillraceError, UsageError, nearest, raise_all
from pipeline.overrides import section_of
from pipeline.remote import cache_key
from pipeline.runners.nodes import Graph, Node

State = Literal["done", "cached", "skipped"]
Around = Callable[[data_types.ExecutionInfo], contextlib.AbstractContextManager[None]]
_OPERATORS = {
    executable_spec_pb2.PythonClassExecutableSpec: python_executor_operator.PythonExecutorOperator,
    executable_spec_pb2.BeamExecutableSpec: beam_executor_operator.BeamExecutorOperator,
}
_Execution = metadata_store_pb2.Execution
_FORKS = "ServingCheck"
"""The node whose server is a fork of its process."""
_LOOKUPS = ("Tuned", "WarmStart")
_RUNNING = (_Execution.RUNNING, _Execution.NEW)


class LockedMetadata(metadata.Metadata):
    """ML Metadata used by one process at a time: SQLite refuses a second writer, so a file lock makes it wait."""

    def __init__(self, config: metadata_store_pb2.ConnectionConfig) -> None:
        super().__init__(config)
        self._lock = config.sqlite.filename_uri + ".lock"
        self._stack: list[contextlib.ExitStack] = []

    def __enter__(self) -> "LockedMetadata":
        stack = contextlib.ExitStack()
        if not self._stack:
            stack.enter_context(_flock(self._lock))
        try:
            super().__enter__()
        except BaseException:
            stack.close()
            raise
        self._stack.append(stack)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        super().__exit__(*exc_info)
        self._stack.pop().close()


@contextlib.contextmanager
def _flock(path: str) -> Iterator[None]:
    stream = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
    finally:
        os.close(stream)


def compile_graph(config: RunConfig, run_id: str) -> Graph:
    """Builds and compiles the pipeline, ready to run: leftovers of dead runs are cleared away first.

    Raises:
      UsageError: `--from` or `--to` names no node, or there is no earlier run to start from.
      TaskError: the task does not fit its schema.
    """
    ir = compile_ir(config, run_id)
    clear_dead_executions(config)
    _reuse_earlier(ir, LockedMetadata(_connection(ir)))
    compiled = ir.SerializeToString()
    engines = {node.id: place.engine_of(beam_arguments(compiled, node.id)) for node in _nodes(ir)}
    return Graph(
        compiled,
        tuple(replace(node, engine=engine.name) if (engine := engines[node.id]) else node for node in _nodes(ir)),
    )


def compile_ir(config: RunConfig, run_id: str) -> pipeline_pb2.Pipeline:
    """TFX's representation of the pipeline of a run; nothing is written.

    Raises:
      UsageError: `--from` or `--to` names no node.
      TaskError: the task does not fit its schema.
    """
    from tfx.dsl.compiler import compiler

    task = tasks.load(config.task, config.overrides)
    curated = schema.path_of(task.name)
    if curated:
        schema.check(task, schema.read(curated))
    ir = compiler.Compiler().compile(build_pipeline(task, config))
    runtime_parameter_utils.substitute_runtime_parameter(ir, {"pipeline-run-id": run_id})
    if config.from_nodes or config.to_nodes:
        known = [node.pipeline_node.node_info.id for node in ir.nodes]
        for name in (*config.from_nodes, *config.to_nodes):
            if name not in known:
                raise UsageError(f"--from/--to: no node {name!r}.{nearest(name, known)}")
        first = _with_lookups(ir, config.from_nodes)
        partial_run_utils.mark_pipeline(ir, from_nodes=first or None, to_nodes=config.to_nodes or None)
        if config.from_nodes:
            _refuse_what_is_left_out(config, ir)
    for node in ir.nodes:
        # Whether there is anything to push depends on the served folder, which no cache key knows; who answers, on the push.
        if node.pipeline_node.node_info.id in ("Pusher", "BulkInferrer"):
            node.pipeline_node.execution_options.caching_options.enable_cache = False
    return ir


def _with_lookups(ir: pipeline_pb2.Pipeline, first: tuple[str, ...]) -> tuple[str, ...]:
    """The nodes to start from, and the resolvers that the Trainer asks where it is to run: they have no nodes before them.

    Left out, they would be taken from an earlier run, which may not have had them.
    """
    upstream = {node.id: node.upstream for node in _nodes(ir)}
    behind: set[str] = set(first)
    for node, before in upstream.items():
        if not behind.isdisjoint(before):
            behind.add(node)
    lookups = tuple(name for name in _LOOKUPS if name in upstream) if "Trainer" in behind else ()
    return (*first, *(name for name in lookups if name not in first))


def _reuse_earlier(ir: pipeline_pb2.Pipeline, store: metadata.Metadata) -> None:
    """Gives a partial run the results of the latest run for the nodes that it leaves out.

    Raises:
      UsageError: there are none.
    """
    if not ir.runtime_spec.HasField("snapshot_settings"):
        return
    with store:
        try:
            partial_run_utils.snapshot(store, ir)
        except (LookupError, ValueError) as error:
            raise UsageError(f"--from/--to: no earlier run has what this one leaves out: {error}") from error


def _refuse_what_is_left_out(config: RunConfig, ir: pipeline_pb2.Pipeline) -> None:
    """Raises UsageError for settings of nodes that `--from` leaves out: they would have no effect, or a wrong one."""
    skipped = {node.id for node in _nodes(ir) if node.skipped}
    problems = []
    if "ExampleGen" in skipped and (config.data is not None or config.span is not None or config.window != 1):
        problems.append("--data, --span and --window are for ExampleGen, which --from leaves out")
    if "DataChecks" in skipped and config.serving_log is not None:
        problems.append("--serving-log is for DataChecks, which --from leaves out")
    if "Transform" in skipped:
        problems += [
            f"--set {override} is for Transform, which --from leaves out"
            for override in config.overrides
            if section_of(override) in ("features", "label", "split")
        ]
    raise_all(UsageError, "--from: these settings would have no effect:", problems)


def _nodes(ir: pipeline_pb2.Pipeline) -> Iterator[Node]:
    for node in ir.nodes:
        inner = node.pipeline_node
        yield Node(inner.node_info.id, tuple(inner.upstream_nodes), bool(inner.execution_options.HasField("skip")))


def _connection(ir: pipeline_pb2.Pipeline) -> metadata_store_pb2.ConnectionConfig:
    config = runner_utils.extract_local_deployment_config(ir).metadata_connection_config
    return getattr(config, config.WhichOneof("connection_config"))


def _launcher(ir: pipeline_pb2.Pipeline, node_id: str, store: metadata.Metadata, **operators: Any) -> launcher.Launcher:
    cache_key.install()
    deployment = runner_utils.extract_local_deployment_config(ir)
    node = next(n.pipeline_node for n in ir.nodes if n.pipeline_node.node_info.id == node_id)
    return launcher.Launcher(
        pipeline_node=node,
        mlmd_connection=store,
        pipeline_info=ir.pipeline_info,
        pipeline_runtime_spec=ir.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
        **operators,
    )


def launch(graph: bytes, node_id: str, around: Around | None = None) -> State:
    """Runs one node, or takes its result from the cache.

    Args:
      graph: the compiled pipeline.
      node_id: of the node.
      around: entered with the execution when its executor is about to run, and left when it has; a cached node and a
        resolver have none.

    Returns:
      "done" or "cached".

    Raises:
      MillraceError: TFX ended the execution without running it to completion.
      Exception: whatever the node's executor raised.
    """
    return executed(graph, node_id, around)[0]


def executed(graph: bytes, node_id: str, around: Around | None = None) -> tuple[State, int]:
    """As `launch`; returns the id of the execution in ML Metadata, too."""
    ir = pipeline_pb2.Pipeline.FromString(graph)
    store = LockedMetadata(_connection(ir))
    operators = {spec: _surrounded(kind, around) for spec, kind in _OPERATORS.items()} if around else {}
    # TFX's launcher starts threads of gRPC's; what is to be a fork of this process has to be one before.
    with embedded.waiting() if node_id == _FORKS else contextlib.nullcontext():
        info = _launcher(ir, node_id, store, custom_executor_operators=operators).launch()
    state = _outcome(store, info, node_id)
    return state, info.execution_id if info else 0


def beam_arguments(graph: bytes, node_id: str) -> list[str]:
    """A node's; empty where it does not work with Beam.

    Args:
      graph: the compiled pipeline.
      node_id: of the node.
    """
    deployment = runner_utils.extract_local_deployment_config(pipeline_pb2.Pipeline.FromString(graph))
    if node_id not in deployment.executor_specs:
        return []  # a resolver
    return list(getattr(runner_utils.extract_executor_spec(deployment, node_id), "beam_pipeline_args", ()))


def _surrounded(kind: type[Any], around: Around) -> type[Any]:
    """An executor operator of TFX's that does something before and after."""

    class Surrounded(kind):
        def run_executor(self, execution_info: data_types.ExecutionInfo, *more: Any) -> Any:
            with around(execution_info):
                told = super().run_executor(execution_info, *more)
            for listed in told.output_artifacts.values():
                for artifact in listed.artifacts:
                    artifact.uri = str(mirrored.local(artifact.uri))
            return told

    return Surrounded


def _outcome(store: metadata.Metadata, info: data_types.ExecutionInfo | None, node_id: str) -> State:
    """What ML Metadata says of an execution: TFX's launcher does not raise on inputs that do not resolve."""
    if info is None or not info.execution_id:
        raise MillraceError(f"{node_id}: its inputs are not there: TFX skipped it. Next: run without --from")
    with store:
        (execution,) = store.store.get_executions_by_id([info.execution_id])
    state = execution.last_known_state
    if state in (_Execution.CACHED, _Execution.COMPLETE):
        return "cached" if state == _Execution.CACHED else "done"
    reason = execution.custom_properties["__execution_result__"].string_value if execution.custom_properties else ""
    raise MillraceError(f"{node_id}: its inputs could not be resolved: {reason[:400] or _Execution.State.Name(state)}")


class _WouldRun(Exception):
    """Raised in place of running a node while planning."""


class _PlanOperator(base_executor_operator.BaseExecutorOperator):
    """Stands in for every executor while planning."""

    SUPPORTED_EXECUTOR_SPEC_TYPE = [  # noqa: RUF012
        executable_spec_pb2.PythonClassExecutableSpec,
        executable_spec_pb2.BeamExecutableSpec,
    ]
    SUPPORTED_PLATFORM_CONFIG_TYPE: list[type[message.Message]] = []  # noqa: RUF012

    def run_executor(self, execution_info: data_types.ExecutionInfo) -> execution_result_pb2.ExecutorOutput:
        raise _WouldRun


def plan(config: RunConfig) -> list[tuple[str, str]]:
    """What a run would do: for each node "run", "cached" or "skip".

    TFX's own launcher is driven on a copy of the metadata store, with executors that refuse to run; the run's folder is
    left as it is.
    """
    with tempfile.TemporaryDirectory(prefix="millrace-plan-") as folder:
        ir = compile_ir(config, "plan")
        copy = Path(folder) / "metadata.db"
        original = _connection(ir).sqlite.filename_uri
        if Path(original).exists():
            with _flock(original + ".lock"), sqlite3.connect(original) as source, sqlite3.connect(copy) as target:
                source.backup(target)
        ir.runtime_spec.pipeline_root.field_value.string_value = str(Path(folder) / "artifacts")
        connection = metadata_store_pb2.ConnectionConfig()
        connection.sqlite.filename_uri = str(copy)
        connection.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        store = LockedMetadata(connection)
        _reuse_earlier(ir, store)
        return list(_planned(ir, store))


def _planned(ir: pipeline_pb2.Pipeline, store: metadata.Metadata) -> Iterator[tuple[str, str]]:
    operators = {spec: _PlanOperator for spec in _PlanOperator.SUPPORTED_EXECUTOR_SPEC_TYPE}
    would_run: set[str] = set()
    for node in _nodes(ir):
        if node.skipped:
            yield node.id, "skip"
            continue
        if would_run.isdisjoint(node.upstream):
            try:
                info = _launcher(ir, node.id, store, custom_executor_operators=operators).launch()
            except _WouldRun:
                pass
            else:
                # A resolver has no cache: it looks the store up, in a run as here.
                yield node.id, "cached" if _outcome(store, info, node.id) == "cached" else "run"
                continue
        would_run.add(node.id)
        yield node.id, "run"


def clear_dead_executions(config: RunConfig) -> list[str]:
    """Cancels executions that a dead run left open, and removes what they half wrote.

    Called while the task's root is locked, so that no live run can own them.

    Returns:
      Names of the nodes concerned.
    """
    if not config.metadata.exists():
        return []
    connection = metadata.sqlite_metadata_connection_config(str(config.metadata))
    cleared = []
    with LockedMetadata(connection) as handle:
        store = handle.store
        types = {kind.id: kind.name for kind in store.get_execution_types()}
        dead = [execution for execution in store.get_executions() if execution.last_known_state in _RUNNING]
        for execution in dead:
            for output in config.artifacts.glob(f"*/*/{execution.id}"):
                shutil.rmtree(output)
            for working in config.artifacts.glob(f"*/.system/*/{execution.id}"):
                shutil.rmtree(working)
            execution.last_known_state = _Execution.CANCELED
            cleared.append(types[execution.type_id])
        if dead:
            store.put_executions(dead)
    return cleared
