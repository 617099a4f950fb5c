"""JSON of a predict request -> an array for each of the signature's inputs.

Two forms (TF Serving's json_tensor.cc has the rules, and the messages):

- rows, `{"instances": [...]}`: a value for each row, or an object `{input: value}` for each row;
- columns, `{"inputs": ...}`: the whole tensor, or an object `{input: tensor}`.

A signature with one input needs no name in either form. `{"b64": "..."}` with no other key is bytes. Integers are strict (1.0
is none), floats take integers and the tokens NaN, Infinity and -Infinity.

What is refused here and not at TF Serving, since it can't be meant: a key twice in one object, text behind the document,
lists nested deeper than 200, an integer that its type can't hold, and a shape that the signature does not have.
"""

import binascii
import codecs
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf
from pydantic_core import from_json

from serving.errors import Code, ServingError
from serving.rest.json_shown import hint, json_type, shape_text, shown, type_text
from serving.session import Signature, Tensor

_MOST_DIMENSIONS = 32
_TAKES: dict[tf.DType, frozenset[type]] = {
    **dict.fromkeys((tf.float32, tf.float64), frozenset({float, int})),
    **dict.fromkeys(
        (tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint32, tf.uint64),
        frozenset({int}),
    ),
    tf.bool: frozenset({bool}),
    tf.string: frozenset({str, dict}),
}


