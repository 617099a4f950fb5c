"""What the placeholders of a command become."""

import json

import pytest
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute import placeholders, values
from pipeline.kubeflow.execute.failure import TaskFailed


@pytest.fixture
def given() -> pb.ExecutorInput:
    made = pb.ExecutorInput()
    for name, value in {
        "n": 5,
        "x": 1e-7,
        "s": "{{$.inputs.parameters['n']}}",
        "b": False,
        "l": [1.0],
        "z": None,
    }.items():
        made.inputs.parameter_values[name].CopyFrom(values.value(value))
    made.inputs.parameters["old"].int_value = 4
    artifact = made.inputs.artifacts["data"].artifacts.add(uri="/data", name="d")
    artifact.metadata.update({"rows": 3, "names": ["a"]})
    made.inputs.artifacts["empty"].SetInParent()
    made.inputs.artifacts["elsewhere"].artifacts.add(uri="u", custom_path="/p")
    made.outputs.artifacts["model"].artifacts.add(uri="/model")
    made.outputs.parameters["n"].output_file = "/n"
    made.outputs.output_file = "/out.json"
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--n={{$.inputs.parameters['n']}}", "--n=5"),
        ("{{$.inputs.parameters['x']}}", "0.0000001"),
        ("{{$.inputs.parameters['b']}}{{$.inputs.parameters['l']}}", "false[1]"),
        ("{{$.inputs.parameters['old']}}", "4"),
        ("{{$.inputs.parameters['s']}}", "{{$.inputs.parameters['n']}}"),
        ("{{$.inputs.artifacts['data'].uri}}:{{$.inputs.artifacts['data'].path}}", "/data:/data"),
        ("{{$.inputs.artifacts['elsewhere'].path}}", "/p"),
        ("{{$.inputs.artifacts['data'].metadata['rows']}}", "3"),
        ("{{$.inputs.artifacts['data'].metadata}}", '{"rows":3,"names":["a"]}'),
        ("{{$.outputs.artifacts['model'].path}}", "/model"),
        ("{{$.outputs.parameters['n'].output_file}}", "/n"),
        ("{{$.outputs.output_file}}", "/out.json"),
        ("{{$.inputs.parameters['none']}}", "{{$.inputs.parameters['none']}}"),
        ("{{$.inputs.artifacts['empty'].uri}}", "{{$.inputs.artifacts['empty'].uri}}"),
        ("{{$.surprise}} {{x}}", "{{$.surprise}} {{x}}"),
    ],
)
def test_a_placeholder(given, text: str, expected: str) -> None:
    found = placeholders.fill(text, given, {})
    if text.endswith(".metadata}}"):
        assert json.loads(found) == json.loads(expected)
    else:
        assert found == expected


def test_the_whole_input_and_the_job_on_vertex(given) -> None:
    whole = json.loads(placeholders.fill("{{$}}", given, {}))
    assert whole["inputs"]["parameterValues"]["n"] == 5
    job = {"pipeline_job_uuid": "7"}
    escaped = placeholders.fill('{"in": "{{$.json_escape[1]}}", "job": "{{$.pipeline_job_uuid}}"}', given, job)
    assert json.loads(json.loads(escaped)["in"]) == whole
    assert json.loads(escaped)["job"] == "7"
    assert placeholders.fill("{{$.pipeline_job_uuid}}", given, {}) == "{{$.pipeline_job_uuid}}"


def test_arguments_that_are_there_only_with_an_input(given) -> None:
    arguments = [
        '{"IfPresent": {"InputName": "n", "Then": ["--n", "{{$.inputs.parameters[\'n\']}}"], "Else": ["--none"]}}',
        '{"IfPresent": {"InputName": "z", "Then": ["--z"]}}',
        '{"IfPresent": {"InputName": "q", "Then": "--q", "Else": "--no-q"}}',
        '{"Concat": ["a=", "{{$.inputs.parameters[\'n\']}}", {"IfPresent": {"InputName": "n", "Then": "!"}}]}',
    ]
    assert placeholders.command(arguments, given, {}) == ["--n", "5", "--no-q", "a=5!"]
    with pytest.raises(TaskFailed, match="can't be read"):
        placeholders.command(['{"Concat": 3}'], given, {})
