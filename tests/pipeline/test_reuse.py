"""What a rerun can take from the cache after an edit: which nodes' own parameters change by it."""

from pathlib import Path

import pytest
from tfx.dsl.compiler import compiler

from pipeline import fingerprint, tasks
from pipeline.config import RunConfig
from pipeline.dag import build_pipeline

BEFORE_THE_TRAINER = {
    *("SchemaGen", "ExampleGen", "StatisticsGen", "ExampleValidator", "PreviousData", "ServedData"),
    *("DataChecks", "DataGate", "Transform"),
}


def parameters(root: Path, *overrides: str) -> dict[str, bytes]:
    """Node id -> what is in its cache key beside its inputs."""
    config = RunConfig("taxi_tips", root=str(root), overrides=overrides)
    ir = compiler.Compiler().compile(build_pipeline(tasks.load("taxi_tips", overrides), config))
    return {
        node.pipeline_node.node_info.id: node.pipeline_node.parameters.SerializeToString(deterministic=True)
        for node in ir.nodes
    }


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    assert before.keys() == after.keys() >= BEFORE_THE_TRAINER
    return {node for node in after if after[node] != before[node]}


@pytest.mark.parametrize(
    ("override", "nodes"),
    [
        ("model.dropout=0.25", {"Trainer"}),
        ("training.steps=7", {"Trainer"}),
        ("evaluation.slices=[]", {"DataChecks", "Evaluator"}),
        ("serving.max_p99_ms=7", {"ServingCheck"}),
        ("features.trip_miles.clip=[0,50]", {"DataChecks", "Transform", "Trainer", "Evaluator"}),
    ],
)
def test_a_setting_changes_the_keys_of_those_that_read_it(override: str, nodes: set[str], tmp_path: Path) -> None:
    assert changed(parameters(tmp_path), parameters(tmp_path, override)) == nodes


@pytest.mark.parametrize(
    "module",
    ["pipeline.models.wide_deep", "pipeline.train.fit", "pipeline.train.batches"],
)
def test_an_edit_of_the_models_code_leaves_all_before_the_trainer_alone(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = parameters(tmp_path)
    source = fingerprint._source
    monkeypatch.setattr(fingerprint, "_source", lambda name: source(name) + (b"# edited" if name == module else b""))
    nodes = changed(before, parameters(tmp_path))
    assert "Trainer" in nodes
    assert nodes.isdisjoint(BEFORE_THE_TRAINER)
