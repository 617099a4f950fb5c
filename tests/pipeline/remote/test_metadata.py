"""Executions as values, and a store made from them."""

import itertools
import json
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.remote import metadata


def _store(path: Path) -> mlmd.MetadataStore:
    """A store with a run of two nodes: Gen gives an artifact that Train reads."""
    store = metadata.open_store(path)
    examples = store.put_artifact_type(pb.ArtifactType(name="Examples", properties={"span": pb.INT}))
    model = store.put_artifact_type(pb.ArtifactType(name="Model"))
    kinds = [store.put_execution_type(pb.ExecutionType(name=name)) for name in ("Gen", "Train")]
    run = store.put_context_type(pb.ContextType(name="pipeline_run"))
    context = pb.Context(type_id=run, name="run-1")
    made = pb.Artifact(type_id=examples, uri="/home/a/1", properties={"span": pb.Value(int_value=7)})
    made.custom_properties["note"].string_value = "/home/a/1/x"
    out, into = pb.Event(type=pb.Event.OUTPUT), pb.Event(type=pb.Event.INPUT)
    out.path.steps.add(key="examples")
    into.path.steps.add(key="examples")
    gen = pb.Execution(type_id=kinds[0], name="gen", last_known_state=pb.Execution.COMPLETE)
    _, artifacts, _ = store.put_execution(gen, [(made, out)], [context])
    known = store.get_artifacts_by_id(artifacts)[0]
    (context,) = store.get_contexts_by_type("pipeline_run")
    train = pb.Execution(type_id=kinds[1], name="train", last_known_state=pb.Execution.COMPLETE)
    given = pb.Event(type=pb.Event.OUTPUT)
    given.path.steps.add(key="model")
    store.put_execution(
        train, [(known, into), (pb.Artifact(type_id=model, uri="/home/m/2"), given)], [context],
        reuse_context_if_already_exist=True,
    )  # fmt: skip
    return store


def _graphs(store: mlmd.MetadataStore) -> dict[str, Any]:
    found = {f"run.{e.name}": metadata.capture(store, e.id) for e in store.get_executions()}
    return dict(json.loads(json.dumps(found)))


def _comparable(graphs: dict[str, Any]) -> dict[str, Any]:
    """Without the numbers that each store gives its types and contexts by itself."""
    found = json.loads(json.dumps(graphs))
    for graph in found.values():
        graph["type"].pop("id")
        graph["execution"].pop("typeId")
        for entry in graph["artifacts"]:
            entry["type"].pop("id")
            entry["artifact"].pop("typeId")
        for entry in graph["contexts"]:
            entry["type"].pop("id")
            for name in ("id", "typeId", "createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"):
                entry["context"].pop(name, None)
    return dict(found)


def test_a_store_made_from_records_has_the_same_in_it(tmp_path: Path) -> None:
    graphs = _graphs(_store(tmp_path / "a.db"))
    metadata.replay(tmp_path / "b.db", graphs)
    assert _comparable(_graphs(metadata.open_store(tmp_path / "b.db"))) == _comparable(graphs)


def test_what_a_node_was_the_first_to_give_is_in_its_record_alone(tmp_path: Path) -> None:
    graphs = _graphs(_store(tmp_path / "a.db"))
    assert [entry["artifact"]["uri"] for entry in graphs["run.gen"]["artifacts"]] == ["/home/a/1"]
    assert [entry["artifact"]["uri"] for entry in graphs["run.train"]["artifacts"]] == ["/home/m/2"]


def test_a_record_that_comes_late_has_its_own_ids_all_the_same(tmp_path: Path) -> None:
    graphs = _graphs(_store(tmp_path / "a.db"))
    late = json.loads(json.dumps(graphs["run.gen"]).replace('"gen"', '"late"').replace("/home/a/1", "/home/a/0"))
    late["execution"]["id"] = "900"
    late["artifacts"][0]["artifact"]["id"] = "901"
    late["events"][0]["artifactId"] = "901"
    target = tmp_path / "b.db"
    high = json.loads(
        json.dumps(late).replace('"late"', '"high"').replace('"901"', '"5001"').replace('"900"', '"5000"')
    )
    metadata.replay(target, {**graphs, "run.high": high})
    metadata.replay(target, {"run.late": late})
    store = metadata.open_store(target)
    assert sorted(e.id for e in store.get_executions()) == [1, 2, 900, 5000]
    assert sorted(a.id for a in store.get_artifacts()) == [1, 2, 901, 5001]
    (event,) = store.get_events_by_execution_ids([900])
    assert event.artifact_id == 901
    (artifact,) = store.get_artifacts_by_id([901])
    assert artifact.properties["span"].int_value == 7


def test_a_record_is_added_once(tmp_path: Path) -> None:
    graphs = _graphs(_store(tmp_path / "a.db"))
    for _ in range(2):
        metadata.replay(tmp_path / "b.db", graphs)
    assert metadata.names(tmp_path / "b.db") == {"run.gen", "run.train"}
    assert len(metadata.open_store(tmp_path / "b.db").get_executions()) == 2


def test_an_artifact_of_an_unknown_record_is_an_error(tmp_path: Path) -> None:
    graphs = _graphs(_store(tmp_path / "a.db"))
    with pytest.raises(mlmd.errors.InvalidArgumentError):
        metadata.replay(tmp_path / "b.db", {"run.train": graphs["run.train"]})


def test_the_next_ids_begin_where_they_are_told_to(tmp_path: Path) -> None:
    store = _store(tmp_path / "a.db")
    first = metadata.own_ids("20261120T010203", 3)
    metadata.start_ids(tmp_path / "a.db", "Artifact", first)
    kind = store.get_artifact_type("Model").id
    assert list(store.put_artifacts([pb.Artifact(type_id=kind), pb.Artifact(type_id=kind)])) == [first, first + 1]


def test_no_two_nodes_or_runs_share_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata.time, "time", lambda: 1_800_000_000.9)
    starts = {metadata.own_ids(run, place) for run in ("20261120T010203", "20261120T010204") for place in range(64)}
    assert len(starts) == 128
    ordered = sorted(starts)
    assert min(b - a for a, b in itertools.pairwise(ordered)) >= 512
    assert max(starts) + 512 < 2**53


def test_places_are_renamed_in_uris_and_properties(tmp_path: Path) -> None:
    _store(tmp_path / "a.db")
    metadata.rename(tmp_path / "a.db", "/home", "s3://bucket/x")
    assert metadata.uris(tmp_path / "a.db") == ["s3://bucket/x/a/1", "s3://bucket/x/m/2"]
    found = metadata.open_store(tmp_path / "a.db").get_artifacts_by_uri("s3://bucket/x/a/1")[0]
    assert found.custom_properties["note"].string_value == "s3://bucket/x/a/1/x"
