"""Which rows break which rule."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.expressions import Column as Value
from pipeline.ingest.columns import Column
from pipeline.ingest.rules import faults
from pipeline.rows import Matches, Rule


def broken(columns: dict[str, pa.Array], *rules: Column | Rule | Matches) -> list[tuple[str, str, list[int]]]:
    """(rule, column, rows) of each fault."""
    schema = {rule.name: rule for rule in rules if isinstance(rule, Column)}
    found = faults(columns, schema, [rule for rule in rules if not isinstance(rule, Column)])
    return [(fault.rule, fault.column, np.flatnonzero(fault.rows).tolist()) for fault in found]


FLOATS = pa.array([1.5, None, float("inf"), -1.0], pa.float32())
INTS = pa.array([1, None, 3, 2**63 - 1])
TEXTS = pa.array([b"a", None, b"b", b"\xff"])
LISTS = pa.array([[1, 9], [1], [], None, [9]])


@pytest.mark.parametrize(
    ("column", "rule", "want"),
    [
        (FLOATS, Column("x", "FLOAT"), [("finite", "x", [2])]),
        (FLOATS, Column("x", "FLOAT", required=True, low=0), [("required", "x", [1]), ("finite", "x", [2]), ("range", "x", [3])]),
        (INTS, Column("x", "INT", low=2), [("range", "x", [0])]),
        (INTS, Column("x", "INT", high=2**63 - 2), [("range", "x", [3])]),
        (INTS, Column("x", "INT", low=-(2**63), high=2**63 - 1), []),
        (INTS, Column("x", "INT", values=frozenset((1, 3))), [("domain", "x", [3])]),
        (TEXTS, Column("x", "BYTES", values=frozenset((b"a",))), [("domain", "x", [2, 3])]),
        (TEXTS, Column("x", "BYTES", required=True), [("required", "x", [1])]),
        (TEXTS, Column("x", "BYTES", low=1.0), []),
        (LISTS, Column("x", "INT", single=True), [("single", "x", [0])]),
        (LISTS, Column("x", "INT", high=5), [("range", "x", [0, 4])]),
        (pa.array([0.1], pa.float32()), Column("x", "FLOAT", low=0.1, high=0.1), []),
        (pa.array([None, None], pa.binary()), Column("x", "BYTES", values=frozenset((b"a",))), []),
    ],
)  # fmt: skip
def test_rules_of_the_schema(column: pa.Array, rule: Column, want: Any) -> None:
    assert broken({"x": column}, rule) == want


def test_a_column_that_is_not_there_breaks_nothing() -> None:
    assert broken({"y": INTS}, Column("x", "INT", required=True)) == []
    assert broken({}, Column("x", "INT", required=True)) == []


@pytest.mark.parametrize(
    ("pattern", "values", "want"),
    [
        ("[a-z]+", ["a", "ab", "a1", "1", "", None], [2, 3, 4]),
        ("a|b", ["a", "b", "ab", "ac"], [2, 3]),
        ("...", ["äöü", "ab", "abcd"], [1, 2]),
        ("[a-zé]+", ["café", "cafè"], [1]),
        ("(?i)ab", ["AB", "ab", "b"], [2]),
        ("a", ["a\n", "a"], [0]),
    ],
)
def test_a_pattern_matches_the_whole_text(pattern: str, values: list[str | None], want: list[int]) -> None:
    column = pa.array([value.encode() if value is not None else None for value in values])
    found = broken({"x": column}, Matches("x", pattern))
    assert found == ([("rule", "x", want)] if want else [])


def test_a_pattern_on_bytes_that_are_no_text() -> None:
    assert broken({"x": pa.array([b"\xff", b"a"])}, Matches("x", "a")) == [("rule", "x", [0])]


def test_a_rule_over_columns() -> None:
    columns = {
        "tips": pa.array([1.0, 5.0, None, 3.0], pa.float32()),
        "fare": pa.array([2, 2, 2, None]),
        "name": pa.array([b"a"] * 4),
    }
    assert broken(columns, Rule("less", Value("tips") <= Value("fare"))) == [("rule", "fare", [1])]
    assert broken(columns, Rule("no", Value("fare") / 0 > 1.0)) == []
    assert broken(columns, Rule("text", Value("name") > 1.0)) == []
    assert broken(columns, Rule("gone", Value("nothing") > 1.0)) == []


def test_rules_over_lists() -> None:
    """One value is as a flat one; a row with several has no single number, as if it were missing."""
    columns = {"a": pa.array([[5], [1], [], [9, 9], None]), "t": pa.array([[b"x"], [b"x", b"1"], [b"2"], [], None])}
    assert broken(columns, Rule("small", Value("a") < 3.0)) == [("rule", "a", [0])]
    assert broken(columns, Matches("t", "[a-z]")) == [("rule", "t", [1, 2])]


def test_messages_say_what_was_expected() -> None:
    many = frozenset(f"v{number:02d}".encode() for number in range(12))
    rules = {
        "a": Column("a", "BYTES", values=many),
        "b": Column("b", "INT", low=0, high=9),
        "c": Column("c", "INT", high=9),
    }
    columns = {"a": pa.array([b"x"]), "b": pa.array([-1]), "c": pa.array([10])}
    condition = Rule("a small sum", Value("b") + Value("c") < 5)
    assert [fault.message for fault in faults(columns, rules, [condition])] == [
        "expected one of v00, v01, v02, v03, v04, v05, v06, v07, v08, v09 or 2 more",
        "expected 0 to 9",
        "expected at most 9",
        "expected that a small sum",
    ]
