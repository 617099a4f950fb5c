"""Arrays -> the JSON that TF Serving answers with.

A single output is unnamed. float32 has as few digits as bring the same float32 back, and whole floats end in `.0`. NaN and the
infinities are the tokens NaN, Infinity and -Infinity, which strict JSON does not have. Strings of an output whose name ends
in `_bytes` are `{"b64": "..."}`; others are copied byte for byte, also where they are no UTF-8, as TF Serving does.
"""

import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

import numpy as np
import orjson

from serving.errors import Code, ServingError

_WRITTEN = frozenset(
    map(np.dtype, ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "bool", "object"))  # Those of TF Serving.
)


def predictions(outputs: Mapping[str, np.ndarray]) -> bytes:
    """`{"predictions": [...]}`: an element for each row.

    Raises:
      ServingError: INVALID_ARGUMENT: an output has no rows, another number of them, or a type that JSON does not carry.
    """
    number = None
    for name, array in outputs.items():
        if not array.shape:
            raise _invalid(f"Tensor name: {name} has no shape information ")
        if number is not None and array.shape[0] != number:
            raise _invalid(f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {number}")
        number = array.shape[0]
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return b'{"predictions":%b}' % _text(name, array)
    form = b"{" + b",".join(quoted(name).replace(b"%", b"%%") + b":%b" for name in outputs) + b"}"
    columns = [_rows(name, array) for name, array in outputs.items()]
    return b'{"predictions":[%b]}' % b",".join(form % row for row in zip(*columns, strict=True))


def columns(outputs: Mapping[str, np.ndarray]) -> bytes:
    """`{"outputs": ...}`: the tensor, or an object of tensors by name.

    Raises:
      ServingError: INVALID_ARGUMENT: an output has a type that JSON does not carry.
    """
    texts = [(name, _text(name, array)) for name, array in outputs.items()]
    if len(texts) == 1:
        return b'{"outputs":%b}' % texts[0][1]
    return b'{"outputs":{%b}}' % b",".join(quoted(name) + b":" + text for name, text in texts)


def classifications(results: Sequence[Sequence[tuple[str | bytes, float]]]) -> bytes:
    """`{"results": [[[label, score], ...], ...]}`: a list for each example."""
    rows = []
    for pairs in results:
        scores = _tokens(np.array([score for _, score in pairs], dtype=np.float32), _number)
        rows.append(
            b"[%b]" % b",".join(b"[%b,%b]" % (quoted(label), s) for (label, _), s in zip(pairs, scores, strict=True))
        )
    return b'{"results":[%b]}' % b",".join(rows)


def regressions(results: Sequence[float]) -> bytes:
    """`{"results": [value, ...]}`: a value for each example."""
    return b'{"results":%b}' % _text("", np.array(results, dtype=np.float32))


def quoted(text: str | bytes) -> bytes:
    """A JSON string; bytes are copied as they are, control characters, quotes and backslashes apart."""
    raw = text.encode() if isinstance(text, str) else text
    return encode_basestring(raw.decode("latin-1")).encode("latin-1")


def _text(name: str, array: np.ndarray) -> bytes:
    """JSON of all of an array."""
    if _is_plain(name, array) and array.shape:
        return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)
    return _nested(_tokens(array.ravel(), _writer(name, array)), array.shape)


def _rows(name: str, array: np.ndarray) -> Iterable[bytes]:
    """JSON of each row of an array."""
    if array.size and array.ndim <= 2 and _is_plain(name, array):
        text = orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)
        if array.ndim == 1:
            return text[1:-1].split(b",")
        return [b"[%b]" % row for row in text[2:-2].split(b"],[")]
    tokens = _tokens(array.ravel(), _writer(name, array))
    size = int(np.prod(array.shape[1:]))
    return [_nested(tokens[at * size : (at + 1) * size], array.shape[1:]) for at in range(array.shape[0])]


def _is_plain(name: str, array: np.ndarray) -> bool:
    """Whether orjson writes it as TF Serving does: numbers, all of them finite."""
    kind = array.dtype.kind
    if array.dtype not in _WRITTEN:
        raise _invalid(f"Failed to write JSON value for tensor type: {array.dtype.name} (output {name})")
    return kind in "iub" or (kind == "f" and bool(np.isfinite(array).all()))


def _nested(tokens: list[bytes], shape: Sequence[int]) -> bytes:
    """Elements in row-major order as nested lists of a shape."""
    number = len(tokens)
    for axis in range(len(shape) - 1, -1, -1):
        number = int(np.prod(shape[:axis], dtype=np.int64))
        size = shape[axis]
        tokens = [b"[%b]" % b",".join(tokens[at * size : (at + 1) * size]) for at in range(number)]
    return tokens[0]


def _tokens(flat: np.ndarray, write: Callable[[Any], bytes]) -> list[bytes]:
    """JSON of each element."""
    if flat.dtype.kind == "O":
        return [write(value) for value in flat]
    if not flat.size:
        return []
    tokens = orjson.dumps(np.ascontiguousarray(flat), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    if flat.dtype.kind == "f":
        for at in np.flatnonzero(~np.isfinite(flat)):
            tokens[at] = write(flat[at])
    return tokens


def _writer(name: str, array: np.ndarray) -> Callable[[Any], bytes]:
    if array.dtype.kind != "O":
        return _number
    return _b64 if name.endswith("_bytes") else quoted


def _number(value: float) -> bytes:
    return b"NaN" if np.isnan(value) else b"Infinity" if value > 0 else b"-Infinity"


def _b64(value: bytes) -> bytes:
    return b'{"b64":"%b"}' % binascii.b2a_base64(value, newline=False)


def _invalid(message: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, message)
