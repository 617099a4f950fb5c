"""Casts of every type that a file can have to each of the three that a tf.Example has."""

import datetime
import decimal
import io
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import csv

from pipeline.ingest import typed

KINDS = ("INT", "FLOAT", "BYTES")
NS = pa.timestamp("ns")


def cast(values: Any, kind: str, type_: pa.DataType | None = None, **more: Any) -> tuple[list[Any], list[int]]:
    """The values, and the positions of misfits; checks what must always be so."""
    column = values if isinstance(values, pa.Array) else pa.array(values, type_)
    made, bad = typed.cast(column, kind, **more)
    made.validate(full=True)
    target = typed.TARGETS[kind]
    assert made.type == (made.type if pa.types.is_list(made.type) else target)
    assert not pa.types.is_list(made.type) or made.type.value_type == target
    assert len(made) == len(bad) == len(column)
    assert not np.asarray(made.is_valid())[bad].any(), "a misfit is null"
    return made.to_pylist(), np.flatnonzero(bad).tolist()


def arrow_csv(text: str, kind: str) -> tuple[Any, bool]:
    """What Arrow's CSV reader makes of a value, and whether it does."""
    options = csv.ConvertOptions(
        column_types={"a": {"INT": pa.int64(), "FLOAT": pa.float64()}[kind]}, null_values=[""], strings_can_be_null=True
    )
    try:
        table = csv.read_csv(
            io.BytesIO(f'"{text}"\n'.encode()), csv.ReadOptions(column_names=["a"]), convert_options=options
        )
    except pa.ArrowInvalid:
        return None, False
    return table.column("a").combine_chunks().cast(typed.TARGETS[kind], safe=False)[0].as_py(), True


numbers = (
    st.integers(-(2**65), 2**65).map(str)
    | st.floats().map(str)
    | st.floats(width=32).map(repr)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str)
    | st.text(st.sampled_from("0123456789.eE+-xXinfaINFNA _,\t"), max_size=12)
    | st.from_regex(r"[ \t]*[+-]?0*[0-9]{1,25}(\.[0-9]{0,4})?(e[+-]?[0-9]{1,3})?[ \t]*", fullmatch=True)
)


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=20))
@example(["9223372036854775807", "-9223372036854775808", "9223372036854775808", "0x10", "00", "-0", "+1", "1_0"])
@example(["", " ", "\t", "nan", "-nan", "NaN", "inf", "-Infinity", "1e400", "1e39", "1e-50", ".5", "5.", ".", "e5"])
def test_text_becomes_the_number_that_arrow_reads(texts: list[str]) -> None:
    """The fast path, in which Arrow converts, and the slow one, in which `cast` does, are the same."""
    for kind in ("INT", "FLOAT"):
        made, bad = cast([text.encode() for text in texts], kind)
        for position, text in enumerate(texts):
            want, fits = arrow_csv(text, kind)
            if fits:
                want = None if isinstance(want, float) and np.isnan(want) else want
                assert position not in bad, text
                assert made[position] == want, text
            elif not text.strip(" \t"):
                assert (made[position], position in bad) == (None, False), text
            elif kind == "INT" and re.fullmatch(r"-?\d{1,15}\.0*", text.strip(" \t"), re.ASCII):
                assert made[position] == int(float(text)), "a whole float is an integer, as pandas writes it"
            else:
                assert position in bad, text


@settings(max_examples=50, deadline=None)
@given(st.lists(st.none() | st.binary(max_size=9), max_size=9))
def test_text_stays_as_it_is(values: list[bytes | None]) -> None:
    assert cast(values, "BYTES", pa.binary()) == (values, [])
    for kind in ("INT", "FLOAT"):
        cast(values, kind, pa.binary())


@pytest.mark.parametrize(
    ("column", "kind", "want", "bad"),
    [
        (pa.array(["1,5", "2.5", "1.234,5", "7", None]), "FLOAT", [1.5, None, None, 7.0, None], [1, 2]),
        (pa.array(["2,0", "2.0", "3"]), "INT", [2, None, 3], [1]),
    ],
)
def test_decimal_commas(column: pa.Array, kind: str, want: Any, bad: list[int]) -> None:
    assert cast(column, kind, decimal=",") == (want, bad)


D = decimal.Decimal
DAY = datetime.date(2024, 1, 2)
DAY_SECONDS = 1_704_153_600


