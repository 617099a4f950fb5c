"""What is in each column: type, missing values, range, few distinct values; exact, in one pass, in flat memory.

    summaries = infer(batches)              # {"fare": Summary(rows=15002, nulls=0, …), …}
    types(summaries)                        # {"fare": "FLOAT", "company": "BYTES", …}

`pipeline.ingest.kinds` says which text is which number.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.batch import RawBatch
from pipeline.ingest.kinds import classify, split_floats

MOST_VALUES = 1000
"""Distinct values that are counted; where a column has more, `Summary.values` is None."""
_LONGEST_VALUE = 1000
_EXAMPLES = 3
_NEARLY_ALL = 0.99
_INT64_MAX = 2**63 - 1
_REFUSED = {
    "BYTES": ("nested",),
    "FLOAT": ("nested", "texts", "infinite"),
    "INT": ("nested", "texts", "infinite", "reals", "huge", "nan"),
}


@dataclass
class Summary:
    """One column over all rows.

    Attributes:
      name: of the column.
      rows: all rows, those of files without this column included.
      nulls: rows without a value.
      kinds: kind, as in `pipeline.ingest.kinds`, -> number of values; typed files also have "times" and "nested".
      low, high: the least and the greatest finite number, or None.
      values: value as text -> count; None where there are more than MOST_VALUES, or very long ones.
      not_text: values that are not UTF-8.
      shortest, longest: values a row, of rows that have any; both 1 unless the column holds lists.
      declared: types that the files themselves state (Parquet, Avro, TFRecord); empty for text.
      examples: kind -> the first of its values, each (line, value).
    """

    name: str
    rows: int = 0
    nulls: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    low: int | float | None = None
    high: int | float | None = None
    values: dict[str, int] | None = field(default_factory=dict)
    not_text: int = 0
    shortest: int = 1
    longest: int = 1
    declared: set[str] = field(default_factory=set)
    examples: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    @property
    def is_list(self) -> bool:
        """Whether a row has any other number of values than one."""
        return (self.shortest, self.longest) != (1, 1)

    @property
    def type(self) -> str:
        """The exact type: INT if every value is an integer, else FLOAT if every value is a number, else BYTES."""
        kinds = self.kinds
        if kinds["texts"] or "BYTES" in self.declared:
            return "BYTES"
        if kinds["padded"] and not (kinds["whole"] or kinds["reals"]):
            return "BYTES"
        if "FLOAT" in self.declared or any(kinds[kind] for kind in ("whole", "reals", "huge", "nan", "infinite")):
            return "FLOAT"
        return "INT" if kinds["integers"] or "INT" in self.declared else "BYTES"

    def misfits(self, kind: str) -> int:
        """Values that a column of this type ("INT", "FLOAT" or "BYTES") does not take."""
        return sum(self.kinds[name] for name in _REFUSED[kind])

    def missing(self, kind: str) -> int:
        """Rows without a value if the column is of this type: blanks are no number, and `nan` is a missing float."""
        if kind == "BYTES" or self.is_list:
            return self.nulls
        return self.nulls + self.kinds["blank"] + (self.kinds["nan"] if kind == "FLOAT" else 0)

    def type_for(self, accepted: Sequence[str] = ()) -> str:
        """The exact type, or one that the task takes, if nearly all values (99 %) are of it.

        Args:
          accepted: types that the task's feature or label takes; empty for any.
        """
        exact = self.type
        if not accepted or exact in accepted:
            return exact
        present = sum(self.kinds.values())
        fitting = (k for k in ("INT", "FLOAT") if k in accepted and self.misfits(k) <= (1 - _NEARLY_ALL) * present)
        return next(fitting, exact)


def infer(batches: Iterable[RawBatch], rows: int | None = None, decimal: str = ".") -> dict[str, Summary]:
    """Summarises every column.

    Args:
      batches: of all files, in any order; a column that only some have is missing in the others' rows.
      rows: stop after this many; None reads all.
      decimal: the decimal point of text.

    Returns:
      Column -> its summary, in the order of the files.
    """
    found: dict[str, Summary] = {}
    seen = 0
    for batch in batches:
        columns = batch.columns if rows is None else batch.columns.slice(0, rows - seen)
        for name, column in zip(columns.schema.names, columns.columns, strict=True):
            _add(found.setdefault(name, Summary(name, rows=seen, nulls=seen)), column, batch.lines, decimal)
        for name in found.keys() - set(columns.schema.names):
            found[name].rows += columns.num_rows
            found[name].nulls += columns.num_rows
        seen += columns.num_rows
        if rows is not None and seen >= rows:
            break
    return found


def merged(parts: Iterable[Mapping[str, Summary]]) -> dict[str, Summary]:
    """The summaries of some files from those of each, in their order; the first ones must not be used any more."""
    found: dict[str, Summary] = {}
    seen = 0
    for part in parts:
        rows = next((summary.rows for summary in part.values()), 0)
        for name, summary in part.items():
            _merge(found.setdefault(name, Summary(name, rows=seen, nulls=seen)), summary)
        for name in found.keys() - part.keys():
            found[name].rows += rows
            found[name].nulls += rows
        seen += rows
    return found


def record(summary: Summary) -> dict[str, Any]:
    """As plain values, for JSON."""
    return vars(summary) | {"declared": sorted(summary.declared)}


def of_record(record: Mapping[str, Any]) -> Summary:
    """The summary that `record` gave."""
    examples = {kind: [(line, text) for line, text in shown] for kind, shown in record["examples"].items()}
    read = {"kinds": Counter(record["kinds"]), "declared": set(record["declared"]), "examples": examples}
    return Summary(**{**record, **read})


def of_counts(name: str, counts: Mapping[str, int], rows: int) -> Summary:
    """The summary of a column of text of which only the values and their counts are known.

    Args:
      name: of the column.
      counts: value -> rows; what is left of `rows` is missing.
      rows: all rows.
    """
    summary = Summary(name, rows=rows, nulls=max(0, rows - sum(counts.values())))
    values = pa.array(list(counts), pa.string())
    if counts:
        weights = np.fromiter(counts.values(), np.int64, len(counts))
        _add_texts(summary, values, values, weights, np.zeros(len(counts), np.int64), ".")
        _tally(summary, values, weights)
    return summary


def types(summaries: Mapping[str, Summary], accepted: Mapping[str, Sequence[str]] | None = None) -> dict[str, str]:
    """Column -> "INT", "FLOAT" or "BYTES".

    Args:
      summaries: of `infer`.
      accepted: column -> the types that the task takes there; see `Summary.type_for`.
    """
    return {name: summary.type_for((accepted or {}).get(name, ())) for name, summary in summaries.items()}


def _merge(summary: Summary, more: Summary) -> None:
    """Adds what later rows have."""
    if not summary.kinds:
        summary.shortest, summary.longest = more.shortest, more.longest
    elif more.kinds:
        summary.shortest = min(summary.shortest, more.shortest)
        summary.longest = max(summary.longest, more.longest)
    summary.rows += more.rows
    summary.nulls += more.nulls
    summary.kinds.update(more.kinds)
    summary.declared |= more.declared
    summary.not_text += more.not_text
    for bound in (more.low, more.high):
        if bound is not None:
            summary.low = bound if summary.low is None else min(summary.low, bound)
            summary.high = bound if summary.high is None else max(summary.high, bound)
    for kind, shown in more.examples.items():
        summary.examples[kind] = [*summary.examples.get(kind, ()), *shown][:_EXAMPLES]
    if summary.values is not None and more.values is not None:
        for value, count in more.values.items():
            summary.values[value] = summary.values.get(value, 0) + count
    if more.values is None or len(summary.values or ()) > MOST_VALUES:
        summary.values = None


def _add(summary: Summary, column: pa.Array, lines: np.ndarray, decimal: str) -> None:
    """Adds a batch's column."""
    summary.rows += len(column)
    summary.nulls += column.null_count
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    while _is_list(column.type):
        _count_lengths(summary, column)
        lines = lines[np.asarray(pc.list_parent_indices(column))]
        column = pc.list_flatten(column)
    kind = column.type
    declared, column = _plain(column)
    if declared:
        summary.declared.add(declared)
    pairs = column.value_counts()
    there = pairs.field(0).is_valid()
    values, counts = pairs.field(0).filter(there), np.asarray(pairs.field(1).filter(there))
    if declared == "INT":
        summary.kinds["integers"] += int(counts.sum())
        _widen(summary, values)
    elif declared == "FLOAT":
        numbers = values.to_numpy(zero_copy_only=False)
        for kind, among in split_floats(numbers).items():
            summary.kinds[kind] += int(counts[among].sum())
            if kind == "reals":
                _widen(summary, pa.array(numbers[among]))
    elif declared == "BYTES":
        summary.kinds["nested" if pa.types.is_nested(kind) else "times"] += int(counts.sum())
    elif len(values):
        _add_texts(summary, column, values, counts, lines, decimal)
    _tally(summary, values, counts)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _count_lengths(summary: Summary, column: pa.Array) -> None:
    """Counts values a row; a row with an empty list has none."""
    lengths = np.asarray(pc.list_value_length(column).drop_null())
    summary.nulls += int((lengths == 0).sum())
    lengths = lengths[lengths > 0]
    if len(lengths):
        first = not summary.kinds
        summary.shortest = int(lengths.min()) if first else min(summary.shortest, int(lengths.min()))
        summary.longest = max(summary.longest, int(lengths.max()))


