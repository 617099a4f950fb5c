"""The audit of the splits."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from components.data_checks import splits
from components.data_checks.facts import Facts
from pipeline.splits import HashSplit
from pipeline.task import Task

Trips = Callable[..., dict[str, Any]]
Making = Callable[..., Facts]


def numbers(start: int, stop: int) -> np.ndarray:
    return np.arange(start, stop, dtype=np.uint64)


def test_splits_without_a_common_row(facts: Making, trips: Trips) -> None:
    made = facts(
        {"train": trips(200), "eval": trips(100)}, hashes={"train": numbers(0, 200), "eval": numbers(200, 300)}
    )
    assert splits.split_overlap(made).findings == ()
    assert splits.split_overlap(facts({"train": trips(10)})).findings == ()


def test_rows_in_two_splits_are_counted(facts: Making, trips: Trips) -> None:
    hashes = {"train": numbers(0, 200), "eval": np.append(numbers(190, 280), numbers(190, 200))}
    (found,) = splits.split_overlap(facts({"train": trips(200), "eval": trips(100)}, hashes=hashes)).findings
    assert found.message == (
        "the data (split 'eval', 20 of 100 rows): expected a row in one split only. Received: 20 rows of 'eval' also in "
        "'train'"
    )


def test_a_sample_of_the_rows_is_scaled_up(facts: Making, trips: Trips) -> None:
    hashes = {"train": numbers(0, 100), "eval": numbers(95, 150)}
    made = facts({"train": trips(200), "eval": trips(100)}, hashes=hashes, account={"hash_fraction": 0.5})
    (found,) = splits.split_overlap(made).findings
    assert found.rows == 10
    assert "(estimated from 50% of the rows)" in found.message


def test_entities_count_where_the_split_is_by_them(facts: Making, trips: Trips, tiny: Task) -> None:
    entities = {"train": numbers(0, 200), "eval": numbers(199, 299)}
    given = {"train": trips(200), "eval": trips(100)}
    assert splits.entity_overlap(facts(given, entities=entities)).findings == ()
    by_company = dataclasses.replace(tiny, split=HashSplit(by=("company",)))
    (found,) = splits.entity_overlap(facts(given, entities=entities, task=by_company)).findings
    assert (found.check, found.rows, found.expected) == ("entity_overlap", 1, "a company in one split only")


def test_times_that_overlap(facts: Making, trips: Trips) -> None:
    given = {"train": trips(10)}
    day = 86_400.0
    apart = {"times": {"eval": [5 * day, 6 * day], "train": [0.0, 5 * day - 1]}}
    assert splits.time_overlap(facts(given, account=apart)).findings == ()
    crossed = {"times": {"train": [0.0, 5 * day], "eval": [4 * day, 6 * day], "test": [7 * day, 8 * day]}}
    (found,) = splits.time_overlap(facts(given, account=crossed)).findings
    assert found.message == (
        "the data (split 'eval'): expected each row of 'eval' to be after all rows of 'train', the last of which is of "
        "1970-01-06 00:00:00. Received: a row of 1970-01-05 00:00:00"
    )
