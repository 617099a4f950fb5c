"""Dates: parts of the calendar, against Python's datetime."""

import datetime as dt
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import TaskError
from pipeline.features import Date
from pipeline.features.base import INT_MISSING
from pipeline.features.date import _VALUES

ALL = Date("day", parts=tuple(_VALUES))
FIRST = dict(zip(_VALUES, np.cumsum([0, *(size + 1 for size in _VALUES.values())]), strict=False))
NOTHING = [FIRST[part] + size for part, size in _VALUES.items()]
EPOCH = dt.datetime(1970, 1, 1)


def parts(moment: dt.datetime) -> dict[str, int]:
    """What Python says of a moment, each part from 0."""
    return {
        "year": moment.year - 1900,
        "quarter": (moment.month - 1) // 3,
        "month": moment.month - 1,
        "day": moment.day - 1,
        "weekday": moment.weekday(),
        "hour": moment.hour,
        "minute": moment.minute,
        "is_weekend": int(moment.weekday() >= 5),
    }


def ids(moment: dt.datetime) -> list[int]:
    """The ids of all parts."""
    return [int(FIRST[part]) + value for part, value in parts(moment).items()]


def made(values: Any, feature: Date = ALL) -> list[list[int]]:
    """The ids of a dense column."""
    column = tf.constant(values)
    result = feature.preprocess(column)
    assert result.shape == (len(values), *feature.shape)
    return [list(map(int, row)) for row in result.numpy()]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 12, 31, 23, 59, 59)), min_size=1))
def test_ids_are_those_of_the_calendar(moments: list[dt.datetime]) -> None:
    moments = [moment.replace(microsecond=0) for moment in moments]
    seconds = [(moment - EPOCH) // dt.timedelta(seconds=1) for moment in moments]
    expected = [ids(moment) for moment in moments]
    assert made(np.array(seconds, np.int64)) == expected
    assert made([moment.isoformat() for moment in moments]) == expected
    assert made([moment.isoformat(" ", "minutes") for moment in moments]) == expected


def test_every_day_from_1900_to_2100() -> None:
    days = [dt.datetime(1900, 1, 1) + dt.timedelta(days=n) for n in range(201 * 366)]
    days = [day for day in days if day.year <= 2100]
    assert len(days) == 73_414
    assert made([day.strftime("%Y-%m-%d") for day in days]) == [ids(day) for day in days]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29", dt.datetime(2024, 2, 29)),
        ("2000-02-29", dt.datetime(2000, 2, 29)),
        ("1969-12-31T23:59:59", dt.datetime(1969, 12, 31, 23, 59)),
        ("2024-12-31T23:59:60Z", dt.datetime(2024, 12, 31, 23, 59)),
        ("2024-02-29T18:30:15.123456", dt.datetime(2024, 2, 29, 18, 30)),
        ("2024-02-29t18:30:15,5", dt.datetime(2024, 2, 29, 18, 30)),
        (" 2024-02-29 18:30 ", dt.datetime(2024, 2, 29, 18, 30)),
        ("2024-02-29T18:30Z", dt.datetime(2024, 2, 29, 18, 30)),
        ("2024-02-29T00:30:00+02:00", dt.datetime(2024, 2, 28, 22, 30)),
        ("2024-02-29T22:45:00.5-0230", dt.datetime(2024, 3, 1, 1, 15)),
        ("2024-02-29T22:45-03", dt.datetime(2024, 3, 1, 1, 45)),
    ],
)
def test_text(text: str, expected: dt.datetime) -> None:
    assert made([text]) == [ids(expected)]


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "today", "2023-02-29", "1900-02-29", "2024-04-31", "2024-13-01", "2024-00-10", "2024-01-00"),
        *("2024-1-1", "01/02/2024", "20240229", "2024-02-29T", "2024-02-29T24:00", "2024-02-29T10", "0000-01-01"),
        *("2024-02-29T10:60", "2024-02-29T10:00+25:00", "2024-02-29T10:00 CET", "2024-02-29Z"),
        "2024-01-01\n2024-01-02",
    ],
)
def test_text_that_is_no_date_is_missing(text: str) -> None:
    assert made([text]) == [NOTHING]


