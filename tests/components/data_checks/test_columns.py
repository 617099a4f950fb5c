"""Features that say nothing, or what another one says."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from components.data_checks import columns
from components.data_checks.facts import Facts
from pipeline.features import Text
from pipeline.task import Task

Trips = Callable[..., dict[str, Any]]
Making = Callable[..., Facts]


def test_features_that_differ(facts: Making, trips: Trips) -> None:
    made = facts({"train": trips(300)})
    assert columns.constant_feature(made).findings == ()
    assert columns.duplicate_features(made).findings == ()


@pytest.mark.parametrize(
    ("column", "value", "received"),
    [
        ("fare", 3.5, "3.5 in every row"),
        ("hour", 7, "7 in every row"),
        ("company", "a", "'a' in every row"),
        ("miles", None, "no value in any row"),
    ],
)
def test_a_constant_feature(facts: Making, trips: Trips, column: str, value: Any, received: str) -> None:
    (found,) = columns.constant_feature(facts({"train": {**trips(300), column: [value] * 300}})).findings
    assert (found.check, found.feature, found.received) == ("constant_feature", column, received)
    assert found.next.endswith(
        f'checks=Checks(severities=(Severity("constant_feature", "ignore", feature="{column}"),))'
    )


def test_a_flag_that_is_there_or_not_is_no_constant(facts: Making, trips: Trips) -> None:
    flag = ["a" if i % 2 else None for i in range(300)]
    assert columns.constant_feature(facts({"train": {**trips(300), "company": flag}})).findings == ()


def test_two_features_with_the_same_values(facts: Making, trips: Trips) -> None:
    given = trips(300)
    given["miles"] = [None if i % 3 == 0 else fare for i, fare in enumerate(given["fare"])]
    assert columns.duplicate_features(facts({"train": given})).findings == ()
    given["fare"] = given["miles"]
    (found,) = columns.duplicate_features(facts({"train": given})).findings
    assert (found.check, found.feature) == ("duplicate_features", "fare")
    assert found.received == "the values of 'miles' in each of the 300 rows looked at"


def test_constant_features_are_not_duplicates(facts: Making, trips: Trips) -> None:
    given = {**trips(300), "miles": [1.0] * 300, "fare": [1.0] * 300}
    assert columns.duplicate_features(facts({"train": given})).findings == ()


def test_a_constant_text_is_told_and_not_shown(facts: Making, trips: Trips, tiny: Task) -> None:
    task = dataclasses.replace(tiny, features=(Text("company"),))
    given = facts({"train": {**trips(300), "company": ["call Ann on 555-0100"] * 300}}, task=task)
    (found,) = columns.constant_feature(given).findings
    assert (found.feature, found.received) == ("company", "the same value in every row")
