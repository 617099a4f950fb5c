"""JSON Lines: the fast and the slow way give the same; one odd line costs its own row; what spoils a file stops."""

import io
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataBlocked
from pipeline.ingest import jsonl_lines, jsonl_reader
from pipeline.ingest.batch import Malformed, RawBatch

COLUMNS = {"fare": "FLOAT", "company": "BYTES", "hour": "INT"}


def batches(data: bytes | str) -> list[RawBatch]:
    text = data.encode() if isinstance(data, str) else data
    made = list(jsonl_reader.read(io.BytesIO(text), "trips.jsonl", None, COLUMNS))
    assert all(batch.columns.num_rows == len(batch.lines) for batch in made)
    return made


def one(data: bytes | str) -> RawBatch:
    (batch,) = batches(data)
    return batch


def rows(data: bytes | str) -> list[dict[str, Any]]:
    return [row for batch in batches(data) for row in batch.columns.to_pylist()]


def malformed(data: bytes | str) -> list[Malformed]:
    return [record for batch in batches(data) for record in batch.malformed]


def blocked(data: bytes | str) -> str:
    with pytest.raises(DataBlocked) as caught:
        batches(data)
    return str(caught.value)


def test_types_are_those_of_the_schema() -> None:
    batch = one('{"fare": 12, "company": "Blue", "hour": 7}\n{"fare": 1.5, "hour": null}\n')
    assert batch.columns.to_pylist() == [
        {"fare": 12.0, "company": "Blue", "hour": 7},
        {"fare": 1.5, "company": None, "hour": None},
    ]
    assert batch.columns.schema == pa.schema({"fare": pa.float64(), "company": pa.string(), "hour": pa.int64()})
    assert batch.lines.tolist() == [1, 2]
    assert batch.malformed == ()


def test_columns_that_the_schema_does_not_have_are_read_too() -> None:
    batch = one('{"fare": 1, "n": 5, "x": 1, "day": "2026-01-01", "ok": true}\n{"n": 6, "x": 1.5, "ok": false}\n')
    assert {field.name: str(field.type) for field in batch.columns.schema} == {
        "fare": "double",
        "n": "int64",
        "x": "double",
        "day": "string",
        "ok": "bool",
    }
    assert batch.columns["day"].to_pylist() == ["2026-01-01", None]


def test_a_column_that_no_row_names_is_not_there() -> None:
    assert one('{"fare": 1}\n{"fare": 2}').columns.schema.names == ["fare"]
    assert one('{"fare": 1, "hour": null}\n').columns.schema.names == ["fare", "hour"]


def test_blank_lines_are_no_rows_and_are_counted() -> None:
    batch = one('\n{"fare": 1}\r\n\n  \t\n  {"fare": 2}  \n{"fare": 3}')
    assert batch.lines.tolist() == [2, 5, 6]
    assert batch.columns["fare"].to_pylist() == [1.0, 2.0, 3.0]


def test_a_byte_order_mark_is_skipped() -> None:
    assert rows(b'\xef\xbb\xbf{"fare": 1}\n') == [{"fare": 1.0}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"fare": 1', "expected a JSON object, received invalid JSON at character 11: Expecting ',' delimiter"),
        ("[1]", "expected a JSON object, received an array"),
        ("null", "expected a JSON object, received a null"),
        ("5", "expected a JSON object, received a number"),
        ('"fare"', "expected a JSON object, received a text"),
        ("true", "expected a JSON object, received a truth value"),
        ('{"fare": 1, "fare": 2}', "expected a JSON object, received the key 'fare' twice"),
        ('{"x": {"y": 1, "y": 2}}', "expected a JSON object, received the key 'y' twice"),
        ('{"fare": 1} {"fare": 2}', "expected a JSON object, received invalid JSON at character 13: Extra data"),
        ('{"company": "\\ud800"}', "half a surrogate pair"),
        ('{"company": "a\0b"}', "received invalid JSON at character 15: Invalid control character at"),
        ('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "received too deep a nesting"),
    ],
)
def test_a_line_that_is_no_object_costs_no_other(line: str, message: str) -> None:
    data = f'{{"fare": 1}}\n{line}\n{{"fare": 2}}\n'
    batch = one(data)
    assert batch.columns.to_pylist() == [{"fare": 1.0}, {"fare": 2.0}]
    assert batch.lines.tolist() == [1, 3]
    (record,) = batch.malformed
    assert record.line == 2
    assert message in record.message
    assert record.text == line[:1000]


def test_a_line_that_is_not_utf8() -> None:
    batch = one(b'{"company": "\xe9t\xe9"}\n{"company": "\xc3\xa9"}\n')
    assert batch.columns.to_pylist() == [{"company": "é"}]
    assert batch.malformed[0].message == "expected UTF-8, received byte 0xe9 at position 14"


