"""Distances as findings: which reference, which column, which split, once for each column."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.data_checks import drift
from components.data_checks.facts import Facts
from pipeline.checks import Checks, Limits
from pipeline.features import Text
from pipeline.splits import FolderSplit, TimeSplit
from pipeline.task import Task

Trips = Callable[..., dict[str, Any]]
Making = Callable[..., Facts]


def test_without_references_there_is_nothing_to_compare(facts: Making, trips: Trips) -> None:
    alone = facts({"train": trips(200)})
    for check in (drift.drift, drift.served_drift, drift.skew, drift.missing_values):
        report = check(alone)
        assert (report.findings, report.measured) == ((), ())


def test_clean_data_is_measured_and_not_found(facts: Making, trips: Trips) -> None:
    report = drift.drift(facts({"train": trips(2000, 1)}, previous={"train": trips(2000, 2)}))
    assert report.findings == ()
    assert {m.feature for m in report.measured if m.check == "drift"} == {"miles", "fare", "company", "hour", "area"}
    assert {m.feature for m in report.measured if m.check == "label_shift"} == {"tips"}
    assert all(m.distance < 0.01 for m in report.measured if m.measure == "jensen_shannon")
    assert {m.reference for m in report.measured} == {"the previous data (span 3)"}


def test_a_column_that_is_off_in_all_splits_is_told_once(facts: Making, trips: Trips) -> None:
    now = {"train": trips(2000, 1), "eval": trips(1000, 2)}
    before = {"train": trips(2000, 3), "eval": trips(1000, 4)}
    for columns in now.values():
        columns["fare"] = columns["fare"] * 100
    (found,) = drift.drift(facts(now, previous=before)).findings
    assert (found.check, found.feature) == ("drift", "fare")
    assert found.message.startswith(f"fare (split '{found.split}', {found.total:,} rows): expected values within 0.05 ")
    assert "of the previous data (span 3). Received: 1.000" in found.message
    assert "; median 1" in found.message
    assert found.next.startswith(
        'if the data is right, in the task: checks=Checks(waivers=(Waiver("drift", feature="fare"'
    )


def test_a_limit_of_its_own(facts: Making, trips: Trips, tiny: Task) -> None:
    now = {"train": {**trips(2000, 1), "company": ["a"] * 2000}}
    task = dataclasses.replace(tiny, checks=Checks(drift=Limits(features=(("company", 1.0),))))
    assert drift.drift(facts(now, previous={"train": trips(2000, 2)}, task=task)).findings == ()
    (found,) = drift.drift(facts(now, previous={"train": trips(2000, 2)})).findings
    assert (found.feature, found.expected) == (
        "company",
        "values within 0.1 (L-infinity) of the previous data (span 3)",
    )


def test_the_label_has_its_own_check(facts: Making, trips: Trips) -> None:
    now = trips(2000, 1)
    now["tips"] = np.full(2000, 9.0)
    (found,) = drift.drift(facts({"train": now}, previous={"train": trips(2000, 2)})).findings
    assert (found.check, found.feature) == ("label_shift", "tips")


def test_drift_from_the_served_model_s_data(facts: Making, trips: Trips) -> None:
    now = trips(2000, 1)
    now["tips"] = np.full(2000, 9.0)
    made = facts({"train": now}, served={"train": trips(2000, 2)})
    assert drift.drift(made).findings == ()
    (found,) = drift.served_drift(made).findings
    assert (found.check, found.feature) == ("served_drift", "tips")
    assert "the served data (span 1)" in found.message


def test_slow_drift_is_seen_only_from_afar(facts: Making, trips: Trips) -> None:
    first = trips(5000, 1)
    spans = [{**first, "fare": first["fare"] * 1.15**number} for number in range(6)]
    last = facts({"train": spans[5]}, previous={"train": spans[4]}, served={"train": spans[0]})
    assert drift.drift(last).findings == ()
    assert [f.feature for f in drift.served_drift(last).findings] == ["fare"]


def test_missing_values_that_rise_are_told_as_such(facts: Making, trips: Trips) -> None:
    now, before = trips(2000, 1), trips(2000, 2)
    now["hour"] = [None if i % 5 == 0 else hour for i, hour in enumerate(now["hour"])]
    before["hour"] = [None if i % 100 == 0 else hour for i, hour in enumerate(before["hour"])]
    made = facts({"train": now}, previous={"train": before})
    (found,) = drift.missing_values(made).findings
    assert found.message == (
        "hour (split 'train', 400 of 2,000 rows): expected about 1.0% of the values missing, as in the previous data "
        "(span 3). Received: 20.0%"
    )
    assert drift.drift(made).findings == ()


def test_fewer_missing_values_are_drift(facts: Making, trips: Trips) -> None:
    before = {**trips(2000, 2), "hour": [None if i % 2 else i % 24 for i in range(2000)]}
    made = facts({"train": trips(2000, 1)}, previous={"train": before})
    assert drift.missing_values(made).findings == ()
    assert [f.feature for f in drift.drift(made).findings] == ["hour"]


def test_few_rows_do_not_fire(facts: Making, trips: Trips) -> None:
    for seed in range(5):
        made = facts({"train": trips(40, seed)}, previous={"train": trips(2000, 99)})
        assert drift.drift(made).findings == ()
        assert drift.missing_values(made).findings == ()


def test_splits_of_one_kind_are_compared(facts: Making, trips: Trips, tiny: Task) -> None:
    other = trips(1000, 2)
    other["hour"] = np.full(1000, 7)
    splits = {"train": trips(2000, 1), "eval": other}
    (found,) = drift.split_drift(facts(splits)).findings
    assert (found.check, found.feature, found.split) == ("split_drift", "hour", "eval")
    assert "of the train split" in found.message
    by_folder = dataclasses.replace(tiny, split=FolderSplit())
    assert [f.feature for f in drift.split_drift(facts(splits, task=by_folder)).findings] == ["hour"]
    by_time = dataclasses.replace(tiny, split=TimeSplit("time", "2026-01-01"))
    assert drift.split_drift(facts(splits, task=by_time)).findings == ()


def test_the_time_that_rows_are_split_by_always_moves_on(facts: Making, trips: Trips, tiny: Task) -> None:
    by_time = dataclasses.replace(tiny, split=TimeSplit("area", "2026-01-01"), features=tiny.features[:4])
    now = {**trips(500, 1), "area": np.full(500, 5_000)}
    made = facts({"train": now}, previous={"train": trips(500, 2)}, task=by_time)
    assert "area" in by_time.columns
    assert drift.drift(made).findings == ()


def _requests(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: values for name, values in columns.items() if name != "tips"}


def test_requests_like_the_rows(facts: Making, trips: Trips) -> None:
    report = drift.skew(facts({"train": trips(2000, 1)}, requests=_requests(trips(2000, 2))))
    assert report.findings == ()
    assert {m.feature for m in report.measured} == {"miles", "fare", "company", "hour", "area"}


def test_requests_of_another_unit(facts: Making, trips: Trips) -> None:
    asked = _requests(trips(1000, 2))
    asked["miles"] = asked["miles"] * 1609
    (found,) = drift.skew(facts({"train": trips(2000, 1)}, requests=asked)).findings
    assert (found.check, found.feature, found.split) == ("skew", "miles", "requests")


def test_a_feature_that_no_request_has(facts: Making, trips: Trips) -> None:
    asked = _requests(trips(1000, 2))
    del asked["hour"]
    asked["miles"] = [None] * 1000
    found = drift.skew(facts({"train": trips(2000, 1)}, requests=asked)).findings
    assert {f.feature: f.received for f in found} == dict.fromkeys(("miles", "hour"), "none in any logged request")
    assert found[0].expected == "a value as in 100.0% of the rows of the train split"


def test_a_few_requests_without_an_optional_feature_are_chance(facts: Making, trips: Trips) -> None:
    """A quarter of the companies is missing: 8 requests without one are no proof, 14 are."""
    made = facts({"train": trips(2000, 1)}, requests={**_requests(trips(8, 2)), "company": [None] * 8})
    assert drift.skew(made).findings == ()
    made = facts({"train": trips(2000, 1)}, requests={**_requests(trips(14, 2)), "company": [None] * 14})
    assert [f.feature for f in drift.skew(made).findings] == ["company"]


def test_the_label_in_requests_is_odd(facts: Making, trips: Trips) -> None:
    (found,) = drift.skew(facts({"train": trips(2000, 1)}, requests=trips(2000, 2))).findings
    assert (found.check, found.feature, found.rows) == ("label_at_serving", "tips", 2000)


@pytest.mark.parametrize("rows", [0])
def test_an_empty_split_is_left_to_its_own_check(facts: Making, trips: Trips, rows: int) -> None:
    made = facts({"train": trips(300), "eval": {}}, previous={"train": trips(300), "eval": trips(100)})
    assert drift.drift(made).findings == ()
    assert drift.split_drift(made).findings == ()


def test_images_and_texts_are_not_compared_value_by_value(facts: Making, trips: Trips, tiny: Task) -> None:
    """They all differ, and none of them is to be read in a finding."""
    task = dataclasses.replace(tiny, features=(Text("company"), *(f for f in tiny.features if f.name != "company")))
    now = {**trips(300, seed=1), "company": [f"call {n} for a refund" for n in range(300)]}
    before = {**trips(300, seed=2), "company": ["fine"] * 300}
    made = facts({"train": now, "eval": before}, previous={"train": before}, requests=before, task=task)
    for check in (drift.drift, drift.split_drift, drift.skew):
        report = check(made)
        assert "company" not in {measured.feature for measured in report.measured}
        assert "company" not in {found.feature for found in report.findings}
    gone = facts({"train": {**now, "company": [None] * 300}}, previous={"train": before}, task=task)
    assert [found.feature for found in drift.missing_values(gone).findings] == ["company"]
