"""Slices: which rows are in which, and what they are called."""

import numpy as np
import pandas as pd
import pytest

from pipeline.evidence.cuts import cuts, in_ranges, name_of
from pipeline.gates import Ranges

COLUMNS = {
    "company": np.array(["A, B", None, "C", "A, B", "C"], object),
    "hour": np.array(["1", "2", "1", None, "1"], object),
}


def test_slices_of_columns_and_crosses() -> None:
    found = {cut.name: cut for cut in cuts(COLUMNS, [("hour",), ("hour", "company")], 5)}
    assert found["overall"].rows is None
    assert {name: cut.count for name, cut in found.items()} == {
        "overall": 5,
        "hour=1": 3,
        "hour=2": 1,
        'company="A, B", hour=1': 1,
        "company=C, hour=1": 2,
    }
    assert found["hour=1"].rows.tolist() == [0, 2, 4]  # type: ignore[union-attr]
    assert found["company=C, hour=1"].rows.tolist() == [2, 4]  # type: ignore[union-attr]
    assert found["company=C, hour=1"].cross == ("company", "hour")


def test_codes_of_texts_are_as_good_as_texts() -> None:
    coded = {
        "company": pd.Categorical.from_codes([2, -1, 0, 2, 0], ["C", "of no row", "A, B"]),
        "hour": pd.Categorical(COLUMNS["hour"]),
    }
    crosses = [("hour",), ("hour", "company")]
    for one, other in zip(cuts(coded, crosses, 5), cuts(COLUMNS, crosses, 5), strict=True):
        assert (one.name, one.cross, one.values, one.count) == (other.name, other.cross, other.values, other.count)
        assert one.rows is other.rows or one.rows.tolist() == other.rows.tolist()  # type: ignore[union-attr]


def test_no_row_has_one_slice() -> None:
    assert [(cut.name, cut.count) for cut in cuts({"a": np.array([], object)}, [("a",)], 0)] == [("overall", 0)]
    nothing = np.array([None, None], object)
    assert [cut.name for cut in cuts({"a": nothing}, [("a",)], 2)] == ["overall"]


def test_ranges_of_numbers() -> None:
    given = np.array([-1.0, 4.99, 5.0, 19.0, 20.0, np.nan, np.inf])
    found = in_ranges(given, Ranges("fare", (5, 10, 20)))
    assert list(found.categories) == ["below 5", "5 to 10", "10 to 20", "20 and above"]
    assert found.codes.tolist() == [0, 0, 1, 2, 3, -1, -1]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ((), "overall"),
        ((("hour", 7),), "hour=7"),
        ((("company", "A, B"), ("hour", 7)), 'company="A, B", hour=7'),
        ((("company", '"Q"'),), 'company="\\"Q\\""'),
    ],
)
def test_names(key: tuple[tuple[str, object], ...], name: str) -> None:
    assert name_of(key) == name
