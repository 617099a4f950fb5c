"""Figures: what they show, their exact value and place; names that try to be something else."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report import figures

N = figures.NOTHING
NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("number", 0.9502282617018019, "0.950"),
        ("number", 0.0123456, "0.0123"),
        ("number", 12.3456, "12.3"),
        ("number", 1234.5, "1,234"),
        ("number", 15002, "15,002"),
        ("number", 1.0, "1"),
        ("number", 12_400_000.5, "1.24e+07"),
        ("number", 0.0, "0"),
        ("number", None, N),
        ("number", math.nan, N),
        ("number", True, "yes"),
        ("count", 15002, "15,002"),
        ("count", None, N),
        ("percent", 0.1234, "12.3 %"),
        ("percent", 0.0004, "<0.1 %"),
        ("percent", 0.0, "0.0 %"),
        ("seconds", 0.44, "0.4 s"),
        ("seconds", 12.2, "12 s"),
        ("seconds", 192.0, "3 min 12 s"),
        ("seconds", 7500.0, "2 h 5 min"),
        ("mebibytes", 830, "830 MiB"),
        ("mebibytes", 1536, "1.5 GiB"),
        ("signed", 0.012, "+0.0120"),
        ("signed", -0.5, "\N{MINUS SIGN}0.500"),
        ("text", None, N),
    ],
)
def test_a_figure_is_rounded_as_people_read_it(kind: str, value: Any, shown: str) -> None:
    assert figures.KINDS[kind](value).replace(NBSP, " ") == shown


def test_a_figure_keeps_its_exact_value_and_its_place() -> None:
    report = {"overview": {"metrics": [{"value": 0.9502282617018019}, {"value": None}]}}
    assert figures.figure(report, "overview.metrics.0.value") == (
        '<data value="0.9502282617018019" data-path="overview.metrics.0.value">0.950</data>'
    )
    assert figures.figure(report, "overview.metrics.1.value").startswith('<data value="" ')
    for path in ("overview.metrics.2.value", "overview.x", "overview.metrics.0.value.deeper"):
        with pytest.raises(KeyError, match=re.escape(path)):
            figures.figure(report, path)


@given(st.text())
def test_no_name_makes_a_tag_or_turns_the_text_around(text: str) -> None:
    shown = str(figures.name(text))
    inner = re.fullmatch(r'<(bdi|i) class="name"(?: title="([^"<>]*)")?>([^<>]*)</\1>', shown)
    assert inner, shown
    assert not set(shown) & set("\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\n\r\0")


def test_a_long_name_is_shortened_in_the_middle_and_told_within_bounds() -> None:
    shown = str(figures.name("a" * 40 + "b" * 10_000 + "c" * 40))
    assert len(shown) < 800
    assert ">aaaa" in shown
    assert "cccc</bdi>" in shown
    assert "(10,080 characters)" in shown


def test_shares_that_are_nearly_all_and_large_means() -> None:
    assert figures.percent(10_021 / 10_022) == ">99.9 %"
    assert figures.percent(1.0) == "100.0 %"
    assert figures.precise(1_408_510_000.5) == "1,408,510,000"
