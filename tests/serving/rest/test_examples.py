import math

import pytest
import tensorflow as tf

from serving.errors import Code, ServingError
from serving.rest import examples, json_read


def read(text: str) -> list[dict]:
    found = []
    for serialised in examples.read(json_read.parse(text.encode()), "classify"):
        features = tf.train.Example.FromString(serialised).features.feature
        found.append(
            {
                name: (
                    feature.WhichOneof("kind"),
                    list(getattr(feature, feature.WhichOneof("kind") or "int64_list").value),
                )
                for name, feature in features.items()
            }
        )
    return found


def test_kinds():
    (got,) = read('{"examples": [{"f": [1.5, NaN], "i": 3, "t": true, "s": "é", "b": {"b64": "AP8="}, "e": []}]}')
    assert got["f"][0] == "float_list" and got["f"][1][0] == 1.5 and math.isnan(got["f"][1][1])
    assert got["i"] == ("int64_list", [3])
    assert got["t"] == ("int64_list", [1])
    assert got["s"] == ("bytes_list", ["é".encode()])
    assert got["b"] == ("bytes_list", [b"\x00\xff"])
    assert got["e"] == (None, [])


def test_the_context_is_in_each_example():
    first, second = read('{"context": {"c": 1}, "examples": [{"x": 2}, {"x": 3}]}')
    assert first == {"c": ("int64_list", [1]), "x": ("int64_list", [2])}
    assert second == {"c": ("int64_list", [1]), "x": ("int64_list", [3])}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("{}", "When method is classify, key 'examples' is expected and was not found"),
        ('{"examples": {}}', "Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "'examples' value is an empty array"),
        ('{"examples": [{}, 1]}', "Example must be JSON object but got JSON Number (example 1)"),
        ('{"context": [], "examples": [{}]}', "Example must be JSON object but got JSON Array (context)"),
        ('{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null (example 0)"),
        ('{"examples": [{"x": [[1]]}]}', "Feature: x has element with unexpected JSON type: Array (example 0)"),
        ('{"examples": [{"x": {"y": 1}}]}', "Feature: x has element with unexpected JSON type: Object (example 0)"),
        ('{"examples": [{"x": [1, 2.0]}]}', "Unexpected element type in feature: x expecting type: int64 (example 0)"),
        (
            '{"examples": [{"x": [1.0, "a"]}]}',
            "Unexpected element type in feature: x expecting type: float (example 0)",
        ),
        ('{"examples": [{"x": 9223372036854775808}]}', "Feature: x has uint64_t element. Only int64_t is supported."),
        ('{"examples": [{"x": {"b64": "!"}}]}', "Unable to base64 decode"),
    ],
)
def test_refused(text, expected):
    with pytest.raises(ServingError) as error:
        read(text)
    assert expected in error.value.message
    assert error.value.code is Code.INVALID_ARGUMENT