def test_objects_over_several_lines_are_not_taken_for_rows() -> None:
    """As many rows as lines, in Arrow's eyes; but not one row a line."""
    batch = one('{"fare": 1}{"fare": 2}\n{"fare":\n3}\n{"fare": 4}\n')
    assert batch.columns.to_pylist() == [{"fare": 4.0}]
    assert [record.line for record in batch.malformed] == [1, 2, 3]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("fare", '"a lot"', "a lot"),
        ("fare", "true", "true"),
        ("fare", '{"usd": 1}', '{"usd": 1}'),
        ("hour", "7.5", "7.5"),
        ("hour", "99999999999999999999", "99999999999999999999"),
        ("hour", "false", "false"),
        ("company", "5", "5"),
        ("company", '["a", 1]', '["a", 1]'),
    ],
)
def test_a_value_of_another_type_makes_its_column_text(column: str, value: str, text: str) -> None:
    good = {"fare": ("1.5", "1.5"), "hour": ("7", "7"), "company": ('"Blue"', "Blue")}
    assert rows(f'{{"{column}": {good[column][0]}}}\n{{"{column}": {value}}}\n{{}}\n') == [
        {column: good[column][1]},
        {column: text},
        {column: None},
    ]


def test_few_rows_lose_their_fast_way_to_an_odd_one() -> None:
    lines = ['{"fare": 1.5}'] * 20_000
    lines[12_345] = '{"fare": "?"}'
    made = batches("\n".join(lines))
    text = [batch for batch in made if batch.columns.schema.field("fare").type == pa.string()]
    assert sum(len(batch.lines) for batch in text) <= 1300
    assert sum(len(batch.lines) for batch in made) == 20_000
    assert np.concatenate([batch.lines for batch in made]).tolist() == list(range(1, 20_001))
    (values,) = [batch.columns["fare"].to_pylist() for batch in text]
    assert values.count("?") == 1


def test_lists_are_lists_fast_and_slow() -> None:
    data = '{"fare": [1, 2.5]}\n{"fare": []}\n{"fare": null}\n'
    made = batches(data + '{"fare": [3]}\n' * 40_000)
    assert {str(batch.columns.schema.field("fare").type) for batch in made} == {"list<item: double>"}
    assert made[0].columns["fare"].to_pylist()[:4] == [[1.0, 2.5], [], None, [3.0]]


def test_nulls_in_lists_are_kept() -> None:
    data = '{"x": [null, 1]}\n{"x": [2, null]}\n{"x": [null]}\n{"fare": [null, 1.5]}\n'
    assert [row.get("x") for row in rows(data)] == [[None, 1], [2, None], [None], None]
    assert rows(data)[3]["fare"] == [None, 1.5]


def test_objects_with_ever_new_keys() -> None:
    made = batches("\n".join(f'{{"k{i}": {i}}}' for i in range(9000)))
    assert max(batch.columns.num_columns for batch in made) <= 1024
    assert [value for row in rows('{"a": 1}\n{"b": 2}') for value in row.values()] == [1, None, None, 2]
    message = blocked("\n".join(f'{{"k{i}": {i}}}' for i in range(11_000)))
    assert "more than 10,000 keys up to line 10,240. Expected objects with the same keys." in message


def test_whole_numbers_beyond_int64_and_beyond_exact_floats_are_kept() -> None:
    assert rows('{"id": 18446744073709551615}\n{"id": 2}') == [{"id": "18446744073709551615"}, {"id": "2"}]
    assert rows('{"id": 9007199254740993}\n{"id": 1.5}') == [{"id": "9007199254740993"}, {"id": "1.5"}]
    assert rows('{"id": 9007199254740993}\n{"id": 1}') == [{"id": 9007199254740993}, {"id": 1}]
    assert rows('{"a": {"id": 18446744073709551615}}') == [{"a": '{"id": 18446744073709551615}'}]


def test_infinity_and_nan() -> None:
    first, second, third = rows('{"fare": NaN}\n{"fare": -Infinity}\n{"fare": 1e999}\n')
    assert math.isnan(first["fare"])
    assert (second["fare"], third["fare"]) == (-math.inf, math.inf)
    assert malformed('{"fare": 1}\n{"fare": Inf}\n')[0].line == 2


@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_beyond_float64_are_infinite(digits: int) -> None:
    number = "9" * digits
    for odd in ("", '{"hour": 1.5}\n'):  # the second way is slow
        values = [row["fare"] for row in rows(f'{{"fare": {number}}}\n{{"fare": -{number}}}\n{odd}')]
        assert values[:2] == [math.inf, -math.inf]
    assert rows(f'{{"hour": {number}}}')[0]["hour"] == (number if digits == 400 else "Infinity")


