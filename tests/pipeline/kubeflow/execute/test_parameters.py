"""What a pipeline is run with."""

from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.kubeflow.execute import documents, parameters, values
from pipeline.kubeflow.execute.profiles import VERTEX

_KINDS = {
    "text": {"parameterType": "STRING", "defaultValue": "a"},
    "rows": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3},
    "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5},
    "cache": {"parameterType": "BOOLEAN", "defaultValue": True},
    "names": {"parameterType": "LIST", "defaultValue": []},
    "more": {"parameterType": "STRUCT", "isOptional": True},
}


def _resolved(specs, write, given: dict[str, str], kinds: Any = None, job: Any = None, **spec: Any) -> Any:
    made = specs.pipeline({"a": specs.task("a")}, kinds or _KINDS, **spec)
    document = documents.read(write({"pipelineSpec": made, "runtimeConfig": job or {}}), VERTEX)
    return {name: values.plain(value) for name, value in parameters.resolve(document, given).items()}


def test_defaults_hold_where_nothing_is_given(specs, write) -> None:
    assert _resolved(specs, write, {}) == {
        "text": "a",
        "rows": 3,
        "rate": 0.5,
        "cache": True,
        "names": [],
        "more": None,
    }


def test_the_command_line_goes_before_the_job_and_the_job_before_the_defaults(specs, write) -> None:
    job = {"parameterValues": {"rows": 4, "text": "b"}}
    given = {"rows": "5", "rate": "1e-3", "cache": "false", "names": '["x"]', "more": '{"k": 1}'}
    assert _resolved(specs, write, given, job=job) == {
        "text": "b",
        "rows": 5,
        "rate": 0.001,
        "cache": False,
        "names": ["x"],
        "more": {"k": 1},
    }


def test_values_of_schema_2_0(specs, write) -> None:
    kinds = {"n": {"type": "INT"}, "x": {"type": "DOUBLE"}, "s": {"type": "STRING"}}
    job = {"parameters": {"n": {"intValue": "4"}, "x": {"doubleValue": 0.5}}}
    found = _resolved(specs, write, {"s": "a"}, kinds, job, schemaVersion="2.0.0")
    assert found == {"n": 4, "x": 0.5, "s": "a"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"row": "1"}, "--parameter: no parameter 'row'. Did you mean 'rows'?"),
        ({"rows": "1.5"}, "--parameter rows: expected an integer. Received: '1.5'"),
        ({"rate": "much"}, "--parameter rate: expected a number. Received: 'much'"),
        ({"rate": "inf"}, "--parameter rate: expected a finite number"),
        ({"cache": "maybe"}, "--parameter cache: expected true or false. Received: 'maybe'"),
        ({"names": "x"}, "--parameter names: expected a JSON list. Received: 'x'"),
        ({"more": "[]"}, "--parameter more: expected a JSON object. Received: '[]'"),
    ],
)
def test_a_wrong_parameter_is_named(specs, write, given, said) -> None:
    with pytest.raises(UsageError) as caught:
        _resolved(specs, write, given)
    assert said in str(caught.value)


def test_missing_and_wrong_ones_of_a_job_are_said_together(specs, write) -> None:
    kinds = {**_KINDS, "needed": {"parameterType": "STRING"}}
    with pytest.raises(UsageError) as caught:
        _resolved(specs, write, {}, kinds, {"parameterValues": {"rows": "many", "extra": 1}})
    text = str(caught.value)
    assert "--parameter needed: expected a value (STRING): the spec has no default" in text
    assert "runtimeConfig: rows: expected NUMBER_INTEGER. Received: 'many'" in text
    assert "runtimeConfig: no parameter 'extra'" in text


def test_pairs_of_the_command_line() -> None:
    assert parameters.pairs("--env", ["A=1", "B=x=y", "C="]) == {"A": "1", "B": "x=y", "C": ""}
    with pytest.raises(UsageError) as caught:
        parameters.pairs("--env", ["A=1", "A=2", "secret"])
    assert "A is given twice" in str(caught.value)
    assert "expected NAME=VALUE. Received: 'secret'" in str(caught.value)
