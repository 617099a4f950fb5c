"""The model that a training begins with, looked up in ML Metadata."""

from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.types import standard_artifacts

from components.warm_start import EarlierModel
from pipeline.errors import MillraceError


@pytest.fixture
def store(tmp_path: Path) -> mlmd.MetadataStore:
    """Runs r1 and r2 trained the models 1 and 2; r3 took model 1 from the cache; r4 trained nothing."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "metadata.db")
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    made = mlmd.MetadataStore(config)
    model_type = made.put_artifact_type(metadata_store_pb2.ArtifactType(name="Model"))
    trainer_type = made.put_execution_type(metadata_store_pb2.ExecutionType(name="Trainer"))
    run_type = made.put_context_type(metadata_store_pb2.ContextType(name="pipeline_run"))
    models = made.put_artifacts([metadata_store_pb2.Artifact(type_id=model_type, uri=f"m{i}") for i in (1, 2)])
    assert models == [1, 2]
    for run, model in (("r1", 1), ("r2", 2), ("r3", 1), ("r4", None)):
        (context,) = made.put_contexts([metadata_store_pb2.Context(type_id=run_type, name=run)])
        (execution,) = made.put_executions([metadata_store_pb2.Execution(type_id=trainer_type)])
        made.put_attributions_and_associations(
            [], [metadata_store_pb2.Association(context_id=context, execution_id=execution)]
        )
        if model:
            output = metadata_store_pb2.Event.OUTPUT
            event = metadata_store_pb2.Event(artifact_id=model, execution_id=execution, type=output)
            made.put_events([event])
    return made


def model(id_: int) -> standard_artifacts.Model:
    made = standard_artifacts.Model()
    made.id = id_
    return made


def blessing(of: int, blessed: int) -> standard_artifacts.ModelBlessing:
    made = standard_artifacts.ModelBlessing()
    made.set_int_custom_property("current_model_id", of)
    made.set_int_custom_property("blessed", blessed)
    return made


def resolved(strategy: EarlierModel, store: Any, *blessings: Any) -> list[int]:
    given = {"model": [model(1), model(2)], "model_blessing": list(blessings)}
    found = strategy.resolve_artifacts(store, given)  # type: ignore[arg-type]
    assert found is not None
    assert set(found) == {"model", "model_blessing"}
    return [artifact.id for artifact in found["model"]]


def test_the_latest_blessed_model_is_found(store: mlmd.MetadataStore) -> None:
    assert resolved(EarlierModel(), store, blessing(1, 1), blessing(2, 0)) == [1]
    assert resolved(EarlierModel(), store, blessing(1, 1), blessing(2, 1)) == [2]


def test_where_none_was_blessed_there_is_nothing(store: mlmd.MetadataStore) -> None:
    assert resolved(EarlierModel(), store, blessing(1, 0)) == []
    assert resolved(EarlierModel(), store) == []
    assert EarlierModel().resolve_artifacts(store, {}) == {"model": [], "model_blessing": []}


@pytest.mark.parametrize(("run", "expected"), [("r1", 1), ("r2", 2), ("r3", 1)])
def test_a_runs_model_is_found_blessed_or_not(store: mlmd.MetadataStore, run: str, expected: int) -> None:
    assert resolved(EarlierModel(run), store) == [expected]


@pytest.mark.parametrize("run", ["r4", "r9"])
def test_a_run_without_a_model_is_said(store: mlmd.MetadataStore, run: str) -> None:
    with pytest.raises(MillraceError, match=f"run {run} is not in the metadata, or trained no model"):
        resolved(EarlierModel(run), store)
