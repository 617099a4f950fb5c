"""Runs on this machine whose root is in a bucket: `--root s3://bucket/runs`, `--root gs://bucket/runs`.

A folder of this machine stands for the root: `~/.cache/millrace/<digest>`, or where MILLRACE_CACHE or XDG_CACHE_HOME say.
Before a run it gets what the bucket knows of earlier ones; what each node made is sent when it has ended, and then what
says so; the run's record, logs and report at the end. What only reads gets what it reads. A folder that was removed is
made again from the bucket; only the checkpoints of a training that has not ended are nowhere else.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from pipeline import mirrored
from pipeline.beam import place
from pipeline.config import RunConfig
from pipeline.errors import MillraceError, UsageError
from pipeline.ingest import files
from pipeline.remote import transfer
from pipeline.remote.mirror import Mirror
from pipeline.runners import account, processes, records
from pipeline.task import Task

Part = Literal["runs", "serving", "trainings"]

_LARGE = ("Examples", "TransformCache")
"""Types of artifacts whose files no report reads."""
_ROWS = "Examples"
_WITHOUT_COPIES = ("ExampleGen", "StatisticsGen")
"""Nodes that can do without any folder that stands for the bucket; the others of Beam's can as far as rows go."""
_READERS = 16
_TRAININGS = "artifacts/Trainer/model_run"
_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "gs": ("STORAGE_EMULATOR_HOST",)}


def placed(root: str) -> tuple[str, str | None]:
    """A root as it is named everywhere, and the folder that stands for it.

    Args:
      root: `--root`.

    Returns:
      An absolute path and None; or the place in the bucket, and the folder, made where it is not there.

    Raises:
      UsageError: it names no bucket, or another kind of store; or the folder can't be made.
    """
    if "://" not in root:
        name, server = os.path.abspath(root), ""
        if not any(Path(name).glob("*/metadata/records")):
            return name, None
        # A folder that `kubeflow_runner.py execute` had stand for a bucket: it has records, and no database.
    else:
        scheme, _, key = root.partition("://")
        key = key.strip("/")
        if scheme not in files.EXTRAS or not key:
            raise UsageError(f"--root: expected a folder, s3://bucket/folder or gs://bucket/folder. Received: {root}")
        name = f"{scheme}://{key}"
        # Servers that are not Amazon's or Google's have buckets of the same names.
        server = next(filter(None, map(os.environ.get, _ENDPOINTS[scheme])), "")
    folder = _cache() / "millrace" / hashlib.sha256(f"{name} {server}".encode()).hexdigest()[:16]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "root.txt").write_text(f"{name}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--root {name}: {folder}, which is to stand for it, can't be written: {error.strerror}. "
            "Next: set MILLRACE_CACHE to a folder that can"
        ) from error
    mirrored.stand_in(name, str(folder))
    return name, str(folder)


def config_of(task: str, root: str) -> RunConfig:
    """A task's part of a root, for commands that are told nothing else."""
    name, folder = placed(root)
    return RunConfig(task=task, root=name, mirror=folder)


def as_named(text: str) -> str:
    """A message in which the folders that stand for roots are named as the roots."""
    for root, folder in mirrored.stand_ins().items():
        text = text.replace(folder, root)
    return text


# What only reads.


def brought(root: str, task: str | None, *parts: Part) -> str:
    """Brings what a command reads.

    Args:
      root: `--root`.
      task: whose; None means all.
      *parts: the records of runs, the served models, the logs of trainings.

    Returns:
      The local folder that is read in place of the root: itself, where it is local.

    Raises:
      MillraceError: the bucket can't be read.
    """
    name, folder = placed(root)
    if folder is None:
        return root
    for one in [task] if task else transfer.names(name):
        config = RunConfig(task=one, root=name, mirror=folder)
        mirror = Mirror.of(config)
        if "runs" in parts:
            bring_records(mirror)
        if "trainings" in parts:
            mirror.fetch(_TRAININGS)
        if "serving" in parts:
            with _free(config) as free:
                if free:
                    mirror.serving()
    return folder


def bring_records(mirror: Mirror) -> None:
    """Brings the records of runs that are not here yet, or were not over when they came."""

    def bring(run_id: str) -> None:
        folder = mirror.home / "runs" / run_id
        if not _over(folder) and (found := mirror.read(f"runs/{run_id}/run.json")):
            folder.mkdir(parents=True, exist_ok=True)
            records.write(folder, found)

    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(bring, filter(records.is_run_id, mirror.listed("runs"))))


def bring_run(root: str, task: str, run_id: str) -> None:
    """Brings what the report of a run is made from, but for its rows; nothing where the root is local."""
    config = config_of(task, root)
    if config.mirror is None:
        return
    with _free(config) as free, tempfile.TemporaryDirectory(prefix="millrace-") as logs:
        if free:
            Mirror.of(config).fetch(f"runs/{run_id}")
            processes.call(_bring_run, config, run_id, log=Path(logs) / "bring.log")


