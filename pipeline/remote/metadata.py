"""Executions of ML Metadata as values that can be written down, and a store made from such values.

A root in a bucket has no database. What each node did is one JSON object, written once; a store is made from all of
them, on the machine that needs one, with the ids that the first store gave. So TFX's launcher finds its inputs, its
cache and what earlier runs left, wherever it runs.

    graph = capture(store, execution_id)
    replay(Path("metadata.db"), {"20261120T010203.Trainer": graph})
"""

import sqlite3
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from google.protobuf import json_format, message
from ml_metadata.proto import metadata_store_pb2

Graph = dict[str, Any]
"""An execution with all that hangs on it: JSON of ML Metadata's messages."""

_OUTPUTS = (metadata_store_pb2.Event.OUTPUT, metadata_store_pb2.Event.DECLARED_OUTPUT)
_TIMES = ("create_time_since_epoch", "last_update_time_since_epoch")
_KNOWN = "millrace_records"


def open_store(path: Path) -> mlmd.MetadataStore:
    """A store in a file, made where there is none."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return mlmd.MetadataStore(config)


def capture(store: mlmd.MetadataStore, execution_id: int) -> Graph:
    """An execution, its events and contexts, and the artifacts that it was the first to give."""
    (execution,) = store.get_executions_by_id([execution_id])
    (kind,) = store.get_execution_types_by_id([execution.type_id])
    events = list(store.get_events_by_execution_ids([execution_id]))
    given = sorted({event.artifact_id for event in events if event.type in _OUTPUTS})
    makers = list(store.get_events_by_artifact_ids(given)) if given else []
    first = {
        artifact: min(e.execution_id for e in makers if e.artifact_id == artifact and e.type in _OUTPUTS)
        for artifact in given
    }
    made = [artifact for artifact in given if first[artifact] == execution_id]
    artifacts = list(store.get_artifacts_by_id(made)) if made else []
    kinds = {a.type_id: store.get_artifact_types_by_id([a.type_id])[0] for a in artifacts}
    contexts = list(store.get_contexts_by_execution(execution_id))
    about = {c.type_id: store.get_context_types_by_id([c.type_id])[0] for c in contexts}
    return {
        "execution": _json(execution),
        "type": _json(kind),
        "events": [_json(event) for event in events],
        "artifacts": [{"type": _json(kinds[a.type_id]), "artifact": _json(a)} for a in artifacts],
        "contexts": [{"type": _json(about[c.type_id]), "context": _json(c)} for c in contexts],
    }


def replay(path: Path, graphs: Mapping[str, Graph]) -> None:
    """Adds executions to a store in a file, under the ids that they have; one whose name is there already is passed over.

    Args:
      path: the store; made where there is none.
      graphs: name -> what `capture` gave.
    """
    store = open_store(path)
    with sqlite3.connect(path) as side:
        side.execute(f"CREATE TABLE IF NOT EXISTS {_KNOWN} (name TEXT PRIMARY KEY)")
    known = names(path)
    ordered = sorted(graphs.items(), key=lambda entry: int(entry[1]["execution"]["id"]))
    for name, graph in ordered:
        if name not in known:
            insert(store, graph, lambda table, given, wanted: _give_id(path, table, given, wanted))
            _keep_times(path, graph)
            with sqlite3.connect(path) as side:
                side.execute(f"INSERT INTO {_KNOWN} VALUES (?)", (name,))  # noqa: S608


def names(path: Path) -> set[str]:
    """The names of the executions that a store was made from."""
    if not path.exists():
        return set()
    with sqlite3.connect(path) as side:
        if not side.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_KNOWN,)).fetchone():
            return set()
        return {name for (name,) in side.execute(f"SELECT name FROM {_KNOWN}")}  # noqa: S608


def uris(path: Path) -> list[str]:
    """The places of all artifacts of a store in a file."""
    with sqlite3.connect(path) as side:
        return [uri for (uri,) in side.execute("SELECT DISTINCT uri FROM Artifact WHERE uri IS NOT NULL")]


def insert(store: mlmd.MetadataStore, graph: Graph, give_id: Callable[[str, int, int], int] | None = None) -> int:
    """Adds an execution and what hangs on it to a store.

    Args:
      store: any; one behind gRPC gives ids of its own.
      graph: of `capture`.
      give_id: gives the new artifact or execution another id than the store did, and returns the one that it has.

    Returns:
      The execution's id in this store.
    """
    give = give_id or (lambda table, given, wanted: given)
    contexts = [_context(store, entry) for entry in graph["contexts"]]
    ids: dict[int, int] = {}
    for entry in graph["artifacts"]:
        artifact = json_format.ParseDict(entry["artifact"], metadata_store_pb2.Artifact())
        own = artifact.id
        artifact.type_id = _type(store.put_artifact_type, entry["type"], metadata_store_pb2.ArtifactType())
        _forget(artifact)
        (number,) = store.put_artifacts([artifact])
        ids[own] = give("Artifact", number, own)
    execution = json_format.ParseDict(graph["execution"], metadata_store_pb2.Execution())
    own = execution.id
    execution.type_id = _type(store.put_execution_type, graph["type"], metadata_store_pb2.ExecutionType())
    _forget(execution)
    (number,) = store.put_executions([execution])
    number = give("Execution", number, own)
    events = [json_format.ParseDict(entry, metadata_store_pb2.Event()) for entry in graph["events"]]
    for event in events:
        event.execution_id = number
        event.artifact_id = ids.get(event.artifact_id, event.artifact_id)
    if events:
        store.put_events(events)
    store.put_attributions_and_associations(
        [
            metadata_store_pb2.Attribution(context_id=context, artifact_id=artifact)
            for context in contexts
            for artifact in sorted({event.artifact_id for event in events})
        ],
        [metadata_store_pb2.Association(context_id=context, execution_id=number) for context in contexts],
    )
    return number


def _give_id(path: Path, table: str, given: int, wanted: int) -> int:
    """SQLite gives no id below the highest; what is replayed late has one."""
    with sqlite3.connect(path) as side:
        side.execute(f"UPDATE {table} SET id = ? WHERE id = ?", (wanted, given))  # noqa: S608
        owned = f"UPDATE {table}Property SET {table.lower()}_id = ? WHERE {table.lower()}_id = ?"  # noqa: S608
        side.execute(owned, (wanted, given))
    return wanted


def start_ids(path: Path, table: str, number: int) -> None:
    """Makes the next row of a table of a store in a file have this id, or the next above all that are there."""
    with sqlite3.connect(path) as side:
        found = side.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        if found is None:
            side.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number - 1))
        else:
            side.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (number - 1, table))


def own_ids(run_id: str, place: int) -> int:
    """Where the ids of a node's execution and artifacts begin, so that no two nodes and no two runs give one twice.

    Later ones are higher, for what looks for the newest. They stay under 2**53, which JSON's numbers hold.

    Args:
      run_id: of the run.
      place: the node's place in the pipeline, under 64.
    """
    return (int(time.time()) << 20) | (place % 64 << 14) | (zlib.crc32(run_id.encode()) % 32 << 9)


def rename(path: Path, old: str, new: str) -> None:
    """Replaces the beginning of places in a store in a file: in URIs, and wherever a property names a place."""
    columns = (("Artifact", "uri"), ("ArtifactProperty", "string_value"), ("ExecutionProperty", "string_value"))
    with sqlite3.connect(path) as side:
        for table, column in columns:
            side.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE instr({column}, ?) > 0",  # noqa: S608
                (old, new, old),
            )


def _context(store: mlmd.MetadataStore, entry: dict[str, Any]) -> int:
    context = json_format.ParseDict(entry["context"], metadata_store_pb2.Context())
    known = store.get_context_by_type_and_name(entry["type"]["name"], context.name)
    if known:
        return int(known.id)
    context.type_id = _type(store.put_context_type, entry["type"], metadata_store_pb2.ContextType())
    _forget(context)
    return int(store.put_contexts([context])[0])


def _type(put: Callable[..., int], entry: dict[str, Any], kind: Any) -> int:
    json_format.ParseDict(entry, kind)
    kind.ClearField("id")
    return put(kind, can_add_fields=True, can_omit_fields=True)


def _forget(found: Any) -> None:
    """Clears what a store gives by itself."""
    for field in ("id", "type", *_TIMES):
        found.ClearField(field)


def _keep_times(path: Path, graph: Graph) -> None:
    rows = [("Execution", graph["execution"]), *(("Artifact", entry["artifact"]) for entry in graph["artifacts"])]
    with sqlite3.connect(path) as side:
        for table, found in rows:
            times = [int(found.get(json_name, 0)) for json_name in ("createTimeSinceEpoch", "lastUpdateTimeSinceEpoch")]
            side.execute(
                f"UPDATE {table} SET create_time_since_epoch = ?, last_update_time_since_epoch = ? WHERE id = ?",  # noqa: S608
                (*times, int(found["id"])),
            )


def _json(found: message.Message) -> dict[str, Any]:
    return json_format.MessageToDict(found)
