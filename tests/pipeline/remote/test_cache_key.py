"""Cache keys of artifacts do not depend on the machine that holds a root's copy."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from tfx.orchestration import metadata
from tfx.orchestration.portable import cache_utils, launcher
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2
from tfx.types import standard_artifacts

from components.evaluator import Evaluator
from components.statistics_gen import StatisticsGen
from pipeline import mirrored
from pipeline.remote import cache_key


@pytest.fixture(autouse=True)
def no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrored, "_folders", {})
    monkeypatch.setattr(cache_utils, "get_cache_context", cache_utils.get_cache_context)


def _examples(home: str, type_id: int, changed: int, number: int = 7) -> Any:
    found = standard_artifacts.Examples()
    found.mlmd_artifact.id = number
    found.mlmd_artifact.type_id = type_id
    found.mlmd_artifact.last_update_time_since_epoch = changed
    found.uri = f"{home}/tips/artifacts/ExampleGen/examples/7"
    found.span = 3
    found.set_string_custom_property("note", f"made in {home}/tips")
    return found


def _bytes(artifact: Any) -> bytes:
    return bytes(cache_key.portable(artifact).mlmd_artifact.SerializeToString(deterministic=True))


def test_an_artifact_is_the_same_on_two_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored.stand_in("s3://bucket/runs", "/home/ann/cache")
    one = _bytes(_examples("/home/ann/cache", 12, 5))
    monkeypatch.setattr(mirrored, "_folders", {"s3://bucket/runs": "/var/millrace"})
    assert _bytes(_examples("/var/millrace", 31, 9)) == one
    assert _bytes(_examples("/var/millrace", 31, 9, number=8)) != one
    assert _bytes(_examples("/elsewhere", 31, 9)) != one


def test_the_artifact_itself_stays_as_it_is() -> None:
    mirrored.stand_in("s3://bucket/runs", "/home/ann/cache")
    artifact = _examples("/home/ann/cache", 12, 5)
    made = cache_key.portable(artifact)
    assert made.uri == "s3://bucket/runs/tips/artifacts/ExampleGen/examples/7"
    assert made.get_string_custom_property("note") == "made in s3://bucket/runs/tips"
    assert artifact.uri.startswith("/home/ann/cache/")
    assert artifact.mlmd_artifact.type_id == 12


def test_it_takes_the_place_of_tfx_s_own_once() -> None:
    before = cache_utils.get_cache_context
    cache_key.install()
    cache_key.install()
    assert cache_utils.get_cache_context._of_tfx is before


def test_the_launcher_asks_by_the_names_that_are_replaced() -> None:
    """The launcher of another TFX could pass them in another way, and the keys would be its own without a word."""
    source = inspect.getsource(launcher.Launcher._prepare_execution)
    asked = source[source.index("cache_utils.get_cache_context(") :]
    asked = asked[: asked.index(")")]
    assert "executor_spec=" in asked and "input_artifacts=" in asked
    fields = executable_spec_pb2.BeamExecutableSpec.DESCRIPTOR.fields_by_name
    assert set(fields) == {"python_executor_spec", *cache_key._OF_BEAM}


def test_a_key_does_not_depend_on_where_beam_jobs_run(tmp_path: Path) -> None:
    local = _key(tmp_path, StatisticsGen, ["--runner=FnApiRunner", "--sdk_container_image=local"])
    assert local != _key(tmp_path, Evaluator, ["--runner=FnApiRunner", "--sdk_container_image=local"])
    own = cache_utils.get_cache_context
    cache_key.install()
    local = _key(tmp_path, StatisticsGen, ["--runner=FnApiRunner", "--sdk_container_image=local"])
    flink = _key(tmp_path, StatisticsGen, ["--runner=FlinkRunner", "--job_endpoint=127.0.0.1:8099"])
    assert flink == local == _key(tmp_path, StatisticsGen, ["--runner=FlinkRunner", "--job_endpoint=127.0.0.1:41001"])
    assert local != _key(tmp_path, Evaluator, ["--runner=FnApiRunner"])
    cache_utils.get_cache_context = own
    assert _key(tmp_path, StatisticsGen, ["--runner=FlinkRunner"]) != local


def _key(folder: Path, component: Any, beam: list[str]) -> str:
    """The name of the context that TFX makes for an execution."""
    spec = component.EXECUTOR_SPEC.copy()
    spec.add_beam_pipeline_args(beam)
    with metadata.Metadata(metadata.sqlite_metadata_connection_config(str(folder / "metadata.db"))) as store:
        found = cache_utils.get_cache_context(
            store,
            pipeline_node=pipeline_pb2.PipelineNode(),
            pipeline_info=pipeline_pb2.PipelineInfo(id="tips"),
            executor_spec=spec.encode(),
            parameters={"split": "eval"},
        )
        return str(found.name)
