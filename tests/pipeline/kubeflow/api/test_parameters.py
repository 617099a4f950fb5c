from dataclasses import replace

import pytest

from pipeline.errors import UsageError
from pipeline.kubeflow.api import package as packages
from pipeline.kubeflow.api import parameters


def test_values_have_the_declared_types(kfp_file):
    package = packages.read(kfp_file())
    given = ["data=s3://in/a=b", "span=7", "cache=false", 'overrides=["training.steps=5"]']
    assert parameters.parse(package, given) == {
        "data": "s3://in/a=b",
        "span": 7,
        "cache": False,
        "overrides": ["training.steps=5"],
    }
    assert parameters.parse(package, []) == {}


def test_all_mistakes_are_told_at_once(kfp_file):
    package = packages.read(kfp_file())
    given = ["spam=7", "span=seven", "cache=yes", 'overrides={"a": 1}', "window"]
    with pytest.raises(UsageError) as caught:
        parameters.parse(package, given)
    text = str(caught.value)
    assert "has the parameters cache, data, overrides, span, window." in text
    assert "'spam' is not a parameter of this pipeline. Did you mean 'span'?" in text
    assert "span is NUMBER_INTEGER. Expected: a whole number. Received: span=seven" in text
    assert "cache is BOOLEAN. Expected: true or false. Received: cache=yes" in text
    assert "overrides is LIST. Expected: a JSON list" in text
    assert "Expected: NAME=VALUE. Received: 'window'" in text


def test_twice_and_missing(kfp_file):
    package = packages.read(kfp_file())
    with pytest.raises(UsageError, match="span is given twice"):
        parameters.parse(package, ["span=1", "span=2"])
    definitions = {"a": {"parameterType": "NUMBER_DOUBLE"}, "b": {"parameterType": "STRUCT", "isOptional": True}}
    bare = replace(package, spec={"root": {"inputDefinitions": {"parameters": definitions}}})
    with pytest.raises(UsageError, match="a has no default: give --parameter a="):
        parameters.parse(bare, [])
    assert parameters.parse(bare, ["a=1e3", 'b={"x": 1}']) == {"a": 1000.0, "b": {"x": 1}}
    with pytest.raises(UsageError, match=r"Expected: a number. Received: a=nan"):
        parameters.parse(bare, ["a=nan"])
