"""From a file's own types to those of tf.Example: int64, float32, binary, or lists of them.

Text becomes a number as pyarrow's CSV reader makes it one: blanks around it are trimmed, `nan` is a missing float,
`0x10` is 16. A whole float (`5.0`) is an integer, too: pandas writes integers so where others are missing. A date or a
time becomes seconds since 1970 (INT, FLOAT) or ISO 8601 text (BYTES).
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TARGETS = {"INT": pa.int64(), "FLOAT": pa.float32(), "BYTES": pa.binary()}
_FLOAT = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:nan|inf|infinity)$"
_SHORT_INTEGER = r"^-?\d{1,18}$"
_WHOLE_FLOAT = r"^-?\d{1,15}\.0*$"
_BLANKS = " \t"
_2_63 = float(2**63)
_TICKS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


class Unsupported(Exception):
    """A column whose type can't become a tf.Example's, such as a struct."""


def cast(column: pa.Array, kind: str, decimal: str = ".") -> tuple[pa.Array, np.ndarray]:
    """Casts a column.

    Args:
      column: as a reader gives it, shape [rows].
      kind: INT, FLOAT or BYTES.
      decimal: the decimal point of numbers that are text.

    Returns:
      The column as int64, float32 or binary, or as lists of them; null where a value is missing or does not fit. And
      bool [rows], where a value does not fit.

    Raises:
      Unsupported: no value of this type could fit.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is_list(column.type):
        return _cast_lists(column, kind, decimal)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), TARGETS[kind]), np.zeros(len(column), bool)
    if is_text(column.type):
        made, bad = _parsed(column, kind, decimal)
    else:
        made, bad = {"INT": _integers, "FLOAT": _floats, "BYTES": _texts}[kind](column)
    if kind == "FLOAT":
        made = pc.if_else(pc.is_nan(made), pa.scalar(None, made.type), made)
    return made, bad


def as_lists(values: pa.Array) -> pa.Array:
    """A flat column as lists of one value, null where it is missing, as tfx_bsl encodes them; lists as they are."""
    if pa.types.is_list(values.type):
        return values
    if not values.null_count:
        return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), values)
    present = np.asarray(values.is_valid())
    offsets = np.concatenate([[0], np.cumsum(present)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.drop_null(), mask=pa.array(~present))


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a string's or bytes'."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _cast_lists(column: pa.Array, kind: str, decimal: str) -> tuple[pa.Array, np.ndarray]:
    """Values are cast as those of a flat column; a row with one that does not fit does not fit."""
    column = column.cast(pa.list_(column.type.value_type))
    if _is_list(column.type.value_type):
        raise Unsupported(f"lists of lists ({column.type})")
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0))
    made, bad = cast(column.flatten(), kind, decimal)
    rows = np.repeat(np.arange(len(column)), lengths)
    bad_rows = np.zeros(len(column), bool)
    bad_rows[rows[bad | np.asarray(made.is_null())]] = True
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    valid = np.asarray(column.is_valid()) & ~bad_rows & (lengths > 0)
    return pa.ListArray.from_arrays(pa.array(offsets), made, mask=pa.array(~valid)), bad_rows


def _parsed(column: pa.Array, kind: str, decimal: str) -> tuple[pa.Array, np.ndarray]:
    none = np.zeros(len(column), bool)
    if kind == "BYTES":
        return column.cast(pa.binary()), none
    try:
        text = column.cast(pa.string())
    except pa.ArrowInvalid:  # not UTF-8: no number
        text = pa.array([value.decode("utf-8", "replace") if value else None for value in column.to_pylist()])
    text = pc.utf8_trim(text, _BLANKS)
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    if decimal != ".":  # a point is none any more
        text = pc.replace_substring(pc.replace_substring(text, ".", "\0"), decimal, ".")
    made = _parsed_floats(text) if kind == "FLOAT" else _parsed_integers(text)
    return made, np.asarray(pc.and_(text.is_valid(), made.is_null()))