def parse(body: bytes) -> dict[str, Any]:
    """The document of a request.

    Raises:
      ServingError: INVALID_ARGUMENT: it is no JSON object, is nested deeper than 200, or has a key twice.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body:
        raise _invalid("JSON Parse error: The document is empty")
    try:
        document = from_json(body, allow_inf_nan=True, cache_strings="keys")
    except ValueError as error:
        raise _invalid(f"JSON Parse error: {error}") from None
    if type(document) is not dict:
        raise _invalid(f"JSON Value: {shown(document)} Is not object")
    # A colon for each key: more of them are in strings, or belong to keys that are there twice.
    if body.count(b":") != _keys(document):
        json.loads(body, object_pairs_hook=_once)
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request names, "" where it names none."""
    name = document.get("signature_name", "")
    if type(name) is not str:
        raise _invalid(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def in_rows(document: Mapping[str, Any]) -> bool:
    """Whether a request is in rows; False for columns.

    Raises:
      ServingError: INVALID_ARGUMENT: it has neither form, or both.
    """
    rows, columns = "instances" in document, "inputs" in document
    if rows and columns:
        raise _invalid(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    if not rows and not columns:
        raise _invalid(f"Missing 'inputs' or 'instances' key.{hint(document, ('inputs', 'instances'))}")
    return rows


def arrays(document: Mapping[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    """An array for each of the signature's inputs.

    Raises:
      ServingError: INVALID_ARGUMENT, with the input, and the row where one is at fault; UNIMPLEMENTED for an input of a
        type that JSON does not carry.
    """
    if in_rows(document):
        return _of_rows(document["instances"], signature.inputs, document)
    return _of_columns(document["inputs"], signature.inputs)


def _of_rows(rows: Any, inputs: Mapping[str, Tensor], document: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if type(rows) is not list:
        raise _invalid(f"JSON Value: {shown(document)} Expecting 'instances' to be an list/array")
    if not rows:
        raise _invalid(f"JSON Value: {shown(document)} No values in 'instances' array")
    if not _is_object(rows[0]):
        if len(inputs) > 1:
            raise _invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                f"tensorinfo_map. Inputs: {', '.join(inputs)}"
            )
        if dict in map(type, rows):
            for row, value in enumerate(rows):
                if _is_object(value):
                    raise _invalid(f"Expecting value/list but got object at item {row} of input list")
        (name,) = inputs
        return {name: _row_column(rows, name, inputs[name], named=False)}
    for row, value in enumerate(rows):
        if type(value) is not dict or value.keys() != inputs.keys():
            raise _row_fault(value, row, inputs)
    return {name: _row_column([row[name] for row in rows], name, tensor) for name, tensor in inputs.items()}


def _row_column(values: list[Any], name: str, tensor: Tensor, *, named: bool = True) -> np.ndarray:
    try:
        return to_array(values, name, tensor)
    except _ElementError as error:
        at, *_ = error.path or (0,)
        key = f" key: {name}" if named else ""
        raise ServingError(
            error.code, f"Failed to process element: {at}{key} of 'instances' list. Error: {error.code.name}: {error}"
        ) from None


def _row_fault(value: Any, row: int, inputs: Mapping[str, Tensor]) -> ServingError:
    """What is wrong with a row that has not the signature's inputs."""
    if not _is_object(value):
        return _invalid(f"Expecting object but got list at item {row} of input list")
    for name in value:
        if name not in inputs:
            return _invalid(
                f"Failed to process element: {row} key: {name} of 'instances' list. Error: INVALID_ARGUMENT: "
                f"JSON object: does not have named input: {name}.{hint([name], inputs)} Inputs: {', '.join(inputs)}"
            )
    missing = [name for name in inputs if name not in value]
    return _invalid(
        f"Failed to process element: {row} of 'instances' list. JSON object: {shown(value)} keys must be equal to: "
        f"{','.join(inputs)}. Missing: {', '.join(missing)}"
    )


def _of_columns(columns: Any, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    if not _is_object(columns):
        if len(inputs) > 1:
            raise _invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                f"tensorinfo_map. Inputs: {', '.join(inputs)}"
            )
        (name,) = inputs
        return {name: to_array(columns, name, inputs[name])}
    arrays = {}
    for name, tensor in inputs.items():
        if name not in columns:
            raise _invalid(f"Missing named input: {name} in 'inputs' object.{hint(columns, [name])}")
        try:
            arrays[name] = to_array(columns[name], name, tensor)
        except _ElementError as error:
            raise ServingError(error.code, f"{error.message}, input {name}") from None
    return arrays


def to_array(values: Any, name: str, tensor: Tensor) -> np.ndarray:
    """The array of nested lists, or of one value.

    Args:
      values: JSON, parsed.
      name: of the input, for messages.
      tensor: what the signature expects.

    Raises:
      ServingError: the lists are ragged, an element has another type or is out of range, or the shape does not fit.
    """
    takes = _TAKES.get(tensor.dtype)
    if takes is None:
        raise ServingError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: {shown(values)} to type: {type_text(tensor.dtype)}"
        )
    shape: list[int] = []
    leaves = [values]
    while leaves and type(leaves[0]) is list:
        size = len(leaves[0])
        shape.append(size)
        if len(leaves) == 1:
            leaves = leaves[0]
        elif set(map(type, leaves)) == {list} and set(map(len, leaves)) == {size}:
            leaves = list(chain.from_iterable(leaves))
        else:
            break
    if not takes.issuperset(map(type, leaves)):
        if any(type(leaf) is list for leaf in leaves):
            raise _ragged(values, shape)
        raise _at_fault(leaves, shape, lambda leaf: type(leaf) not in takes, tensor.dtype)
    if not _fits(shape, tensor.shape):
        raise _ElementError(
            f"Input {name}: wrong shape. Expected: {shape_text(tensor.shape)}. Received: {shape_text(shape)}"
        )
    if tensor.dtype == tf.string:
        array = np.empty(len(leaves), dtype=object)
        array[:] = _all_bytes(leaves, shape)
    else:
        try:
            array = np.array(leaves, dtype=tensor.numpy_dtype)
        except OverflowError:
            raise _at_fault(leaves, shape, lambda leaf: not _held(leaf, tensor.dtype), tensor.dtype) from None
    return array.reshape(shape)


def _fits(shape: Sequence[int], expected: tuple[int | None, ...] | None) -> bool:
    if expected is None:
        return len(shape) <= _MOST_DIMENSIONS
    if len(shape) != len(expected):
        return False
    for size, want in zip(shape, expected, strict=True):
        if want is not None and want != size:
            return False
    return True


class _ElementError(ServingError):
    """An element, or a list, that does not fit; the path of its positions is empty where all of the value is meant."""

    def __init__(self, message: str, path: Sequence[int] = ()) -> None:
        super().__init__(Code.INVALID_ARGUMENT, f"{message} (at {list(path)})" if path else message)
        self.path = path


def _at_fault(
    leaves: Sequence[Any], shape: Sequence[int], wrong: Callable[[Any], bool], dtype: tf.DType
) -> _ElementError:
    """The first element that is wrong."""
    index = next(index for index, leaf in enumerate(leaves) if wrong(leaf))
    leaf = leaves[index]
    return _ElementError(
        f"JSON Value: {shown(leaf)} Type: {json_type(leaf)} is not of expected type: {type_text(dtype)}",
        _path(index, shape),
    )


def _path(index: int, shape: Sequence[int]) -> list[int]:
    """Where an element is, of its number in row-major order."""
    return [int(at) for at in np.unravel_index(index, shape)] if shape else []


def _ragged(values: Any, shape: Sequence[int]) -> _ElementError:
    """The first list or element, in order, that is not where the first ones have theirs."""
    for path, value in _walk(values, len(shape)):
        level = len(path)
        if type(value) is not list:
            if level != len(shape):
                return _ElementError(
                    f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                    f"Expected at level: {len(shape)}",
                    path,
                )
        elif level >= len(shape):
            return _ElementError(f"Encountered list at unexpected level: {level} expected < {len(shape)}", path)
        elif len(value) != shape[level]:
            return _ElementError(
                f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}",
                path,
            )
    raise AssertionError("the lists are not ragged")


def _walk(value: Any, depth: int, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Every list and element with its path, down to one level below `depth`."""
    yield path, value
    if type(value) is list and len(path) < depth:
        for at, item in enumerate(value):
            yield from _walk(item, depth, (*path, at))


def _held(value: int, dtype: tf.DType) -> bool:
    """Whether a type can hold an integer."""
    try:
        np.array(value, dtype=dtype.as_numpy_dtype)
    except OverflowError:
        return False
    return True


def _all_bytes(leaves: Sequence[Any], shape: Sequence[int]) -> list[bytes]:
    found: list[bytes] = []
    try:
        for leaf in leaves:
            found.append(leaf.encode() if type(leaf) is str else decode_b64(leaf))
    except ServingError as error:
        raise _ElementError(error.message, _path(len(found), shape)) from None
    return found


def decode_b64(value: Mapping[str, Any]) -> bytes:
    """The bytes of `{"b64": "..."}`; white space is passed over, and padding may be left out.

    Raises:
      ServingError: INVALID_ARGUMENT: another object, or no base64.
    """
    text = value.get("b64")
    if len(value) != 1 or type(text) is not str:
        raise _invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    text = "".join(text.split()).rstrip("=")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise _invalid("Unable to base64 decode") from None


def is_b64(value: Any) -> bool:
    """Whether a value is `{"b64": "..."}` and nothing else."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def _is_object(value: Any) -> bool:
    return type(value) is dict and not is_b64(value)


def _keys(value: Any) -> int:
    """How many keys the objects of a value have; those in lists that begin with something else are not looked for."""
    if type(value) is dict:
        return len(value) + sum(map(_keys, value.values()))
    first = value
    while type(first) is list and first:
        first = first[0]
    return sum(map(_keys, value)) if type(first) is dict and type(value) is list else 0


def _once(pairs: Sequence[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _invalid(f"JSON Parse error: key {shown(key)} is there twice in one object")
        seen.add(key)


def _invalid(message: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, message)
