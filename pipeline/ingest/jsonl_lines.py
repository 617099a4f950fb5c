"""JSON Lines that Arrow's parser refuses, one line at a time: what is odd costs its own row and no other."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.ingest import mixed
from pipeline.ingest.batch import LONGEST_TEXT, Malformed

_MOST_DIGITS = 4000
_INT64 = range(-(2**63), 2**63)


class _MinusZero(int):
    """The whole number -0: 0 among whole numbers, -0.0 among others."""


_MINUS_ZERO = _MinusZero(0)


class _Refused(ValueError):
    """A line that JSON allows and we don't."""


def parse(lines: Sequence[tuple[int, bytes]], columns: Mapping[str, str]) -> tuple[pa.RecordBatch, list[Malformed]]:
    """Parses lines one by one.

    Args:
      lines: line number and text, without blank ones.
      columns: column -> INT, FLOAT or BYTES.

    Returns:
      The rows as columns, by the rules of `pipeline.ingest.jsonl_reader`, and the lines that are no rows.
    """
    rows: list[dict[str, Any]] = []
    malformed: list[Malformed] = []
    for number, text in lines:
        try:
            rows.append(_object(text))
        except UnicodeDecodeError as error:
            message = f"expected UTF-8, received byte 0x{text[error.start]:02x} at position {error.start + 1}"
            malformed.append(Malformed(number, message, _shown(text)))
        except RecursionError:
            malformed.append(Malformed(number, "expected an object, received too deep a nesting", _shown(text)))
        except json.JSONDecodeError as error:
            message = f"expected a JSON object, received invalid JSON at character {error.pos + 1}: {error.msg}"
            malformed.append(Malformed(number, message, _shown(text)))
        except _Refused as error:
            malformed.append(Malformed(number, f"expected a JSON object, received {error}", _shown(text)))
    names = dict.fromkeys(name for row in rows for name in row)
    arrays = {name: column([row.get(name) for row in rows], columns.get(name)) for name in names}
    if not arrays:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([]))), malformed
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays)), malformed


def column(values: Sequence[Any], kind: str | None) -> pa.Array:
    """Values as an Arrow array.

    Args:
      values: of JSON; None is missing.
      kind: INT, FLOAT, BYTES, or None for a column that the schema does not have.
    """
    if kind is None:
        return _guessed(values)
    fits, arrow, convert = _KINDS[kind]
    if all(value is None or fits(value) for value in values):
        return pa.array([None if value is None else convert(value) for value in values], arrow)
    if all(value is None or (isinstance(value, list) and all(v is None or fits(v) for v in value)) for value in values):
        lists = [None if row is None else [None if v is None else convert(v) for v in row] for row in values]
        return pa.array(lists, pa.list_(arrow))
    return mixed.texts(values)


def _guessed(values: Sequence[Any]) -> pa.Array:
    if any(value is _MINUS_ZERO for value in values) and any(isinstance(value, float) for value in values):
        values = [-0.0 if value is _MINUS_ZERO else value for value in values]
    return mixed.guess(values)


def _object(text: bytes) -> dict[str, Any]:
    decoder = _EXACT if b"-0" in text or len(text) > _MOST_DIGITS else _PLAIN
    value = decoder.decode(text.decode())
    if not isinstance(value, dict):
        raise _Refused(f"{'an' if isinstance(value, list) else 'a'} {_NAMES.get(type(value), 'number')}")
    if b"\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise _Refused("half a surrogate pair (\\ud800 to \\udfff), which is no character") from error
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Refused(f"the key {next(name for name in names if names.count(name) > 1)!r} twice")
    return made


def _whole(text: str) -> float:
    """A whole number; Python makes none of thousands of digits, which are beyond float64 too."""
    return _MINUS_ZERO if text == "-0" else int(text) if len(text) <= _MOST_DIGITS else float(text)


def _shown(text: bytes) -> str:
    return text[: 4 * LONGEST_TEXT].decode(errors="replace")[:LONGEST_TEXT]


def _fits_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT64


def _fits_float(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: float) -> float:
    try:
        return -0.0 if value is _MINUS_ZERO else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_KINDS: dict[str, tuple[Callable[[Any], bool], pa.DataType, Callable[[Any], Any]]] = {
    "INT": (_fits_int, pa.int64(), int),
    "FLOAT": (_fits_float, pa.float64(), _as_float),
    "BYTES": (lambda value: isinstance(value, str), pa.string(), str),
}
_NAMES = {list: "array", str: "text", bool: "truth value", type(None): "null"}
_PLAIN = json.JSONDecoder(object_pairs_hook=_pairs)
_EXACT = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_whole)
