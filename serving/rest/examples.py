"""JSON of a classify or regress request -> serialised tf.Examples.

A feature's kind is its first value's: a number with a point or an exponent, and NaN, is a float; another number or a
Boolean an integer; a string or `{"b64": "..."}` bytes. All values of a feature are of one kind. (TF Serving's rules.)
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from serving.errors import Code, ServingError
from serving.rest.json_read import decode_b64, is_b64
from serving.rest.json_shown import json_type, shown

_KINDS = {float: "float", int: "int64", bool: "int64", str: "bytes", dict: "bytes"}
_INT64 = range(-(2**63), 2**63)


def read(document: Mapping[str, Any], verb: str) -> list[bytes]:
    """The examples; what the context has is in each of them.

    Args:
      document: `{"context": {…}, "examples": [{feature: value or list}, …]}`; the context is optional.
      verb: classify or regress, for messages.

    Raises:
      ServingError: INVALID_ARGUMENT, with the feature, and the example where one is at fault.
    """
    context = _example(document["context"], "context") if "context" in document else b""
    if "examples" not in document:
        raise _invalid(
            f"JSON Value: {shown(document)} When method is {verb}, key 'examples' is expected and was not found"
        )
    rows = document["examples"]
    if type(rows) is not list:
        raise _invalid(f"JSON Value: {shown(document)} Expecting 'examples' value to be an list/array")
    if not rows:
        raise _invalid(f"JSON Value: {shown(document)} 'examples' value is an empty array")
    # Two serialised messages one after the other are both of them merged.
    return [context + _example(row, f"example {at}") for at, row in enumerate(rows)]


def _example(value: Any, where: str) -> bytes:
    if type(value) is not dict:
        raise _invalid(f"Example must be JSON object but got JSON {json_type(value)} ({where})")
    example = tf.train.Example()
    for name, content in value.items():
        _fill(example.features.feature[name], name, content if type(content) is list else [content], where)
    serialised: bytes = example.SerializeToString()
    return serialised


def _fill(feature: Any, name: str, values: list[Any], where: str) -> None:
    kind = None
    for value in values:
        found = _KINDS.get(type(value))
        if found is None or (type(value) is dict and not is_b64(value)):
            raise _invalid(f"Feature: {name} has element with unexpected JSON type: {json_type(value)} ({where})")
        kind = kind or found
        if found != kind:
            raise _invalid(f"Unexpected element type in feature: {name} expecting type: {kind} ({where})")
    if kind == "float":
        feature.float_list.value.extend(values)
    elif kind == "int64":
        for value in values:
            if value not in _INT64:
                raise _invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported. ({where})")
        feature.int64_list.value.extend(values)
    elif kind == "bytes":
        feature.bytes_list.value.extend(value.encode() if type(value) is str else decode_b64(value) for value in values)


def _invalid(message: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, message)
