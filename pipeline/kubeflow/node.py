"""One node in a container: by TFX's own launcher, on a store made from the root's records.

The node runs in a child of this process, which stays small: so its output is kept, and a node that is killed, by the
kernel for want of memory most often, still leaves a word of how it ended. What it did is committed last of all; a step
that the cluster repeats finds it committed and only says again what came of it.
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import mirrored
from pipeline.config import RunConfig
from pipeline.errors import ERRORS, ExitCode, MillraceError
from pipeline.remote import following
from pipeline.remote.mirror import Mirror
from pipeline.runners import processes, remote_root

SERVING = frozenset({"DataChecks", "Evaluator", "Pusher", "BulkInferrer"})
"""Nodes that look at what is served."""
_TUNING = "tuning"
"""Folder of what a search has come to so far, which outlives the container; a training keeps its own."""
_TICK = 0.5
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Step:
    """A step of the compiled pipeline.

    Attributes:
      node: TFX's node.
      lookups: resolvers that run before it, in the same container: they only look something up.
      place: among the pipeline's nodes; ids in ML Metadata begin by it.
    """

    node: str
    lookups: tuple[str, ...]
    place: int


def state_of(run_id: str, node: str) -> str:
    """Where a node's state is, below the task's part of the root."""
    return f"runs/{run_id}/nodes/{node}.json"


def run(step: Step, config: RunConfig, run_id: str) -> dict[str, Any]:
    """Runs a step.

    Args:
      step: which.
      config: of the run; with a mirror.
      run_id: of the run.

    Returns:
      Its outputs: key -> `{"uri", "type", "properties"}`, places as they are in the bucket.

    Raises:
      MillraceError: the node failed, or the data gate stopped the run.
    """
    mirror = Mirror.of(config)
    log = config.home / "runs" / run_id / "logs" / f"{step.node}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    began = time.time()
    attempt = (mirror.read(state_of(run_id, step.node)) or {}).get("attempt", 0) + 1
    state: dict[str, Any] = {"node": step.node, "state": "running", "error": None, "exit_code": None}
    state |= {"began": began, "attempt": attempt}
    mirror.write(state_of(run_id, step.node), state)
    job = None
    try:
        processes.warm_up(log)
        job = processes.Job(_work, step, config, run_id, attempt, log=log)
        with _shown(log) as show:
            while not processes.first_ended([job], _TICK):
                show()
        result = job.result()
    except BaseException as stop:
        if job is not None:
            job.stop()
        why = "by the cluster" if isinstance(stop, KeyboardInterrupt) else f"by {type(stop).__name__}: {stop}"
        state |= {"state": "stopped", "error": f"its container was ended {why}", "exit_code": 1}
        _leave(mirror, state, run_id, log, began)
        raise
    named = mirror.named(result.error or "") or None
    state |= {"peak_mb": result.peak_mb, "cpu_seconds": round(result.cpu_seconds, 3), "error": named}
    if result.error is not None:
        blocked = result.exit_code == ExitCode.DATA_BLOCKED
        state |= {"state": "blocked" if blocked else "failed", "exit_code": int(result.exit_code)}
        _leave(mirror, state, run_id, log, began)
        raise ERRORS.get(result.exit_code, MillraceError)(named or "")
    state |= {"state": result.value["state"], "exit_code": 0}
    _leave(mirror, state, run_id, log, began)
    return dict(result.value["outputs"])


def _leave(mirror: Mirror, state: dict[str, Any], run_id: str, log: Path, began: float) -> None:
    """Stores how a node ended, and its log."""
    state["seconds"] = round(time.time() - began, 3)
    with contextlib.suppress(OSError):
        mirror.send(str(log.relative_to(mirror.home)))
    mirror.write(state_of(run_id, str(state["node"])), state)


@contextlib.contextmanager
def _shown(log: Path) -> Iterator[Any]:
    """Gives a function that writes to the container's output what is new in a log."""
    with log.open("rb") as stream:

        def show() -> None:
            while block := stream.read(_BLOCK):
                sys.stderr.buffer.write(block)
            sys.stderr.flush()

        try:
            yield show
        finally:
            show()


def _work(step: Step, config: RunConfig, run_id: str, attempt: int) -> dict[str, Any]:
    """In the child."""
    from pipeline.remote import metadata
    from pipeline.runners import graph

    mirror = Mirror.of(config)
    mirrored.stand_in(config.root, config.mirror)
    mirror.metadata()
    done = mirror.committed(run_id, step.node)
    if done is not None:
        return {"state": "done", "outputs": _outputs(config, int(done["execution"]["id"]))}
    if step.node in SERVING:
        mirror.serving()
    for table in ("Execution", "Artifact"):
        metadata.start_ids(config.metadata, table, metadata.own_ids(run_id, step.place))
    compiled = graph.compile_graph(config, run_id).ir
    for node in step.lookups:
        if mirror.committed(run_id, node) is None:
            remote_root.launch_committed(compiled, node, config, run_id)
            mirror.write(state_of(run_id, node), {"node": node, "state": "done", "exit_code": 0, "seconds": 0.0})
    if step.node == "Trainer" and not config.cache and attempt == 1:
        mirror.drop("training")
    with contextlib.ExitStack() as stack:
        if step.node == "Tuner":
            mirror.fetch(_TUNING)
            stack.enter_context(following.uploads(config.home / _TUNING, f"{mirror.url}/{_TUNING}"))
        state, execution = remote_root.launch_committed(compiled, step.node, config, run_id)
    return {"state": state, "outputs": _outputs(config, execution)}


def _outputs(config: RunConfig, execution: int) -> dict[str, Any]:
    """What an execution gave, as the cluster is told it."""
    from ml_metadata.proto import metadata_store_pb2

    from pipeline.remote import metadata

    store = metadata.open_store(config.metadata)
    mirror = Mirror.of(config)
    given = [
        event
        for event in store.get_events_by_execution_ids([execution])
        if event.type == metadata_store_pb2.Event.OUTPUT
    ]
    found = {a.id: a for a in store.get_artifacts_by_id([event.artifact_id for event in given])} if given else {}
    return {
        event.path.steps[0].key: {
            "uri": mirror.named(found[event.artifact_id].uri),
            "type": store.get_artifact_types_by_id([found[event.artifact_id].type_id])[0].name,
            "properties": _plain(found[event.artifact_id], mirror),
        }
        for event in given
    }


def _plain(artifact: Any, mirror: Mirror) -> Mapping[str, Any]:
    """An artifact's properties as JSON values; texts that are long or JSON themselves stay in the record."""
    values: dict[str, Any] = {}
    for name, value in (*artifact.properties.items(), *artifact.custom_properties.items()):
        plain = getattr(value, value.WhichOneof("value") or "string_value")
        if isinstance(plain, int | float) or (isinstance(plain, str) and len(plain) < 500):
            values[name] = mirror.named(plain) if isinstance(plain, str) else plain
    return json.loads(json.dumps(values))
