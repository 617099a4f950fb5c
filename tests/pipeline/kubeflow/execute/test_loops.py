"""Loops, importers and resolvers."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow.execute import values

_ARTIFACT = {"artifactType": {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"}}
_WRITE = "import pathlib,sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"


def _loop(specs, items: Any, **more: Any) -> Any:
    item = {"parameters": {"item": {"parameterType": "STRUCT"}, "size": {"parameterType": "NUMBER_INTEGER"}}}
    size = {"parameters": {"size": {"parameterType": "NUMBER_INTEGER"}}}
    leaf = specs.task(
        "leaf",
        _WRITE,
        "{{$.outputs.parameters['twice'].output_file}}",
        "{{$.inputs.parameters['size']}}0",
        inputs=size,
        outputs={"parameters": {"twice": {"parameterType": "NUMBER_INTEGER"}}},
        given={
            "parameters": {
                "size": {
                    "componentInputParameter": "item",
                    "parameterExpressionSelector": 'parseJson(string_value)["size"]',
                }
            }
        },
    )
    out = {"valueFromParameter": {"producerSubtask": "leaf", "outputParameterKey": "twice"}}
    loop = specs.graph(
        "loop",
        {"leaf": leaf},
        inputDefinitions={"parameters": {"item": item["parameters"]["item"]}},
        outputDefinitions={"parameters": {"all": {"parameterType": "NUMBER_INTEGER"}}},
        dagOutputs={"parameters": {"all": out}},
        parameterIterator={"itemInput": "item", "items": items},
        **more,
    )
    use = specs.task(
        "use",
        "import sys; print(sys.argv[1])",
        "{{$.inputs.parameters['all']}}",
        inputs={"parameters": {"all": {"parameterType": "LIST"}}},
        given={"parameters": {"all": {"taskOutputParameter": {"producerTask": "loop", "outputParameterKey": "all"}}}},
    )
    return {"loop": loop, "use": use}


@pytest.mark.parametrize(("items", "collected"), [([{"size": 1}, {"size": 2}], "[10,20]"), ([], "[]")])
def test_a_loop_runs_once_for_each_item_and_its_outputs_are_a_list(specs, run, items, collected) -> None:
    result = run(specs.pipeline(_loop(specs, {"raw": json.dumps(items)}, iteratorPolicy={"parallelismLimit": 1})))
    assert result.exit_code == 0
    assert Path(result.tasks["use"].log).read_text() == f"{collected}\n"
    names = [f"loop.{index}.leaf" for index in range(len(items))]
    assert [name for name in result.tasks if name.endswith("leaf")] == names


def test_an_item_that_fails_fails_the_loop(specs, run) -> None:
    result = run(specs.pipeline(_loop(specs, {"raw": '[{"size": 1}, {}]'})))
    assert {name: task.state for name, task in result.tasks.items()} == {
        "loop": "failed",
        "use": "not_run",
        "loop.0": "done",
        "loop.0.leaf": "done",
        "loop.1": "failed",
        "loop.1.leaf": "failed",
    }
    assert "no such key" in result.tasks["loop.1.leaf"].error


def test_items_that_are_no_list(specs, run) -> None:
    result = run(specs.pipeline(_loop(specs, {"raw": "3"})))
    assert "there are no items to loop over: expected a JSON list" in result.tasks["loop"].error


def _importer(specs, uri: Any, inputs: Any = None, given: Any = None) -> Any:
    executor = {
        "importer": {
            "artifactUri": uri,
            "typeSchema": {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"},
            "metadata": {"by": "hand"},
        }
    }
    fetch = specs.task(
        "fetch", executor=executor, outputs={"artifacts": {"artifact": _ARTIFACT}}, inputs=inputs, given=given
    )
    use = specs.task(
        "use",
        "import sys; print(sys.argv[1])",
        "{{$.inputs.artifacts['m'].uri}}",
        inputs={"artifacts": {"m": _ARTIFACT}},
        given={"artifacts": {"m": {"taskOutputArtifact": {"producerTask": "fetch", "outputArtifactKey": "artifact"}}}},
    )
    return {"fetch": fetch, "use": use}


@pytest.mark.parametrize("profile", ["kfp", "vertex"])
def test_an_importer_gives_what_is_there(specs, run, profile) -> None:
    result = run(specs.pipeline(_importer(specs, {"constant": "s3://other/model"})), profile=profile)
    assert Path(result.tasks["use"].log).read_text() == "s3://other/model\n"
    (made,) = result.tasks["fetch"].outputs["artifacts"]["artifact"]
    assert (made["type"], made["metadata"]["by"]) == ("system.Model", "hand")


def test_an_importer_below_the_root_is_in_the_folder_that_stands_for_it(specs, run, root) -> None:
    inputs = {"parameters": {"uri": {"parameterType": "STRING"}}}
    tasks = _importer(
        specs, {"runtimeParameter": "uri"}, inputs, {"parameters": {"uri": {"componentInputParameter": "where"}}}
    )
    spec = specs.pipeline(tasks, {"where": {"parameterType": "STRING"}}, defaultPipelineRoot="s3://bucket/prefix")
    result = run(spec, parameters={"where": "s3://bucket/prefix/models/1"})
    assert Path(result.tasks["use"].log).read_text() == f"{root}/models/1\n"


def test_an_importer_without_a_uri(specs, run) -> None:
    result = run(specs.pipeline(_importer(specs, {"constant": ""})))
    assert result.tasks["fetch"].error == "an importer has an empty URI"
    assert result.failed == ["fetch"]


def _blessed(specs) -> Any:
    """A trainer, a blessing of its model, and TFX's two resolvers of the latest blessed model."""
    blessing_type = {"artifactType": {"instanceSchema": "title: tfx.ModelBlessing\ntype: object\n"}}
    model_type = {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}
    query = 'schema_title="tfx.ModelBlessing" AND state=LIVE AND metadata.blessed.number_value=1'
    latest = {"resolver": {"outputArtifactQueries": {"blessing": {"filter": query}}}}
    named = (
        'schema_title="tfx.Model" AND state=LIVE AND '
        "name=\"{{$.inputs.artifacts['input'].metadata['current_model_id']}}\""
    )
    theirs = {"resolver": {"outputArtifactQueries": {"model": {"filter": named}}}}
    find_blessing = specs.task("find-blessing", executor=latest, outputs={"artifacts": {"blessing": blessing_type}})
    find_model = specs.task(
        "find-model",
        executor=theirs,
        inputs={"artifacts": {"input": blessing_type}},
        outputs={"artifacts": {"model": model_type}},
        given={
            "artifacts": {
                "input": {"taskOutputArtifact": {"producerTask": "find-blessing", "outputArtifactKey": "blessing"}}
            }
        },
    )
    train = specs.task("train", outputs={"artifacts": {"model": model_type}}, dependentTasks=["find-model"])
    bless = specs.task(
        "bless",
        "import json,sys; given=json.loads(sys.argv[1]); name=given['inputs']['artifacts']['model']['artifacts'][0]['name'];"
        "open(given['outputs']['outputFile'],'w').write(json.dumps({'artifacts': {'blessing': {'artifacts': [{'metadata':"
        "{'blessed': 1, 'current_model_id': name}}]}}}))",
        "{{$}}",
        inputs={"artifacts": {"model": model_type}},
        outputs={"artifacts": {"blessing": blessing_type}},
        given={"artifacts": {"model": {"taskOutputArtifact": {"producerTask": "train", "outputArtifactKey": "model"}}}},
    )
    return {"find-blessing": find_blessing, "find-model": find_model, "train": train, "bless": bless}


