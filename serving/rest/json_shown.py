"""How messages show JSON, types and shapes: in TF Serving's words."""

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

_MOST_CHARACTERS = 256
_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}
_NAMES = {tf.float16: "half", tf.float32: "float", tf.float64: "double"}


def shown(value: Any) -> str:
    """JSON of a value, at most 256 characters of it."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece[: _MOST_CHARACTERS + 1]
        if len(text) > _MOST_CHARACTERS:
            return text[:_MOST_CHARACTERS] + "…"
    return text


def json_type(value: Any) -> str:
    """`Number`, `String`, …"""
    return str(value) if isinstance(value, bool) else _TYPES[type(value)]


def type_text(dtype: tf.DType) -> str:
    """`float`, `int64`, …"""
    return _NAMES.get(dtype, dtype.name)


def shape_text(shape: Sequence[int | None] | None) -> str:
    """`[-1,28,28]`: -1 where any size fits, `[?]` where any rank does."""
    return "[?]" if shape is None else f"[{','.join(str(-1 if size is None else size) for size in shape)}]"


def hint(given: Iterable[str], wanted: Iterable[str]) -> str:
    """Offers the wanted name that is close to a given one, or nothing: ` Did you mean 'fare' in place of 'fair'?`."""
    for name in given:
        close = difflib.get_close_matches(name, list(wanted), n=1, cutoff=0.6)
        if close and close[0] != name:
            return f" Did you mean {close[0]!r} in place of {name!r}?"
    return ""