def test_bytes_that_are_no_text_are_missing() -> None:
    assert made([b"\xff\x00", b"2024-01-01\xff"]) == [NOTHING] * 2


def test_numbers_that_are_no_date_are_missing() -> None:
    assert made(np.array([INT_MISSING, 2**63 - 1, -(2**62), 10**12], np.int64)) == [NOTHING] * 4
    assert made(np.array([np.nan, np.inf, -np.inf, 1e30], np.float32)) == [NOTHING] * 4


def test_a_year_out_of_range_leaves_the_other_parts() -> None:
    (row,) = made(["1899-12-31"])
    assert row[0] == NOTHING[0]
    assert row[1:] == ids(dt.datetime(1899, 12, 31))[1:]


def test_a_sparse_column() -> None:
    column = tf.SparseTensor([[1, 0]], tf.constant([0], tf.int64), [3, 1])
    rows = ALL.preprocess(column).numpy().tolist()
    assert rows == [NOTHING, ids(EPOCH), NOTHING]


def test_floats_are_rounded_down() -> None:
    assert made(np.array([-0.5, 59.9], np.float32)) == [ids(dt.datetime(1969, 12, 31, 23, 59)), ids(EPOCH)]


def test_an_offset_is_the_clock_that_the_parts_are_told_by() -> None:
    feature = Date("day", parts=("day", "hour"), utc_offset=5.5)
    ist = [[0, 32 + 5], [0, 32 + 4]]
    assert made(np.array([0, -3600], np.int64), feature) == ist
    assert made(["1970-01-01T00:00Z", "1970-01-01T00:00:00+01:00"], feature) == ist
    assert made(["1970-01-01T00:00"], feature) == [[0, 32]]  # as it is written


def test_cyclic() -> None:
    feature = Date("day", parts=("hour", "month"), encoding="cyclic")
    rows = feature.preprocess(tf.constant(["2024-04-01T06:00", "2024-01-01T18:00", "nothing"])).numpy()
    assert rows.dtype == np.float32
    expected = [[1, 0, 1, 0], [-1, 0, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    (row,) = Date("day", parts=("minute",), encoding="cyclic").preprocess(tf.constant(["2024-01-01T00:10"])).numpy()
    np.testing.assert_allclose(row, [math.sin(math.pi / 3), math.cos(math.pi / 3)], atol=1e-6)


def test_what_a_model_reads() -> None:
    feature = Date("day", parts=("month", "hour"))
    assert (feature.modality, feature.dtype, feature.shape, feature.cardinality) == ("ids", "int64", (2,), 13 + 25)
    cyclic = Date("day", parts=("month", "hour"), encoding="cyclic")
    assert (cyclic.modality, cyclic.dtype, cyclic.shape, cyclic.cardinality) == ("number", "float32", (4,), None)


def test_a_session_answers_as_eager_execution() -> None:
    """TF Serving's path: a session of TensorFlow 1 on the graph."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        column = tf.compat.v1.placeholder(tf.string, [None])
        rows = session.run(ALL.preprocess(column), {column: ["2024-02-29T18:30", "x"]})
    assert rows.tolist() == [ids(dt.datetime(2024, 2, 29, 18, 30)), NOTHING]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"parts": ()}, "parts: expected some of year"),
        ({"parts": ("week",)}, "parts: expected some of year"),
        ({"parts": ("hour", "hour")}, "each once"),
        ({"encoding": "one_hot"}, "'ids' or 'cyclic'"),
        ({"parts": ("year",), "encoding": "cyclic"}, "years don't come round"),
        ({"utc_offset": 25.0}, "-24 to 24"),
    ],
)
def test_settings_out_of_range(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Date("day", **wrong)