def test_resolvers_find_what_earlier_runs_have_left(specs, run, root) -> None:
    spec = specs.pipeline(_blessed(specs))
    first = run(spec, profile="vertex")
    assert first.exit_code == 0
    assert first.tasks["find-model"].outputs["artifacts"] == {"model": []}
    second = run(spec, profile="vertex", job_id="job-2")
    (found,) = second.tasks["find-model"].outputs["artifacts"]["model"]
    assert found["uri"] == str(root / "trial" / "job-1" / "train" / "model")


def test_a_driver_runs_first_on_vertex_and_not_at_all_on_kfp(specs, run) -> None:
    say = (
        "import json,sys; given=json.loads(sys.argv[1]); open(given['outputs']['outputFile'],'w').write(json.dumps("
        "{'parameterValues': {'span': 7}, 'artifacts': {'data': {'artifacts': [{'metadata': {'span': 7}}]}}})); print('driven')"
    )
    show = "import json,sys; print(json.loads(sys.argv[1])['inputs'].get('parameterValues'))"
    executor = {
        "container": {
            "image": "none",
            "command": ["python", "-c", show],
            "args": ["{{$}}"],
            "lifecycle": {"preCacheCheck": {"command": ["python", "-c", say], "args": ["{{$}}"]}},
        }
    }
    spec = specs.pipeline({"gen": specs.task("gen", executor=executor, outputs={"artifacts": {"data": _ARTIFACT}})})
    vertex = run(spec, profile="vertex")
    assert Path(vertex.tasks["gen"].log).read_text() == "driven\n{'span': 7}\n"
    assert vertex.tasks["gen"].outputs["artifacts"]["data"][0]["metadata"] == {"span": 7}
    kfp = run(spec, job_id="job-2")
    assert Path(kfp.tasks["gen"].log).read_text() == "None\n"


def test_a_spec_of_schema_2_0_gives_typed_parameters(specs, run) -> None:
    definition = {"parameters": {"n": {"type": "INT"}, "x": {"type": "DOUBLE"}, "s": {"type": "STRING"}}}
    given = {
        "parameters": {
            "n": {"runtimeValue": {"constantValue": {"intValue": "3"}}},
            "x": {"runtimeValue": {"constantValue": {"doubleValue": 2.0}}},
            "s": {"componentInputParameter": "s"},
        }
    }
    task = specs.task("show", "import sys; print(sys.argv[1])", "{{$}}", inputs=definition, given=given)
    spec = specs.pipeline({"show": task}, {"s": {"type": "STRING"}}, schemaVersion="2.0.0")
    job = {"pipelineSpec": spec, "runtimeConfig": {"parameters": {"s": {"stringValue": "a"}}}}
    result = run(job, profile="vertex")
    assert json.loads(Path(result.tasks["show"].log).read_text())["inputs"] == {
        "parameters": {"n": {"intValue": "3"}, "x": {"doubleValue": 2}, "s": {"stringValue": "a"}}
    }


def test_whole_numbers_are_integers_as_go_writes_them() -> None:
    assert values.as_json(values.whole({"a": 5.0, "b": [0.5, 1e3], "c": True})) == '{"a":5,"b":[0.5,1000],"c":true}'
