"""What looks like an error, and what does not."""

import pytest

from pipeline.schema_cycle import doubts

KNOWN = ["Cash", "Credit Card", "No Charge", "A-101"]


@pytest.mark.parametrize(
    ("value", "rows", "found"),
    [
        ("Bitcoin", 35, []),
        ("cash", 35, ["differs from 'Cash' by case, blanks or punctuation only"]),
        ("credit-card ", 35, ["differs from 'Credit Card' by case, blanks or punctuation only"]),
        ("Credit Crad", 35, ["close to 'Credit Card': misspelt?"]),
        ("A-102", 35, []),
        ("N/A", 35, ["stands for a missing value?"]),
        ("???", 35, ["stands for a missing value?"]),
        ("Zahlung\ufffd", 35, ["has characters that can't be printed: another encoding?"]),
        ("Bitcoin", 1, ["in a single row"]),
        ("CASH", 1, ["differs from 'Cash' by case, blanks or punctuation only", "in a single row"]),
    ],
)
def test_a_new_value(value: str, rows: int, found: list[str]) -> None:
    assert doubts.of_value(value, rows, KNOWN) == found


@pytest.mark.parametrize(
    ("old", "new", "rows", "found"),
    [
        ((0, 20), (0, 25), 12, []),
        ((0, 23), (0, 25), 12, ["0 to 23 are the hours of a day"]),
        ((1, 7), (1, 8), 12, ["1 to 7 are the days of a week"]),
        ((0, 20), (-1, 20), 12, ["negative where nothing was below 0", "-1 often stands for a missing value"]),
        ((1, 77), (1, 999), 12, ["999 often stands for a missing value"]),
        ((0, 10), (0, 5000), 12, ["500 times as wide"]),
        ((None, 100), (None, 12000), 12, ["120 times as wide"]),
        ((0, None), (-5, None), 12, ["negative where nothing was below 0"]),
        ((41, 43), (0, 43), 1, ["in a single row"]),
        ((-5, -1), (-5, 0), 12, []),
        ((0, 100), (0, 150), 600, ["60 % of the rows: another unit?"]),
    ],
)
def test_a_wider_range(
    old: tuple[float | None, float | None], new: tuple[float | None, float | None], rows: int, found: list[str]
) -> None:
    assert doubts.of_range(old, new, rows, 1000) == found


def test_presence_and_missing_columns() -> None:
    assert doubts.of_presence(0.95, 0.9) == []
    assert doubts.of_presence(0.95, 0.8) == ["15 % of the values lost at once: a broken join or export?"]
    assert doubts.of_missing(None, ()) == ["columns seldom vanish on purpose"]
    assert doubts.of_missing("a feature", ["cost"]) == [
        "columns seldom vanish on purpose",
        "the task reads it: a feature",
        "'cost' came at the same time: renamed?",
    ]