@pytest.mark.parametrize(
    ("column", "ints", "floats", "texts"),
    [
        (pa.array([True, None]), [1, None], [1.0, None], [b"true", None]),
        (pa.array([1, None], pa.uint8()), [1, None], [1.0, None], [b"1", None]),
        (pa.array([2**63 - 1], pa.uint64()), [2**63 - 1], [2.0**63], [b"9223372036854775807"]),
        (pa.array([5.0, float("nan"), None]), [5, None, None], [5.0, None, None], [b"5", b"nan", None]),
        (pa.array([np.float16(2.0)], pa.float16()), [2], [2.0], [b"2"]),
        (pa.array([D("9007199254740993")], pa.decimal128(18, 0)), [2**53 + 1], [2.0**53], [b"9007199254740993"]),
        (pa.array([D("2.00"), None], pa.decimal128(9, 2)), [2, None], [2.0, None], [b"2.00", None]),
        (pa.array([DAY]), [DAY_SECONDS], [np.float32(DAY_SECONDS)], [b"2024-01-02"]),
        (pa.array([DAY], pa.date64()), [DAY_SECONDS], [np.float32(DAY_SECONDS)], [b"2024-01-02"]),
        (
            pa.array([DAY_SECONDS], pa.timestamp("s")),
            [DAY_SECONDS],
            [np.float32(DAY_SECONDS)],
            [b"2024-01-02 00:00:00"],
        ),
        (pa.array([1_500_000_000], NS), [1], [1.5], [b"1970-01-01 00:00:01.500000000"]),
        (pa.array([-1], pa.timestamp("ms")), [-1], [np.float32(-0.001)], [b"1969-12-31 23:59:59.999"]),
        (pa.array([datetime.time(1, 2)]), [3720], [3720.0], [b"01:02:00.000000"]),
        (pa.array([1500], pa.duration("ms")), [1], [1.5], [b"1500"]),
        (pa.array(["7", None], pa.large_string()), [7, None], [7.0, None], [b"7", None]),
        (pa.array([b"07"], pa.binary(2)), [7], [7.0], [b"07"]),
        (pa.array(["7", None, "8"]).dictionary_encode(), [7, None, 8], [7.0, None, 8.0], [b"7", None, b"8"]),
        (pa.nulls(2), [None, None], [None, None], [None, None]),
        (pa.array([[1, 2], [], None]), [[1, 2], None, None], [[1.0, 2.0], None, None], [[b"1", b"2"], None, None]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [[1, 2], None], [[1.0, 2.0], None], [[b"1", b"2"], None]),
        (pa.array([["7"]], pa.large_list(pa.string())), [[7]], [[7.0]], [[b"7"]]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_types_of_files(column: pa.Array, ints: Any, floats: Any, texts: Any) -> None:
    for kind, want in zip(KINDS, (ints, floats, texts), strict=True):
        assert cast(column, kind) == (want, [])


@pytest.mark.parametrize(
    ("column", "kind", "bad"),
    [
        (pa.array([2**63, 1], pa.uint64()), "INT", [0]),
        (pa.array([1.5, float("inf"), 1e300, 2.0**63, 1.0]), "INT", [0, 1, 2, 3]),
        (pa.array([D("1.50"), D("2.00")], pa.decimal128(9, 2)), "INT", [0]),
        (pa.array([D(10) ** 30, D(1)], pa.decimal128(38, 0)), "INT", [0]),
        (pa.array([[1], [None], [1, None], None]), "INT", [1, 2]),
        (pa.array([["1", "x"], ["2"]]), "FLOAT", [0]),
        (pa.array([10**18, 0], pa.timestamp("us")), "BYTES", [0]),
        (pa.array([b"\xff1", b"1"]), "INT", [0]),
    ],
)
def test_misfits(column: pa.Array, kind: str, bad: list[int]) -> None:
    assert cast(column, kind)[1] == bad


def test_seconds_of_far_dates_do_not_wrap_around() -> None:
    assert cast(pa.array([10**17], pa.timestamp("s")), "INT") == ([10**17], [])


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"a": 1}]),
        pa.array([[{"a": 1}]]),
        pa.array([[[1]]]),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    ],
    ids=lambda column: str(column.type),
)
def test_types_that_no_value_fits(column: pa.Array) -> None:
    for kind in KINDS:
        with pytest.raises(typed.Unsupported):
            typed.cast(column, kind)


def test_a_slice_of_a_column_is_cast_as_such() -> None:
    lists = pa.array([[9], [1, 2], None, [3], [9]]).slice(1, 3)
    assert cast(lists, "FLOAT") == ([[1.0, 2.0], None, [3.0]], [])
    assert cast(pa.array(["9", "x", "1", "9"]).slice(1, 2), "INT") == ([None, 1], [0])
    assert cast(pa.array(["9", "7", "1"]).dictionary_encode().slice(1, 1), "INT") == ([7], [])
