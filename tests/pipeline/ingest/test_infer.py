"""Inference: exact counts whatever the batches, and types that the typed step takes."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest import typed
from pipeline.ingest.batch import RawBatch
from pipeline.ingest.infer import MOST_VALUES, Summary, infer, merged, of_record, record, types


def batch(start: int = 2, **columns: Any) -> RawBatch:
    """Rows of a file from a line on; lists of text become text columns, Arrow arrays stay."""
    arrays = [v if isinstance(v, pa.Array) else pa.array(v, pa.string()) for v in columns.values()]
    rows = pa.RecordBatch.from_arrays(arrays, names=list(columns))
    return RawBatch(rows, np.arange(start, start + rows.num_rows))


def summary(values: Sequence[str | None] | pa.Array) -> Summary:
    return infer([batch(a=values)])["a"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", None], "INT"),
        (["1", " 2 "], "INT"),
        (["1", "2.5"], "FLOAT"),
        (["1", "nan"], "FLOAT"),
        (["1", "2.0"], "FLOAT"),
        (["1", "inf"], "FLOAT"),
        (["1", "9223372036854775808"], "FLOAT"),
        (["02139", "10001"], "BYTES"),
        (["007", "1.5"], "FLOAT"),
        (["02139", "nan"], "BYTES"),
        (["1", "x"], "BYTES"),
        (["1", "1,000"], "BYTES"),
        ([None, None], "BYTES"),
        ([" ", None], "BYTES"),
        (pa.array([1, 2], pa.int32()), "INT"),
        (pa.array([None], pa.int64()), "INT"),
        (pa.array([1.0, 2.0]), "FLOAT"),
        (pa.array([2**63], pa.uint64()), "FLOAT"),
        (pa.array([5], pa.uint64()), "INT"),
        (pa.array([True, False]), "INT"),
        (pa.array(["5"]).dictionary_encode(), "INT"),
        (pa.array([b"a\xff"]), "BYTES"),
        (pa.array([b"12"], pa.binary(2)), "INT"),
        (pa.array([None, None]), "BYTES"),
        (pa.array([[1, 2], [3]]), "INT"),
        (pa.array([{"x": 1}]), "BYTES"),
        (pa.array([1], pa.timestamp("s")), "BYTES"),
    ],
)
def test_the_type_of_a_column(values: Any, expected: str) -> None:
    assert types({"a": summary(values)}) == {"a": expected}


def test_counts_of_a_column_of_text() -> None:
    found = summary(["7", "7", " ", None, "1.5", "nan", "x", "-3", "x"])
    assert (found.rows, found.nulls) == (9, 1)
    assert dict(found.kinds) == {"integers": 3, "blank": 1, "reals": 1, "nan": 1, "texts": 2}
    assert (found.low, found.high) == (-3, 7)
    assert found.values == {"7": 2, " ": 1, "1.5": 1, "nan": 1, "x": 2, "-3": 1}
    assert found.examples["texts"] == [(8, "x")]
    assert found.examples["reals"] == [(6, "1.5")]
    assert [found.missing(kind) for kind in ("BYTES", "INT", "FLOAT")] == [1, 2, 3]
    assert [found.misfits(kind) for kind in ("BYTES", "INT", "FLOAT")] == [0, 4, 2]


def test_numbers_of_a_typed_column() -> None:
    found = summary(pa.array([1.5, None, math.nan, math.inf, 1e39, -2.0]))
    assert {kind: count for kind, count in found.kinds.items() if count} == {"reals": 2, "nan": 1, "infinite": 2}
    assert (found.low, found.high, found.missing("FLOAT")) == (-2.0, 1.5, 2)


def test_int64_bounds_stay_exact() -> None:
    found = summary(["9223372036854775807", "-9223372036854775808"])
    assert (found.type, found.low, found.high) == ("INT", -(2**63), 2**63 - 1)


def test_batches_add_up_to_the_whole() -> None:
    values = [str(number % 13) for number in range(500)]
    whole = summary(values)
    parts = infer(batch(2 + start, a=values[start : start + 7]) for start in range(0, 500, 7))["a"]
    assert parts == whole
    assert whole.values is not None
    assert sum(whole.values.values()) == 500


def test_summaries_of_files_add_up_to_that_of_all() -> None:
    """Passed on as JSON; whatever a file has that another one lacks."""
    lists = pa.array([[1, 2, 3], [], None], pa.list_(pa.int64()))
    found = [
        [batch(a=["1", None], b=["x", "y"])],
        [batch(a=["2.5", "7"], late=lists.slice(0, 2)), batch(4, a=["x"], late=lists.slice(2, 1))],
        [batch(b=["x", "é"], late=pa.array([[5], [6]], pa.list_(pa.int64())))],
        [batch(many=[f"v{number}" for number in range(MOST_VALUES)], few=["u", "v"] * (MOST_VALUES // 2))],
        [batch(many=[f"v{number}" for number in range(MOST_VALUES + 1)][-2:], few=["v", "w"])],
    ]
    parts = [{name: record(one) for name, one in infer(batches).items()} for batches in found]
    told = [{name: of_record(one) for name, one in part.items()} for part in json.loads(json.dumps(parts))]
    whole = infer([one for batches in found for one in batches])
    assert merged(told) == whole
    assert list(whole) == ["a", "b", "late", "many", "few"]
    assert types(whole) == {"a": "BYTES", "b": "BYTES", "late": "INT", "many": "BYTES", "few": "BYTES"}
    assert (whole["late"].shortest, whole["late"].longest, whole["many"].values) == (1, 3, None)


def test_a_column_that_some_files_lack_is_missing_there() -> None:
    found = infer([batch(a=["1", "2"]), batch(a=["3"], b=["x"]), batch(a=["4", "5"])])
    assert (found["b"].rows, found["b"].nulls) == (5, 4)
    assert (found["a"].rows, found["a"].nulls) == (5, 0)


def test_values_are_counted_until_there_are_too_many() -> None:
    few = summary([str(number) for number in range(MOST_VALUES)])
    many = infer([batch(a=[str(number)]) for number in range(MOST_VALUES + 1)])["a"]
    assert few.values is not None
    assert len(few.values) == MOST_VALUES
    assert many.values is None
    assert (many.kinds["integers"], many.high) == (MOST_VALUES + 1, MOST_VALUES)


def test_a_long_value_is_not_kept() -> None:
    found = summary(["x" * 2_000_000, "y"])
    assert found.values is None
    assert len(found.examples["texts"][0][1]) == 1000


def test_bytes_that_are_not_utf8_are_counted_and_shown() -> None:
    found = summary(pa.array([b"caf\xe9", b"ok", b"caf\xe9"]))
    assert (found.type, found.not_text) == ("BYTES", 2)
    assert found.values == {"caf\\xe9": 2, "ok": 1}


def test_lists_count_values_a_row() -> None:
    found = infer([batch(a=pa.array([[1, 2], [], None])), batch(5, a=pa.array([[3, 4, 5]]))])["a"]
    assert (found.rows, found.nulls, found.shortest, found.longest, found.is_list) == (4, 2, 2, 3, True)
    assert found.values == {"1": 1, "2": 1, "3": 1, "4": 1, "5": 1}


def test_only_so_many_rows_are_read() -> None:
    def endless() -> Iterator[RawBatch]:
        while True:
            yield batch(a=["1", "2", "3"])

    assert infer(endless(), rows=7)["a"].rows == 7


@pytest.mark.parametrize(
    ("values", "accepted", "expected"),
    [
        (["01", "02"], ("INT",), "INT"),
        (["01", "02"], ("BYTES", "INT"), "BYTES"),
        (["1"] * 99 + ["n/a"], ("FLOAT", "INT"), "INT"),
        (["1.5"] * 99 + ["n/a"], ("FLOAT", "INT"), "FLOAT"),
        (["1"] * 98 + ["n/a"] * 2, ("FLOAT", "INT"), "BYTES"),
        (["1"] * 99 + ["nan"], ("INT",), "INT"),
        ([None], ("FLOAT", "INT"), "INT"),
        (["1.0", "2.0", None], ("INT",), "INT"),
        (["1.5", "2.5"], ("INT",), "FLOAT"),
        (["1.5"], ("BYTES", "INT"), "FLOAT"),
        (pa.array([1], pa.timestamp("s")), ("FLOAT", "INT"), "INT"),
    ],
)
def test_the_type_that_the_task_takes(values: list[str | None], accepted: tuple[str, ...], expected: str) -> None:
    assert types({"a": summary(values)}, {"a": accepted}) == {"a": expected}


def test_a_decimal_comma() -> None:
    found = infer([batch(a=["1,5", "2"], b=["1.5", "2"])], decimal=",")
    assert types(found) == {"a": "FLOAT", "b": "BYTES"}
    assert (found["a"].low, found["a"].high, found["a"].values) == (1.5, 2, {"1,5": 1, "2": 1})


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.from_regex(r"[ ]?[+-]?[0-9]{0,21}\.?[0-9]{0,3}(e[0-9])?", fullmatch=True),
            st.text(max_size=3),
            st.sampled_from(["nan", "inf", "02139", "5.0", " "]),
        )
    )
)
def test_the_typed_step_takes_every_value_of_the_inferred_type(values: list[str | None]) -> None:
    found = summary([value for value in values if value is None or value.isascii()])
    kind = found.type
    kept = pa.array([value for value in values if value is None or value.isascii()], pa.string())
    made, bad = typed.cast(kept, kind)
    assert not bad.any()
    assert made.null_count == found.missing(kind)
    assert found.misfits(kind) == found.kinds["infinite"] * (kind == "FLOAT")