def test_a_minus_zero_stays_one() -> None:
    for odd in ("", '{"hour": 1.5}\n'):  # the second way is slow
        values = [row["fare"] for row in rows('{"fare": -0}\n{"fare": -0.0}\n{"fare": 0}\n' + odd)][:3]
        assert [math.copysign(1, value) for value in values] == [-1, -1, 1]


def test_a_line_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_reader, "BLOCK", 1 << 10)
    monkeypatch.setattr(jsonl_reader, "LONGEST_LINE", 4 << 10)
    long = '{"company": "' + "x" * 9000 + '"}'
    data = f'{{"fare": 1}}\n{long}\n{{"fare": 2}}\n\n{{"fare": 3}}\n'
    assert [(row["fare"]) for row in rows(data)] == [1.0, 2.0, 3.0]
    (record,) = malformed(data)
    assert record.line == 2
    assert record.text == long[:1000]
    assert record.message == "expected a line of at most 0 MiB, received a longer one"
    assert np.concatenate([batch.lines for batch in batches(data)]).tolist() == [1, 3, 5]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_blocks_of_any_size_give_the_same(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = "\n".join(f'{{"fare": {i}.5, "company": "é{i}"}}' if i % 7 else "" for i in range(60))
    whole, lines = rows(data), [line for batch in batches(data) for line in batch.lines]
    monkeypatch.setattr(jsonl_reader, "BLOCK", size)
    assert rows(data) == whole
    assert [line for batch in batches(data) for line in batch.lines] == lines


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "trips.jsonl: the file is empty. Expected one JSON object a line."),
        (b"\n \r\n", "trips.jsonl: the file is empty"),
        (b'[\n{"fare": 1},\n{"fare": 2}\n]', "the file is a JSON array. Expected JSON Lines"),
        (b'[{"fare": 1},\n{"fare": 2}]', "the file is a JSON array. Expected JSON Lines"),
        ('{"fare": 1}'.encode("utf-16"), "the file is UTF-16. Expected UTF-8. Next: iconv"),
        (b"fare,company\n1,Blue\n", "none of the first 2 lines is a JSON object. Expected one object a line. Received"),
        (b"PAR1\0\0\1\2", "none of the first 1 lines is a JSON object"),
    ],
)
def test_a_file_of_something_else_stops(data: bytes, message: str) -> None:
    assert message in blocked(data)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([10**400, -(10**308) * 2])
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["2026-01-01", "2026-01-01 10:00:00", "{", "}", "1.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from([*COLUMNS, "id", "é", ""])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(NAMES, JSON, max_size=4), min_size=1, max_size=5), st.booleans())
def test_the_fast_way_gives_what_the_slow_way_gives(objects: list[dict[str, Any]], ascii_only: bool) -> None:
    lines = [(i, json.dumps(row, ensure_ascii=ascii_only).encode()) for i, row in enumerate(objects, 1)]
    types = {name: jsonl_reader._ARROW_TYPES[kind] for name, kind in COLUMNS.items()}
    fast = jsonl_reader._fast(lines, types, COLUMNS)
    slow, refused = jsonl_lines.parse(lines, COLUMNS)
    assert refused == []
    if fast is not None:
        assert {f.name: _unordered(f.type) for f in fast.schema} == {f.name: _unordered(f.type) for f in slow.schema}
        assert [_plain(row) for row in fast.to_pylist()] == [_plain(row) for row in slow.to_pylist()]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([b'{"fare": 1}', b"{", b"", b" ", b"\xff", b'{"fare": "x"}', b"[]"]), max_size=30))
def test_every_line_is_a_row_or_malformed_or_blank(lines: list[bytes]) -> None:
    data = b'{"fare": 0}\n' + b"\n".join(lines)
    accounted = [line for b in batches(data) for line in [*b.lines.tolist(), *(m.line for m in b.malformed)]]
    assert sorted(accounted) == [1, *(i for i, line in enumerate(lines, 2) if line.strip())]


def _unordered(kind: pa.DataType) -> str:
    """A type as text, with a struct's fields in order of their names."""
    if pa.types.is_struct(kind):
        return str(sorted((field.name, _unordered(field.type)) for field in kind))
    return f"list of {_unordered(kind.value_type)}" if pa.types.is_list(kind) else str(kind)


def _plain(value: Any) -> Any:
    """A value that can be compared: NaN equals NaN, 0.0 is not -0.0."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return repr(value) if isinstance(value, float) else value