def bring_named(root: str, record: Mapping[str, Any]) -> None:
    """Brings the folders that the record of a run names; nothing where the root is local."""
    config = config_of(record["task"], root)
    if config.mirror is not None:
        mirror = Mirror.of(config)
        mirror.bring(uri for uri in record.get("artifacts", {}).values() if Path(uri).is_relative_to(mirror.home))


def refuse(command: str, root: str, instead: str) -> None:
    """Raises UsageError where a root is in a bucket.

    Args:
      command: that can't do with one.
      root: `--root`.
      instead: what to do.
    """
    if "://" in root:
        raise UsageError(f"{command}: expected a root on this machine. Received: --root {root}. Next: {instead}")


# A run.


def known(config: RunConfig) -> None:
    """Brings the records of the task's earlier runs.

    Raises:
      MillraceError: the bucket can't be read.
    """
    if config.mirror:
        bring_records(Mirror.of(config))


def to_itself(config: RunConfig) -> contextlib.AbstractContextManager[None]:
    """Keeps runs out of the folder that stands for a root while it is brought up to date without one.

    Raises:
      MillraceError: one is at work in it.
    """
    return records.locked(config) if config.mirror else contextlib.nullcontext()


def begin(config: RunConfig, task: Task, resumed_from: str | None) -> tuple[Path, dict[str, Any]]:
    """Makes the folder and the record of a run; in a bucket the record says that the run was killed, until it ends.

    Raises:
      UsageError: the root can't be written.
      MillraceError: the bucket can't be reached or written.
    """
    while True:
        folder = records.new_run(config)
        record = account.begun(config, task, folder.name, resumed_from)
        try:
            if not config.mirror or Mirror.of(config).write(f"runs/{folder.name}/run.json", record, create=True):
                return folder, record
        except BaseException:
            shutil.rmtree(folder)
            raise
        # Another machine began a run in this second; with the folder there, the next try takes another id.


@contextlib.contextmanager
def pushing(config: RunConfig) -> Iterator[None]:
    """Changes to the served folder, sent at the end; in a bucket for one writer at a time.

    Raises:
      MillraceError: another writer is at work, or the bucket can't be written.
    """
    if not config.mirror:
        yield
        return
    with Mirror.of(config).pushing(f"rollback on {socket.gethostname()}, process {os.getpid()}"):
        yield


def forget(config: RunConfig, folder: Path) -> None:
    """Removes a run that was not to be started."""
    shutil.rmtree(folder)
    if config.mirror:
        Mirror.of(config).drop(f"runs/{folder.name}")


def end(config: RunConfig, folder: Path) -> None:
    """Sends the report, the logs and the record of a run that has ended; the record last.

    Raises:
      MillraceError: the bucket can't be reached or written; all of it is in the folder.
    """
    if not config.mirror:
        return
    mirror = Mirror.of(config)
    try:
        mirror.send(f"reports/{folder.name}")
        for name in ("index.html", "index.json"):
            mirror.send(f"reports/{name}")
        mirror.send(f"runs/{folder.name}", last=("run.json",))
    except MillraceError as error:
        raise MillraceError(f"{error}\nThe run has ended, and its record is only here: {folder}") from error


# The functions below run in child processes, where TFX is imported.


@contextlib.contextmanager
def prepared(config: RunConfig, run_id: str) -> Iterator[None]:
    """Makes the folder know what the bucket does, before the pipeline is compiled; then commits what compiling recorded.

    That is something where a run leaves nodes out: it takes an earlier run's executions for its own.
    """
    if not config.mirror:
        yield
        return
    from pipeline.remote import metadata

    mirrored.stand_in(config.root, config.mirror)
    mirror = Mirror.of(config)
    mirror.metadata()
    _remove_unknown(config)
    mirror.serving()
    if config.cache and not config.training.exists():
        mirror.fetch("training")
    for table in ("Execution", "Artifact"):
        metadata.start_ids(config.metadata, table, metadata.own_ids(run_id, 0))
    with _store(config) as store:
        _relate_runs(store)
        before = {execution.id for execution in store.get_executions()}
    yield
    with _store(config) as store:
        new = [execution.id for execution in store.get_executions() if execution.id not in before]
        graphs = [metadata.capture(store, number) for number in new]
    for number, graph in zip(new, graphs, strict=True):
        mirror.commit(run_id, f"reused-{number}", graph)


def launch(ir: bytes, node: str, config: RunConfig, run_id: str) -> str:
    """Runs one node, as `graph.launch`; with a mirror, as `launch_committed`."""
    from pipeline.runners import graph

    if not config.mirror:
        return graph.launch(ir, node)
    state, _ = launch_committed(ir, node, config, run_id)
    if node == "Trainer":
        Mirror.of(config).drop("training")
    return state


