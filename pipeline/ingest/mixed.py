"""Values of which some don't fit the rest: their column is text, so that none is lost and each can be judged by itself."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa


def guess(values: Sequence[Any]) -> pa.Array:
    """Values of one kind as an array of that kind; of several, or whole numbers beyond int64, as text.

    Args:
      values: Python objects; None is missing.
    """
    try:
        array = pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return texts(values)
    return texts(values) if "uint64" in str(array.type) else array


def texts(values: Sequence[Any]) -> pa.Array:
    """Each value as text: strings as they are, bytes as UTF-8, numbers, truth values, lists and objects as JSON."""
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, dict | list | bool | int | float):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
