"""Rows as clients send them."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.transform_graph import EMPTY

_KINDS = {tf.float32: "float_list", tf.int64: "int64_list", tf.string: "bytes_list"}


def columns(examples: Sequence[bytes], types: Mapping[str, tf.DType]) -> dict[str, np.ndarray]:
    """Raw columns of serialised tf.Examples, shape [rows], with what stands for a missing value.

    Args:
      examples: the rows.
      types: column -> type, as the signature has them.
    """
    rows = [tf.train.Example.FromString(example).features.feature for example in examples]
    return {name: _column(rows, name, dtype) for name, dtype in types.items()}


def _column(rows: Sequence[Any], name: str, dtype: tf.DType) -> np.ndarray:
    values = [getattr(row[name], _KINDS[dtype]).value if name in row else () for row in rows]
    missing = b"" if dtype == tf.string else EMPTY[dtype]
    filled = [value[0] if value else missing for value in values]
    return np.array(filled, dtype=object if dtype == tf.string else dtype.as_numpy_dtype)


def as_json(values: np.ndarray) -> list[Any]:
    """A column for a JSON request: bytes as text, or in base64 where they are none."""
    return [_as_text(value) if isinstance(value, bytes) else value for value in values.tolist()]


def _as_text(value: bytes) -> Any:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}