def launch_committed(ir: bytes, node: str, config: RunConfig, run_id: str) -> tuple[str, int]:
    """Runs one node of a root in a bucket: brings its inputs before, and sends and commits what it made.

    With the workers of its Beam jobs on other machines, rows are read and written in the bucket itself.

    Returns:
      "done" or "cached", and the execution's id.
    """
    from pipeline.remote import metadata
    from pipeline.runners import graph

    mirrored.stand_in(config.root, config.mirror)
    mirror = Mirror.of(config)
    elsewhere = place.of_arguments(graph.beam_arguments(ir, node)) is not None

    def stays(artifact: Any) -> bool:
        return elsewhere and (node in _WITHOUT_COPIES or artifact.type_name == _ROWS)

    @contextlib.contextmanager
    def around(info: Any) -> Iterator[None]:
        used = [*_all(info.input_dict), *_all(info.output_dict)]
        with mirrored.in_bucket(filter(stays, used)):
            mirror.bring(_uris(info.input_dict, mirror))
            yield
            for uri in _uris(info.output_dict, mirror):
                mirror.send(str(Path(uri).relative_to(mirror.home)))

    with contextlib.ExitStack() as stack:
        if node == "Pusher":
            stack.enter_context(mirror.pushing(run_id))
        state, execution = graph.executed(ir, node, around)
    with _store(config) as store:
        graph_of = metadata.capture(store, execution)
    mirror.commit(run_id, node, graph_of)
    return state, execution


def bring_results(config: RunConfig, run_id: str) -> None:
    """Brings what the summary and the report of a run read, of the nodes that were cached, too."""
    if config.mirror:
        _bring_results(config, run_id)
        with contextlib.suppress(MillraceError):
            Mirror.of(config).snapshot()


def _bring_run(config: RunConfig, run_id: str) -> None:
    Mirror.of(config).metadata()
    _bring_results(config, run_id)


def _bring_results(config: RunConfig, run_id: str) -> None:
    from pipeline.runners import results

    made = results.artifacts_of(config, run_id).values()
    mirror = Mirror.of(config)
    uris = {artifact.uri for artifact in made if artifact.type not in _LARGE}
    mirror.bring(sorted(uri for uri in uris if Path(uri).is_relative_to(mirror.home)))


def _uris(artifacts: Mapping[str, Iterable[Any]], mirror: Mirror) -> list[str]:
    found = {artifact.uri for artifact in _all(artifacts)}
    return sorted(uri for uri in found if Path(uri).is_relative_to(mirror.home))


def _all(artifacts: Mapping[str, Iterable[Any]]) -> Iterator[Any]:
    return (artifact for listed in artifacts.values() for artifact in listed)


def _relate_runs(store: Any) -> None:
    """Makes the runs in a store those of its pipeline: so TFX finds the last one, whose results a part of a run takes."""
    from ml_metadata.proto import metadata_store_pb2

    known = {kind.name for kind in store.get_context_types()}
    if not {"pipeline", "pipeline_run"} <= known:
        return
    for pipeline in store.get_contexts_by_type("pipeline"):
        related = {context.id for context in store.get_children_contexts_by_context(pipeline.id)}
        missing = [run.id for run in store.get_contexts_by_type("pipeline_run") if run.id not in related]
        if missing:
            store.put_parent_contexts(
                [metadata_store_pb2.ParentContext(child_id=run, parent_id=pipeline.id) for run in missing]
            )


@contextlib.contextmanager
def _store(config: RunConfig) -> Iterator[Any]:
    """ML Metadata's store, for one process at a time."""
    from tfx.orchestration import metadata

    from pipeline.runners import graph

    with graph.LockedMetadata(metadata.sqlite_metadata_connection_config(str(config.metadata))) as handle:
        yield handle.store


def _remove_unknown(config: RunConfig) -> None:
    """Removes the outputs of nodes that never came to their end: no record names them."""
    from pipeline.remote import metadata

    known = {Path(uri) for uri in metadata.uris(config.metadata)}
    for folder in config.artifacts.glob("[!.]*/[!.]*/*"):
        if folder.is_dir() and folder.name.isdigit() and folder not in known:
            shutil.rmtree(folder)


@contextlib.contextmanager
def _free(config: RunConfig) -> Iterator[bool]:
    """Whether no run of this machine is at work in the folder; where one is, it is up to date and is left alone."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(records.locked(config))
            free = True
        except MillraceError:
            free = False
        yield free


def _over(folder: Path) -> bool:
    """Whether the record of a run is here, and says how it ended."""
    try:
        return bool(json.loads((folder / "run.json").read_text("utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _cache() -> Path:
    for name in ("MILLRACE_CACHE", "XDG_CACHE_HOME"):
        if found := os.environ.get(name):
            return Path(os.path.abspath(found))
    return Path.home() / ".cache"
