"""What is said of a file that can't be run."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.kubeflow.execute import documents
from pipeline.kubeflow.execute.profiles import KFP, VERTEX


def _spec(specs) -> Any:
    return specs.pipeline({"a": specs.task("a"), "b": specs.task("b", dependentTasks=["a"])})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is neither YAML nor JSON"),
        ('{"pipelineInfo": ', "is neither YAML nor JSON"),
        ("", "an empty file"),
        ("- 1\n", "Received: list"),
        ("a: 1\n---\nb: 2\n---\nc: 3\n", "Received: dict, dict, dict"),
        ("name: x\n", "is no pipeline spec. Expected the keys pipelineInfo"),
        ("pipelineInfo: {name: x}\nroot: {}\n", "schemaVersion 'missing'"),
        ("pipelineInfo: {name: x}\nroot: {}\nschemaVersion: 2.0.0\n", "takes only 2.1.0"),
        ("pipelineInfo: {name: x}\nroot: {dagg: 1}\nschemaVersion: 2.1.0\n", 'no field named "dagg"'),
        ("pipelineSpec: {}\n", "is a PipelineJob. open-source Kubeflow Pipelines takes only the bare spec"),
    ],
)
def test_a_file_that_is_no_spec(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        documents.read(path, KFP)
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read: No such file"):
        documents.read(tmp_path / "none.yaml", KFP)


def test_a_second_document_that_is_no_platform(specs, write) -> None:
    with pytest.raises(UsageError, match="second document is no platform spec"):
        documents.read(write(_spec(specs), {"kubernetes": {}}), KFP)


def test_a_job_as_json_is_taken_on_vertex(specs, tmp_path) -> None:
    job = {
        "displayName": "Nightly",
        "labels": {"a": "b"},
        "serviceAccount": "x@y",
        "pipelineSpec": _spec(specs),
        "runtimeConfig": {"gcsOutputDirectory": "gs://bucket/root", "parameterValues": {"n": 3}},
    }
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job))
    found = documents.read(path, VERTEX)
    assert (found.display_name, found.root, found.name) == ("Nightly", "gs://bucket/root", "trial")
    assert found.runtime.parameter_values["n"].number_value == 3


def _unknown_executor(spec: Any) -> None:
    spec["components"]["comp-b"]["executorLabel"] = "exec-bb"


def _missing_component(spec: Any) -> None:
    spec["root"]["dag"]["tasks"]["b"]["componentRef"]["name"] = "comp-c"


def _cycle(spec: Any) -> None:
    spec["root"]["dag"]["tasks"]["a"]["dependentTasks"] = ["b"]


def _stranger(spec: Any) -> None:
    spec["root"]["dag"]["tasks"]["b"]["dependentTasks"] = ["aa"]


def _resolver(spec: Any) -> None:
    spec["deploymentSpec"]["executors"]["exec-a"] = {
        "resolver": {"outputArtifactQueries": {"model": {"filter": 'schema_title="tfx.Model" AND state=LIVE'}}}
    }


def _custom_job(spec: Any) -> None:
    spec["deploymentSpec"]["executors"]["exec-a"] = {"customJob": {"customJob": {}}}


def _no_command(spec: Any) -> None:
    spec["deploymentSpec"]["executors"]["exec-a"] = {"container": {"image": "registry.example/x"}}


def _endless(spec: Any) -> None:
    spec["components"]["comp-b"] = {"dag": {"tasks": {"c": {"componentRef": {"name": "comp-b"}}}}}


def _artifact_loop(spec: Any) -> None:
    spec["root"]["dag"]["tasks"]["b"]["artifactIterator"] = {"itemInput": "x", "items": {"inputArtifact": "y"}}


def _empty(spec: Any) -> None:
    spec["components"]["comp-b"] = {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_unknown_executor, "component 'comp-b': no executor 'exec-bb'. Did you mean 'exec-b'?"),
        (_missing_component, "task 'b': no component 'comp-c'. Did you mean"),
        (_cycle, "the tasks wait for each other in a circle: a -> b -> a"),
        (_stranger, "task 'b' waits for 'aa', which root does not have. Did you mean 'a'?"),
        (_resolver, "task 'a' is a resolver. open-source Kubeflow Pipelines has no resolver executors"),
        (_custom_job, "task 'a': executor 'exec-a' can't be run: a custom job runs on Google Cloud only"),
        (_no_command, "task 'a': executor 'exec-a' has no command. The entrypoint of its image (registry.example/x)"),
        (_endless, "component 'comp-b' contains itself: root -> comp-b -> comp-b"),
        (_artifact_loop, "task 'b' loops over artifacts"),
        (_empty, "component 'comp-b' has neither a dag nor an executorLabel"),
    ],
)
def test_a_graph_that_cannot_be_run_is_refused_before_it_starts(specs, run, root, change, said) -> None:
    spec = _spec(specs)
    change(spec)
    with pytest.raises(UsageError) as caught:
        run(spec)
    assert said in str(caught.value)
    assert not root.exists()


def test_all_problems_are_said_at_once(specs, run) -> None:
    spec = _spec(specs)
    _unknown_executor(spec)
    _resolver(spec)
    with pytest.raises(UsageError) as caught:
        run(spec)
    assert "exec-bb" in str(caught.value) and "is a resolver" in str(caught.value)


def test_a_resolver_with_an_unknown_filter_is_refused_on_vertex(specs, run) -> None:
    spec = _spec(specs)
    _resolver(spec)
    query = spec["deploymentSpec"]["executors"]["exec-a"]["resolver"]["outputArtifactQueries"]["model"]
    query["filter"] += ' AND create_time > "2024"'
    with pytest.raises(UsageError, match="the query for 'model' has a clause that can't be judged here: create_time"):
        run(spec, profile="vertex")