def _plain(column: pa.Array) -> tuple[str | None, pa.Array]:
    """The type that the file states, if it is not text, and the column as int64, float64 or text."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return None, column
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return None, _unchecked_text(column)
    if pa.types.is_uint64(kind) and (pc.max(column).as_py() or 0) > _INT64_MAX:
        return "FLOAT", pc.cast(column, pa.float64(), safe=False)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "INT", column.cast(pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "FLOAT", column.cast(pa.float64())
    if pa.types.is_nested(kind):
        return "BYTES", pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    return "BYTES", column.cast(pa.string())  # a date or a time: INT takes it, too, as seconds


def _unchecked_text(column: pa.Array) -> pa.Array:
    """Bytes as text without a look at them: numbers are ASCII, and what is not UTF-8 is counted by `_tally`."""
    target = pa.large_string() if pa.types.is_large_binary(column.type) else pa.string()
    plain = column.cast(pa.binary()) if pa.types.is_fixed_size_binary(column.type) else column
    return pc.cast(plain, options=pc.CastOptions(target_type=target, allow_invalid_utf8=True))


def _add_texts(
    summary: Summary, column: pa.Array, values: pa.Array, counts: np.ndarray, lines: np.ndarray, decimal: str
) -> None:
    """Adds distinct texts, and how often each is there."""
    pointed = values
    if decimal != ".":  # a point is then no part of a number
        pointed = pc.replace_substring(pc.replace_substring(values, ".", "_"), decimal, ".")
    for group in classify(pointed):
        summary.kinds[group.kind] += int(counts[group.chosen].sum())
        if group.numbers is not None:
            _widen(summary, group.numbers)
        shown = summary.examples.setdefault(group.kind, [])
        for place in np.flatnonzero(group.chosen)[: _EXAMPLES - len(shown)]:
            shown.append((int(lines[pc.index(column, values[place]).as_py()]), _decode(values[place])[0]))


def _widen(summary: Summary, numbers: pa.Array) -> None:
    bounds = pc.min_max(numbers).as_py()
    if bounds["min"] is not None:
        summary.low = bounds["min"] if summary.low is None else min(summary.low, bounds["min"])
        summary.high = bounds["max"] if summary.high is None else max(summary.high, bounds["max"])


def _tally(summary: Summary, values: pa.Array, counts: np.ndarray) -> None:
    """Counts distinct values, until there are too many."""
    tallied = summary.values
    if tallied is None:
        return
    texts = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if len(values) > MOST_VALUES or (texts and (pc.max(pc.binary_length(values)).as_py() or 0) > _LONGEST_VALUE):
        summary.values = None
        return
    for value, count in zip(values, counts, strict=True):
        text, valid = _decode(value) if texts else (str(value.as_py()), True)
        tallied[text] = tallied.get(text, 0) + int(count)
        summary.not_text += 0 if valid else int(count)
    if len(tallied) > MOST_VALUES:
        summary.values = None


def _decode(value: pa.Scalar) -> tuple[str, bool]:
    """A text, and whether it is UTF-8; bytes that are not are shown as \\xff."""
    raw = value.as_buffer().to_pybytes()
    try:
        return raw.decode()[:_LONGEST_VALUE], True
    except UnicodeDecodeError:
        return raw.decode(errors="backslashreplace")[:_LONGEST_VALUE], False
