"""Parameter values: as text, as JSON and as protos, of schema 2.1 and of 2.0."""

import json
import math
from decimal import Decimal
from typing import Any

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

_LEGACY = {
    pb.PrimitiveType.INT: pb.ParameterType.NUMBER_INTEGER,
    pb.PrimitiveType.DOUBLE: pb.ParameterType.NUMBER_DOUBLE,
    pb.PrimitiveType.STRING: pb.ParameterType.STRING,
}
_KINDS = {
    pb.ParameterType.NUMBER_INTEGER: ("number_value",),
    pb.ParameterType.NUMBER_DOUBLE: ("number_value",),
    pb.ParameterType.BOOLEAN: ("bool_value",),
    pb.ParameterType.LIST: ("list_value",),
    pb.ParameterType.STRUCT: ("struct_value",),
    pb.ParameterType.TASK_FINAL_STATUS: ("struct_value",),
    pb.ParameterType.TASK_CONFIG: ("struct_value",),
}
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


def kind(spec: Any) -> int:
    """The type of a parameter, of either schema."""
    return int(spec.parameter_type or _LEGACY.get(spec.type, pb.ParameterType.PARAMETER_TYPE_ENUM_UNSPECIFIED))


def type_name(number: int) -> str:
    """`NUMBER_INTEGER`."""
    return str(pb.ParameterType.ParameterTypeEnum.Name(number))


def value(plain: Any) -> struct_pb2.Value:
    """A plain value as a proto."""
    return json_format.ParseDict(plain, struct_pb2.Value())


def plain(proto: struct_pb2.Value) -> Any:
    """A proto as a plain value; numbers without a fraction as int, the way Go prints them."""
    return whole(json_format.MessageToDict(proto))


def whole(found: Any) -> Any:
    """Plain JSON with every number without a fraction as an int; Python's protobuf writes 5.0 where Go writes 5."""
    if isinstance(found, float) and math.isfinite(found) and found.is_integer():
        return int(found)
    if isinstance(found, dict):
        return {key: whole(each) for key, each in found.items()}
    if isinstance(found, list):
        return [whole(each) for each in found]
    return found


def as_json(found: Any) -> str:
    """Compact JSON."""
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def text(proto: struct_pb2.Value) -> str:
    """A value where a string is asked for: in a command, or for a parameter of type STRING."""
    found = plain(proto)
    if found is None:
        return ""
    if isinstance(found, str):
        return found
    if isinstance(found, float):
        return format(Decimal(repr(found)), "f")
    return as_json(found)


def parse(written: str, number: int) -> struct_pb2.Value:
    """Text, of a file or a command line, as a value of this type.

    Raises:
      ValueError: it is none, with what was expected.
    """
    stripped = written.strip()
    if number == pb.ParameterType.STRING:
        return value(written)
    if number == pb.ParameterType.NUMBER_INTEGER:
        return value(_number(stripped, int, "an integer"))
    if number == pb.ParameterType.NUMBER_DOUBLE:
        found = _number(stripped, float, "a number")
        if not math.isfinite(found):
            raise ValueError(f"expected a finite number. Received: {stripped}")
        return value(found)
    if number == pb.ParameterType.BOOLEAN:
        if stripped.lower() not in _BOOLEANS:
            raise ValueError(f"expected true or false. Received: {stripped!r:.100}")
        return value(_BOOLEANS[stripped.lower()])
    expected: tuple[type, str] = (list, "a JSON list") if number == pb.ParameterType.LIST else (dict, "a JSON object")
    try:
        decoded = json.loads(stripped)
    except ValueError:
        decoded = None
    if not isinstance(decoded, expected[0]):
        raise ValueError(f"expected {expected[1]}. Received: {stripped!r:.100}")
    return value(decoded)


def _number(written: str, made: Any, expected: str) -> Any:
    try:
        return made(written)
    except ValueError:
        raise ValueError(f"expected {expected}. Received: {written!r:.100}") from None


def fitted(found: struct_pb2.Value, number: int) -> struct_pb2.Value:
    """A value for a parameter of this type: anything is taken as a STRING, and nothing else is converted.

    Raises:
      ValueError: it is of another type.
    """
    if number == pb.ParameterType.STRING:
        return found if found.WhichOneof("kind") == "string_value" else value(text(found))
    got = found.WhichOneof("kind")
    if number in _KINDS and got not in _KINDS[number]:
        raise ValueError(f"expected {type_name(number)}. Received: {plain(found)!r:.100}")
    if number == pb.ParameterType.NUMBER_INTEGER and not found.number_value.is_integer():
        raise ValueError(f"expected NUMBER_INTEGER. Received: {found.number_value}")
    return found


def from_legacy(found: pb.Value) -> struct_pb2.Value:
    """A value of schema 2.0."""
    which = found.WhichOneof("value")
    return value(getattr(found, which) if which else None)


def to_legacy(found: struct_pb2.Value, number: int) -> pb.Value:
    """A value for schema 2.0, which knows INT, DOUBLE and STRING."""
    if number == pb.ParameterType.NUMBER_INTEGER:
        return pb.Value(int_value=int(found.number_value))
    if number == pb.ParameterType.NUMBER_DOUBLE:
        return pb.Value(double_value=found.number_value)
    return pb.Value(string_value=text(found))
