"""The docs of the checks say what the code does; a poison is what its name says."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.poison import DOCS, verdicts
from benchmarks.poisons import POISONS, clean_span
from pipeline.checks import ALWAYS, DEFAULT_LEVELS

TRIPS = pa.table(
    {
        "trip_start_timestamp": [900 * i for i in range(40)],
        "trip_start_hour": [i % 24 for i in range(40)],
        "trip_miles": [float(i) for i in range(40)],
        "fare": [10.0] * 40,
        "tips": [3.0 if i % 4 == 0 else 0.0 for i in range(40)],
    }
)


def test_the_docs_say_every_check_and_its_default() -> None:
    text = Path(DOCS).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (fail|warn|ignore)(, always)? \|", text, re.MULTILINE)
    assert {name: level for name, level, _ in rows} == DEFAULT_LEVELS
    assert {name for name, _, always in rows if always} == ALWAYS


def test_the_docs_say_every_poison() -> None:
    expected = verdicts(Path(DOCS).read_text(encoding="utf-8"))
    assert set(expected) == {poison.name for poison in POISONS}
    assert {check for _, check in expected.values()} - {""} <= set(DEFAULT_LEVELS)
    assert expected["fare in cents"] == ("stop", "drift")
    assert expected["clean span"] == ("pass", "")
    assert sum(verdict != "pass" for verdict, _ in expected.values()) >= 12


def test_a_clean_span_has_rows_of_the_same_kind_and_no_copies() -> None:
    span = clean_span(TRIPS, np.random.default_rng(1))
    assert span.num_rows == 40
    assert len(set(span["trip_start_timestamp"].to_pylist())) == 40
    assert set(span["trip_start_hour"].to_pylist()) <= set(range(24))


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("fare in cents", "fare", [1000.0] * 40),
        ("columns swapped", "fare", [float(i) for i in range(40)]),
        ("label flipped", "tips", [0.0 if i % 4 == 0 else 2.5 for i in range(40)]),
        ("label constant", "tips", [0.0] * 40),
        ("label leaks", "trip_start_hour", [i % 24 // 2 * 2 + (i % 4 != 0) for i in range(40)]),
        ("span truncated", "fare", [10.0] * 8),
    ],
)
def test_poisons(name: str, column: str, expected: list[float]) -> None:
    (poison,) = [poison for poison in POISONS if poison.name == name]
    assert poison.table(TRIPS, np.random.default_rng(1))[column].to_pylist() == expected