def _parsed_floats(text: pa.Array) -> pa.Array:
    good = _where(pc.match_substring_regex(text, _FLOAT), text)
    return good.cast(pa.float64()).cast(pa.float32(), safe=False)


def _parsed_integers(text: pa.Array) -> pa.Array:
    short = _where(pc.match_substring_regex(text, _SHORT_INTEGER), text).cast(pa.int64())
    whole = _where(pc.match_substring_regex(text, _WHOLE_FLOAT), text).cast(pa.float64()).cast(pa.int64())
    made = pc.coalesce(short, whole)
    rest = np.flatnonzero(np.asarray(pc.and_(text.is_valid(), made.is_null())))
    if not len(rest):
        return made
    values = made.to_pylist()
    for index in rest:
        values[index] = _integer(text[int(index)])
    return pa.array(values, pa.int64())


def _integer(text: pa.Scalar) -> int | None:
    """As pyarrow reads it (19 digits, hexadecimal), or None."""
    try:
        return int(text.cast(pa.int64()).as_py())
    except pa.ArrowInvalid:
        return None


def _where(mask: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(pc.fill_null(mask, False), values, pa.scalar(None, values.type))


def _seconds(column: pa.Array) -> pa.Array:
    """Dates and times as seconds since 1970, durations and times of day as seconds; float64."""
    kind = column.type
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        ticks = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(pa.float64(), safe=False)
        return pc.divide(ticks, _TICKS[kind.unit])
    if pa.types.is_date(kind):
        days = pa.types.is_date32(kind)
        ticks = column.cast(pa.int32() if days else pa.int64()).cast(pa.float64(), safe=False)
        return pc.multiply(ticks, 86400.0) if days else pc.divide(ticks, 1e3)
    return pc.divide(column.cast(pa.int64()).cast(pa.float64(), safe=False), _TICKS[kind.unit])


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_temporal(kind) and not pa.types.is_interval(kind))


def _integers(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    kind = column.type
    if pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        return column.cast(pa.int64()), np.zeros(len(column), bool)
    if _is_time(kind):
        return pc.floor(_seconds(column)).cast(pa.int64()), np.zeros(len(column), bool)
    if kind == pa.uint64():
        good = pc.less_equal(column, pa.scalar(2**63 - 1, pa.uint64()))
        return _checked(column, good, lambda values: values.cast(pa.int64()))
    if pa.types.is_decimal(kind):
        whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column.cast(pa.float64())), _2_63))
        return _checked(column, whole, lambda good: good.cast(pa.int64()))
    if pa.types.is_floating(kind):
        values = column.cast(pa.float64())
        missing = pc.is_nan(values)
        whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), _2_63))
        values = pc.if_else(missing, pa.scalar(None, pa.float64()), values)
        return _checked(values, whole, lambda good: good.cast(pa.int64()))
    raise Unsupported(str(kind))


def _floats(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    kind = column.type
    if _is_time(kind):
        column = _seconds(column)
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise Unsupported(str(kind))
    return column.cast(pa.float64(), safe=False).cast(pa.float32(), safe=False), np.zeros(len(column), bool)


def _texts(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    kind = column.type
    known = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, _is_time)
    if not any(test(kind) for test in known):
        raise Unsupported(str(kind))
    text = column.cast(pa.string())
    bad = np.zeros(len(column), bool)
    if _is_time(kind):  # year 10,000 and later
        bad = np.asarray(pc.fill_null(pc.starts_with(text, "<value out of range"), False))
        text = _where(pa.array(~bad), text)
    return text.cast(pa.binary()), bad


def _checked(values: pa.Array, good: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> tuple[pa.Array, np.ndarray]:
    """Converts what is good; the rest, but for what is missing, does not fit."""
    bad = np.asarray(pc.and_(values.is_valid(), pc.invert(pc.fill_null(good, False))))
    return convert(_where(good, values)), bad
