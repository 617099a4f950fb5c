"""The wiring, compiled as a runner compiles it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tfx.dsl.compiler import compiler
from tfx.orchestration.portable import runtime_parameter_utils

from pipeline import tasks
from pipeline.config import RunConfig
from pipeline.dag import build_pipeline
from pipeline.errors import TaskError
from pipeline.lite import Lite
from pipeline.rows import RowRules
from pipeline.sources import BigQuery, JsonLines
from pipeline.splits import HashSplit, TimeSplit
from pipeline.task import Task


def compiled(task: Task, config: RunConfig) -> dict[str, Any]:
    """Node id -> node, of the intermediate representation."""
    ir = compiler.Compiler().compile(build_pipeline(task, config))
    runtime_parameter_utils.substitute_runtime_parameter(ir, {"pipeline-run-id": "test"})
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}


def parameter(node: Any, name: str) -> Any:
    value = node.parameters.parameters[name].field_value
    return getattr(value, value.WhichOneof("value"))


@pytest.fixture
def task() -> Task:
    return tasks.load("taxi_tips")


def test_nothing_learns_before_the_gate_has_opened(task: Task, tmp_path: Path) -> None:
    nodes = compiled(task, RunConfig(task.name, root=str(tmp_path)))
    assert "DataGate" in nodes["Trainer"].upstream_nodes
    assert set(nodes["DataGate"].upstream_nodes) == {"ExampleGen", "StatisticsGen", "DataChecks"}
    assert "SchemaGen" in nodes["ExampleGen"].upstream_nodes


def test_a_window_reaches_the_node(task: Task, tmp_path: Path) -> None:
    data = str(tmp_path / "{SPAN}" / "rows.csv")
    node = compiled(task, RunConfig(task.name, root=str(tmp_path), data=data, span=5, window=7))["ExampleGen"]
    assert parameter(node, "window") == 7
    assert parameter(node, "input_base") == str(tmp_path)
    assert json.loads(parameter(node, "range_config"))["static_range"]["start_span_number"] == 5


def test_each_format_has_its_own_code_in_the_cache_key(task: Task, tmp_path: Path) -> None:
    sources = (task.source, JsonLines("rows.jsonl"))
    nodes = [compiled(replace(task, source=s), RunConfig(task.name, root=str(tmp_path))) for s in sources]
    codes = {json.loads(parameter(node["ExampleGen"], "settings"))["code"] for node in nodes}
    assert len(codes) == 2


def test_a_query_is_read_by_tfx_s_component_without_a_quarantine(task: Task, tmp_path: Path) -> None:
    pytest.importorskip("google.cloud.bigquery")
    asked = replace(task, source=BigQuery("SELECT * FROM trips"), split=HashSplit(train=3, eval=1, by=("company",)))
    nodes = compiled(asked, RunConfig(task.name, root=str(tmp_path)))
    assert nodes["ExampleGen"].node_info.type.name.endswith("BigQueryExampleGen")
    assert "SELECT * FROM trips" in parameter(nodes["ExampleGen"], "input_config")
    split = json.loads(parameter(nodes["ExampleGen"], "output_config"))["split_config"]
    assert split["partition_feature_name"] == "company"
    assert [part["hash_buckets"] for part in split["splits"]] == [3, 1]
    assert "quarantine" not in nodes["DataChecks"].inputs.inputs


def test_what_a_query_can_not_have(task: Task) -> None:
    query = BigQuery("SELECT 1")
    with pytest.raises(TaskError, match="not quarantined"):
        replace(task, source=query, rows=RowRules(key=("company",)))
    with pytest.raises(TaskError, match="split by hash"):
        replace(task, source=query, split=TimeSplit("trip_start_timestamp", "2016-01-01"))


def test_tf_lite_is_a_node_where_it_is_asked_for(task: Task, tmp_path: Path) -> None:
    plain = compiled(task, RunConfig(task.name, root=str(tmp_path)))
    assert "Lite" not in plain
    codes = set()
    for override in ('lite.formats=["float16"]', 'lite.formats=["int8"]'):
        asked = tasks.load(task.name, [override])
        nodes = compiled(asked, RunConfig(task.name, root=str(tmp_path), overrides=(override,)))
        assert set(nodes["Lite"].upstream_nodes) == {"ExampleGen", "Transform", "Trainer"}
        assert "Lite" in nodes["Pusher"].upstream_nodes
        assert parameter(nodes["Lite"], "split") == "eval"
        assert parameter(nodes["Trainer"], "custom_config") == parameter(plain["Trainer"], "custom_config")
        codes.add(parameter(nodes["Lite"], "code"))
    assert len(codes) == 2


def test_tf_lite_is_compared_on_the_split_that_measures_the_model(task: Task, tmp_path: Path) -> None:
    asked = replace(task, lite=Lite(formats=("float16",)), split=HashSplit(train=8, eval=1, test=1))
    nodes = compiled(asked, RunConfig(task.name, root=str(tmp_path)))
    assert parameter(nodes["Lite"], "split") == "test"
    assert "test" in parameter(nodes["Evaluator"], "example_splits")
