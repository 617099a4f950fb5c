"""Conditions and selectors."""

import pytest
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute import conditions, values
from pipeline.kubeflow.execute.failure import TaskFailed


@pytest.fixture
def inputs() -> pb.ExecutorInput.Inputs:
    made = pb.ExecutorInput.Inputs()
    for name, value in {"n": 5, "x": 0.5, "s": "a", "b": True, "l": [1, "2"]}.items():
        made.parameter_values[name].CopyFrom(values.value(value))
    artifact = made.artifacts["blessing"].artifacts.add(uri="u")
    artifact.metadata.update({"blessed": 1})
    made.parameters["old"].int_value = 4
    return made


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("int(inputs.parameter_values['n']) > 3", True),
        ("inputs.parameter_values['n'] == 5", True),
        ("inputs.parameter_values['n'] != 5.0", False),
        ("inputs.parameter_values['x'] < 1", True),
        ("inputs.parameter_values['s'] == 'a' && inputs.parameter_values['b'] == true", True),
        ("!(inputs.parameter_values['s'] in ['b', 'c'])", True),
        ("inputs.parameter_values['s'] >= 'b'", False),
        ("size(inputs.parameter_values['l']) == 2", True),
        ("(inputs.artifacts['blessing'].artifacts[0].metadata['blessed'] == 1.0)", True),
        ("inputs.artifacts['blessing'].artifacts[0].uri == 'v'", False),
    ],
)
def test_a_condition(inputs, expression: str, expected: bool) -> None:
    assert conditions.holds(expression, inputs) is expected


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("inputs.parameter_values['none'] == 1", "no such key"),
        ("inputs.parameter_values[", "can't be evaluated"),
        ("inputs.parameter_values['s']", "is neither true nor false, but 'a'"),
        ("inputs.parameter_values['s'] < 3", "can't be evaluated"),
    ],
)
def test_a_condition_that_cannot_be_judged(inputs, expression: str, said: str) -> None:
    with pytest.raises(TaskFailed, match=said.replace("(", r"\(")):
        conditions.holds(expression, inputs)


@pytest.mark.parametrize(
    ("value", "selector", "expected"),
    [
        ({"a": {"b": [1, 2]}}, 'parseJson(string_value)["a"]["b"][1]', 2),
        ('{"a": "x"}', 'parseJson(string_value)["a"]', "x"),
        ({"a": {"c": True}}, 'struct_value["a"]', {"c": True}),
        (7, "number_value", 7),
    ],
)
def test_a_part_of_a_value(value, selector: str, expected) -> None:
    assert values.plain(conditions.select(selector, values.value(value))) == expected
