"""Which rows may not pass, and why: what the schema and the task demand of each row by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.columns import Column
from pipeline.rows import Matches, Rule

_SHOWN_VALUES = 10


@dataclass(frozen=True)
class Fault:
    """Rows that break one rule.

    Attributes:
      rule: type, required, single, finite, domain, range, rule, key, image, split or unique.
      column: the one concerned; for a rule over several, the first of them.
      message: what was expected.
      rows: bool, shape [rows].
    """

    rule: str
    column: str
    message: str
    rows: np.ndarray


def faults(
    columns: Mapping[str, pa.Array], rules: Mapping[str, Column], conditions: Sequence[Rule | Matches]
) -> Iterator[Fault]:
    """Checks typed columns.

    Args:
      columns: name -> int64, float32 or binary, or lists of them, shape [rows].
      rules: what the schema demands, by column. A column that is not there breaks none.
      conditions: the task's rules.

    Yields:
      A fault for each rule that some row breaks.
    """
    rows = len(next(iter(columns.values()))) if columns else 0
    for name, rule in rules.items():
        if name in columns:
            yield from (fault for fault in _of_column(columns[name], rule) if fault.rows.any())
    for condition in conditions:
        broken = _broken(columns, condition, rows)
        if broken.any():
            yield Fault("rule", sorted(condition.columns)[0], f"expected that {condition.name}", broken)


def _of_column(column: pa.Array, rule: Column) -> Iterator[Fault]:
    if rule.required and column.null_count:
        yield Fault("required", rule.name, "expected a value", np.asarray(column.is_null()))
    if pa.types.is_list(column.type):
        lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0))
        if rule.single:
            yield Fault("single", rule.name, "expected one value", lengths > 1)
        for fault in _of_values(column.flatten(), rule):
            yield Fault(fault.rule, fault.column, fault.message, _owners(column, fault.rows))
    else:
        yield from _of_values(column, rule)


def _of_values(values: pa.Array, rule: Column) -> Iterator[Fault]:
    if pa.types.is_floating(values.type):
        infinite = np.isinf(np.asarray(pc.fill_null(values, 0.0)))
        yield Fault("finite", rule.name, "expected a finite number", infinite)
    if rule.values is not None:
        known: list[Any] = sorted(rule.values)
        shown = ", ".join(_shown(value) for value in known[:_SHOWN_VALUES])
        more = f" or {len(known) - _SHOWN_VALUES} more" if len(known) > _SHOWN_VALUES else ""
        unknown = pc.and_(values.is_valid(), pc.invert(pc.is_in(values, pa.array(known, values.type))))
        yield Fault("domain", rule.name, f"expected one of {shown}{more}", np.asarray(unknown))
    if rule.low is not None or rule.high is not None:
        yield Fault("range", rule.name, f"expected {_range(rule)}", _outside(values, rule))


def _outside(values: pa.Array, rule: Column) -> np.ndarray:
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        return np.zeros(len(values), bool)
    outside = np.zeros(len(values), bool)
    # The schema's bounds are float32 for floats: 0.1 is within [0.1, 1].
    for bound, beyond in ((rule.low, pc.less), (rule.high, pc.greater)):
        if bound is not None:
            limit = pa.scalar(bound if pa.types.is_floating(values.type) else int(bound), values.type)
            outside |= np.asarray(pc.fill_null(beyond(values, limit), False))
    return outside


def _range(rule: Column) -> str:
    if rule.low is None:
        return f"at most {rule.high:g}"
    return f"at least {rule.low:g}" if rule.high is None else f"{rule.low:g} to {rule.high:g}"


def _broken(columns: Mapping[str, pa.Array], condition: Rule | Matches, rows: int) -> np.ndarray:
    if isinstance(condition, Matches):
        column = columns.get(condition.column)
        if column is not None and pa.types.is_list(column.type):
            return _owners(column, _unlike(column.flatten(), condition.pattern))
        return np.zeros(rows, bool) if column is None else _unlike(column, condition.pattern)
    values = {name: _numbers(columns.get(name), rows) for name in condition.columns}
    present = np.logical_and.reduce([~np.isnan(column) for column in values.values()] or [np.ones(rows, bool)])
    with np.errstate(all="ignore"):
        holds = np.asarray(condition.condition.evaluate(values), bool)
    return present & ~holds


def _unlike(column: pa.Array, pattern: str) -> np.ndarray:
    """Where a text does not match a pattern."""
    if not pa.types.is_binary(column.type):
        return np.zeros(len(column), bool)
    matches = pc.match_substring_regex(_as_text(column), f"^(?:{pattern})$")
    return ~np.asarray(pc.fill_null(matches, True))


def _owners(column: pa.Array, hits: np.ndarray) -> np.ndarray:
    """Which rows of a column of lists have a value that is hit."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0))
    found = np.zeros(len(column), bool)
    found[np.repeat(np.arange(len(column)), lengths)[hits]] = True
    return found


def single(column: pa.Array) -> pa.Array:
    """A flat column: of a list its value where there is one, null where there are several.

    Whether a column comes flat or as lists depends on the other rows of its batch; what is made of a row must not.
    """
    if not pa.types.is_list(column.type):
        return column
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0))
    starts = np.cumsum(lengths) - lengths
    return column.flatten().take(pa.array(starts, mask=lengths != 1))


def _as_text(column: pa.Array) -> pa.Array:
    """As characters, which `.` matches one of; bytes that are not UTF-8 stay bytes."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return column


def _numbers(column: pa.Array | None, rows: int) -> np.ndarray:
    """As float64, NaN where there is no single number."""
    column = None if column is None else single(column)
    if column is None or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return np.full(rows, np.nan)
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _shown(value: bytes | int) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
