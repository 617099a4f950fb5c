"""The label is given away by nothing."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.data_checks import leak
from components.data_checks.facts import Facts
from components.data_checks.sample import Sample
from pipeline.gates import Evaluation, Gate
from pipeline.labels import MultiClass, MultiLabel, Regression
from pipeline.task import Task

MAE = Evaluation(metrics=("mae",), gates=(Gate("mae", at_most=1.0),))
F1 = Evaluation(metrics=("macro_f1",), gates=(Gate("macro_f1", at_least=0.5),))
SPECIES = ("cat", "dog", "owl")
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
    task = dataclasses.replace(tiny, label=Regression("tips"), evaluation=MAE)
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


def test_one_class_that_stands_apart_is_no_leak_and_a_code_of_all_classes_is(
    facts: Making, trips: Trips, tiny: Task
) -> None:
    task = dataclasses.replace(tiny, label=MultiClass("animal", SPECIES), evaluation=F1)
    columns = trips(3000)
    animal = np.random.default_rng(5).integers(0, 3, 3000)
    columns["animal"] = [SPECIES[i] for i in animal]
    columns["miles"] = np.where(animal == 0, 100.0, columns["miles"])
    report = leak.leak(facts({"train": columns}, task=task))
    assert report.findings == ()
    power = {m.feature: m.distance for m in report.measured}
    assert {m.measure for m in report.measured} == {"auc"}
    assert 0.7 < power["miles"] < 0.9
    assert all(power[name] < 0.6 for name in ("fare", "company", "hour", "area"))
    columns["hour"] = 7 - animal * animal
    (found,) = leak.leak(facts({"train": columns}, task=task)).findings
    assert (found.feature, found.received) == ("hour", "AUC 1.0000 from this feature alone")


def test_the_positions_of_classes_are_no_numbers(facts: Making, trips: Trips, tiny: Task) -> None:
    """The order of the names changes nothing."""
    columns = trips(3000)
    animal = np.random.default_rng(5).integers(0, 3, 3000)
    columns["animal"] = [SPECIES[i] for i in animal]
    columns["miles"] = animal + np.random.default_rng(6).normal(0, 0.5, 3000)
    powers = []
    for names in (SPECIES, ("dog", "owl", "cat")):
        task = dataclasses.replace(tiny, label=MultiClass("animal", names), evaluation=F1)
        powers.append([m.distance for m in leak.leak(facts({"train": columns}, task=task)).measured])
    assert powers[0] == pytest.approx(powers[1])


def test_any_number_of_classes(facts: Making, trips: Trips, tiny: Task) -> None:
    task = dataclasses.replace(tiny, label=MultiLabel("tags", ("a", "b"), none="-"), evaluation=F1)
    columns = trips(2000)
    random = np.random.default_rng(1).random((2000, 2)) < (0.5, 0.2)
    columns["tags"] = ["|".join(name for name, has in zip("ab", row, strict=True) if has) or "-" for row in random]
    assert leak.leak(facts({"train": columns}, task=task)).findings == ()
    columns["company"] = columns["tags"]
    assert [f.feature for f in leak.leak(facts({"train": columns}, task=task)).findings] == ["company"]


def test_a_class_of_a_handful_of_rows_is_left_out(facts: Making, trips: Trips, tiny: Task) -> None:
    task = dataclasses.replace(tiny, label=MultiClass("animal", SPECIES), evaluation=F1)
    columns = trips(2000)
    animal = np.random.default_rng(5).integers(0, 2, 2000)
    animal[:20] = 2
    columns["animal"] = [SPECIES[i] for i in animal]
    columns["hour"] = np.where(animal == 2, 9, columns["hour"])
    assert leak.leak(facts({"train": columns}, task=task)).findings == ()
    few = dataclasses.replace(tiny, label=MultiClass("animal", SPECIES), evaluation=F1)
    small = {name: values[:30] for name, values in columns.items()}
    assert leak.leak(facts({"train": small}, task=few)).measured == ()
