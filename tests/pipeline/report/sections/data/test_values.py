"""Values as JSON and a page can hold them."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.values import number, share, step, text


@given(st.one_of(st.text(), st.binary(), st.integers(), st.floats(), st.none()))
def test_a_text_can_be_written(value: object) -> None:
    told = text(value, 100)
    assert told is None or (len(told) <= 106 and told.encode("utf-8").decode("utf-8") == told)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"\xff\x00\xfe", "0x ff 00 fe"),
        (b"\xff" * 1000, "0x " + "ff " * 332 + "ff …"),
        ("\ud800", "\\ud800"),
        ("", ""),
        ("x" * 10_000, "x" * 1000 + "…"),
        (None, None),
    ],
)
def test_texts(value: object, expected: str | None) -> None:
    assert text(value) == expected


@given(st.floats(), st.booleans())
def test_numbers_are_of_the_same_value_or_none(value: float, whole: bool) -> None:
    told = number(value, whole=whole)
    assert told is None if not math.isfinite(value) else told == value
    json.dumps(told, allow_nan=False)


def test_a_share_of_nothing() -> None:
    assert (share(1, 4), share(0, 0)) == (0.25, None)


def test_a_step_in_pieces() -> None:
    assert step("mend it, or `millrace x`, then `y`", "", "DAY") == [
        {"text": "mend it, or "},
        {"code": "millrace x"},
        {"text": ", then "},
        {"code": "y"},
    ]
    assert step('if right: checks=Checks(waivers=(Waiver(until="DAY"),))', "2026-12-25T10:00:00", "DAY") == [
        {"text": "if right: "},
        {"code": 'checks=Checks(waivers=(Waiver(until="2027-01-08"),))'},
    ]
