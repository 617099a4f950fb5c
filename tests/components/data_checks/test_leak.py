"""The label: varying, alike in all splits, and given away by nothing."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.data_checks import leak
from components.data_checks.facts import Facts
from components.data_checks.sample import Sample
from pipeline.labels import Regression
from pipeline.task import Task

Trips = Callable[..., dict[str, Any]]
Making = Callable[..., Facts]


def yes(columns: dict[str, Any]) -> np.ndarray:
    return np.asarray(columns["tips"] > 0.2 * columns["fare"])


def test_auc_by_ranks() -> None:
    label = np.array([0, 0, 1, 1.0])
    assert leak.auc(np.array([0.1, 0.4, 0.35, 0.8]), label) == 0.75
    assert leak.auc(-np.array([0.1, 0.4, 0.35, 0.8]), label) == 0.75
    assert leak.auc(np.array([1.0, 1.0, 1.0, 1.0]), label) == 0.5
    assert leak.auc(np.array([0.0, 0.0, 1.0, 1.0]), label) == 1.0
    assert leak.auc(np.array([0.0, 1.0]), np.array([1.0, 1.0])) == 0.5


def test_rank_correlation() -> None:
    assert leak.rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([10.0, 20.0, 21.0])) == pytest.approx(1.0)
    assert leak.rank_correlation(np.array([9.0, 2.0, 1.0]), np.array([10.0, 20.0, 21.0])) == pytest.approx(1.0)
    assert leak.rank_correlation(np.ones(3), np.array([1.0, 2.0, 3.0])) == 0.0


def test_honest_features_tell_little(facts: Making, trips: Trips) -> None:
    report = leak.leak(facts({"train": trips(2000)}))
    assert report.findings == ()
    assert {m.feature for m in report.measured} == {"miles", "fare", "company", "hour", "area"}
    assert all(0.5 <= m.distance < 0.6 for m in report.measured)


def test_a_category_that_gives_the_label_away(facts: Making, trips: Trips) -> None:
    columns = trips(2000)
    columns["company"] = np.where(yes(columns), "tipped", "not").tolist()
    (found,) = leak.leak(facts({"train": columns})).findings
    assert (found.check, found.feature) == ("leak", "company")
    assert found.message == (
        "company (split 'train', 2,000 rows): expected no feature that gives the label 'tips' away (AUC below 0.99). "
        "Received: AUC 1.0000 from this feature alone"
    )


def test_missing_values_that_give_the_label_away(facts: Making, trips: Trips) -> None:
    columns = trips(2000)
    columns["miles"] = [None if tipped else 1.0 for tipped in yes(columns)]
    assert [f.feature for f in leak.leak(facts({"train": columns})).findings] == ["miles"]


def test_a_number_whose_parity_is_the_label(facts: Making, trips: Trips) -> None:
    """No order shows it; the mean label of each value does."""
    columns = trips(2000)
    columns["hour"] = columns["hour"] // 2 * 2 + yes(columns)
    assert [f.feature for f in leak.leak(facts({"train": columns})).findings] == ["hour"]


def test_values_that_are_different_in_each_row_are_no_leak() -> None:
    random = np.random.default_rng(1)
    label = (random.random(1000) < 0.3).astype(float)
    texts = np.array([str(i).encode() for i in range(1000)], dtype=object)
    power = leak.tells(Sample({}, {"id": texts}, label, 1000), "id", binary=True)
    assert power is not None
    assert power < 0.6


def test_a_regression_s_leak(facts: Making, trips: Trips, tiny: Task) -> None:
    task = dataclasses.replace(
        tiny, label=Regression("tips"), evaluation=dataclasses.replace(tiny.evaluation, metrics=("mae", "auc"))
    )
    columns = trips(2000)
    assert leak.leak(facts({"train": columns}, task=task)).findings == ()
    columns["miles"] = 100.0 - columns["tips"]
    (found,) = leak.leak(facts({"train": columns}, task=task)).findings
    assert (found.feature, "rank correlation 1.0000" in found.received) == ("miles", True)


def test_a_handful_of_cases_proves_no_leak(facts: Making, trips: Trips) -> None:
    columns = trips(2000)
    columns["tips"] = np.zeros(2000)
    columns["tips"][:20] = 1000.0
    columns["hour"] = np.zeros(2000, int)
    columns["hour"][:20] = 1
    assert leak.leak(facts({"train": columns})).findings == ()


def test_a_constant_label(facts: Making, trips: Trips) -> None:
    assert leak.label_constant(facts({"train": trips(200)})).findings == ()
    none = {**trips(200), "tips": np.zeros(200)}
    (found,) = leak.label_constant(facts({"train": trips(200), "eval": none})).findings
    assert found.message == (
        "tips (split 'eval', 200 of 200 rows): expected a label that differs from row to row. "
        "Received: 0 in each of the 200 rows looked at"
    )


def test_a_label_that_is_missing_everywhere(facts: Making, trips: Trips, tiny: Task) -> None:
    task = dataclasses.replace(tiny, label=Regression("tips"))
    (found,) = leak.label_constant(facts({"train": {**trips(200), "tips": [None] * 200}}, task=task)).findings
    assert found.received == "no value at all"


def test_the_label_in_two_splits(facts: Making, trips: Trips, tiny: Task) -> None:
    train, other = trips(1000, 1), trips(1000, 2)
    report = leak.label_between_splits(facts({"train": train, "eval": other}))
    assert report.findings == ()
    assert [(m.split, m.measure) for m in report.measured] == [("eval", "l_infinity")]
    other["tips"] = np.where(np.arange(1000) < 900, other["fare"], 0.0)
    (found,) = leak.label_between_splits(facts({"train": train, "eval": other})).findings
    assert (found.check, found.feature, found.split) == ("label_shift", "tips", "eval")
    assert "a mean of 0.9" in found.received
    task = dataclasses.replace(tiny, label=Regression("tips"))
    (found,) = leak.label_between_splits(facts({"train": train, "eval": other}, task=task)).findings
    assert found.check == "label_shift"
