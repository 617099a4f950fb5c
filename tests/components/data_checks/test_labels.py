"""The label: varying, of the classes that the task names, alike in all splits."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.data_checks import labels
from components.data_checks.facts import Facts
from pipeline.gates import Evaluation, Gate
from pipeline.labels import MultiClass, MultiLabel, Regression
from pipeline.task import Task

MAE = Evaluation(metrics=("mae",), gates=(Gate("mae", at_most=1.0),))
F1 = Evaluation(metrics=("macro_f1",), gates=(Gate("macro_f1", at_least=0.5),))
Trips = Callable[..., dict[str, Any]]
Making = Callable[..., Facts]


def test_a_constant_label(facts: Making, trips: Trips) -> None:
    assert labels.label_constant(facts({"train": trips(200)})).findings == ()
    none = {**trips(200), "tips": np.zeros(200)}
    (found,) = labels.label_constant(facts({"train": trips(200), "eval": none})).findings
    assert found.message == (
        "tips (split 'eval', 200 of 200 rows): expected a label that differs from row to row. "
        "Received: 0 in each of the 200 rows looked at"
    )


def test_a_label_that_is_missing_everywhere(facts: Making, trips: Trips, tiny: Task) -> None:
    task = dataclasses.replace(tiny, label=Regression("tips"), evaluation=MAE)
    (found,) = labels.label_constant(facts({"train": {**trips(200), "tips": [None] * 200}}, task=task)).findings
    assert found.received == "no value at all"


def test_the_label_in_two_splits(facts: Making, trips: Trips, tiny: Task) -> None:
    train, other = trips(1000, 1), trips(1000, 2)
    report = labels.label_between_splits(facts({"train": train, "eval": other}))
    assert report.findings == ()
    assert [(m.split, m.measure) for m in report.measured] == [("eval", "l_infinity")]
    other["tips"] = np.where(np.arange(1000) < 900, other["fare"], 0.0)
    (found,) = labels.label_between_splits(facts({"train": train, "eval": other})).findings
    assert (found.check, found.feature, found.split) == ("label_shift", "tips", "eval")
    assert "a mean of 0.9" in found.received
    task = dataclasses.replace(tiny, label=Regression("tips"), evaluation=MAE)
    (found,) = labels.label_between_splits(facts({"train": train, "eval": other}, task=task)).findings
    assert found.check == "label_shift"


@pytest.fixture
def animals(tiny: Task) -> Task:
    return dataclasses.replace(tiny, label=MultiClass("animal", ("cat", "dog", "owl")), evaluation=F1)


@pytest.fixture
def tagged(tiny: Task) -> Task:
    return dataclasses.replace(tiny, label=MultiLabel("tags", ("a", "b", "c"), none="-"), evaluation=F1)


def test_values_that_are_no_class_are_counted_with_what_they_are(facts: Making, animals: Task) -> None:
    values = ["cat", "dog", "Cat", "bird", "bird", None, "owl"]
    made = facts({"train": {"animal": values}, "eval": {"animal": ["cat", "dog"]}}, task=animals)
    (found,) = labels.label_values(made).findings
    assert found.message == (
        "animal (split 'train', 4 of 7 rows): expected a label of the classes 'cat', 'dog', 'owl'. "
        "Received: 'bird' in 2 rows, 'Cat' in 1 row, no value in 1 row"
    )
    assert "name the class in the task's label" in found.next


def test_integers_that_are_no_class(facts: Making, tiny: Task) -> None:
    task = dataclasses.replace(tiny, label=MultiClass("hour", 10), features=tiny.features[:1], evaluation=F1)
    (found,) = labels.label_values(facts({"train": {"hour": [0, 9, 10, -1, 10]}}, task=task)).findings
    assert found.received == "10 in 2 rows, -1 in 1 row"
    assert "'0', '1', '2', '3', '4', … (10 in all)" in found.message


def test_a_name_among_several_that_is_no_class(facts: Making, tagged: Task) -> None:
    made = facts({"train": {"tags": ["a|b", "-", "a|x", "c", ""]}}, task=tagged)
    (found,) = labels.label_values(made).findings
    assert found.received == "'' in 1 row, 'a|x' in 1 row"
    assert labels.label_values(facts({"train": {"tags": ["a|b", "-", " c | a "]}}, task=tagged)).findings == ()


def test_a_number_has_no_classes(facts: Making, trips: Trips) -> None:
    made = facts({"train": trips(50), "eval": trips(50)})
    for check in (labels.label_values, labels.label_unseen, labels.label_absent):
        assert check(made).findings == ()


def test_one_class_only(facts: Making, animals: Task, tagged: Task) -> None:
    (found,) = labels.label_constant(facts({"train": {"animal": ["dog"] * 9 + [None]}}, task=animals)).findings
    assert found.message == (
        "animal (split 'train', 9 of 10 rows): expected a label that differs from row to row. "
        "Received: 'dog' in each of the 9 rows looked at"
    )
    (found,) = labels.label_constant(facts({"train": {"tags": ["b|a"] * 5 + ["a|b"]}}, task=tagged)).findings
    assert found.received == "'a', 'b' in each of the 6 rows looked at"
    assert labels.label_constant(facts({"train": {"tags": ["a", "a|b"]}}, task=tagged)).findings == ()
    assert labels.label_constant(facts({"train": {"animal": ["cat", "dog"]}}, task=animals)).findings == ()


def test_classes_that_the_train_split_never_has(facts: Making, animals: Task, tagged: Task) -> None:
    train, other = {"animal": ["cat", "dog"] * 20}, {"animal": ["cat", "owl", "owl", "dog"]}
    (found,) = labels.label_unseen(facts({"train": train, "eval": other}, task=animals)).findings
    assert found.message == (
        "animal (split 'eval', 2 of 4 rows): expected classes that the train split has, too (2 of them). "
        "Received: 'owl' in 2 rows"
    )
    assert labels.label_unseen(facts({"train": other, "eval": train}, task=animals)).findings == ()
    tags = {"train": {"tags": ["a|b", "b"]}, "test": {"tags": ["a|c", "-"]}}
    (found,) = labels.label_unseen(facts(tags, task=tagged)).findings
    assert (found.split, found.received) == ("test", "'c' in 1 row")


def test_a_class_that_only_the_statistics_saw_is_seen(facts: Making, animals: Task) -> None:
    """A sample of the first rows may lack a rare class; statistics count all rows."""
    made = facts({"train": {"animal": ["cat", "dog", "owl"]}, "eval": {"animal": ["owl", "cat"]}}, task=animals)
    part = dataclasses.replace(made.samples["train"], label=np.array([0.0, 1.0]), rows=2)
    sampled = dataclasses.replace(made, samples={**made.samples, "train": part})
    assert labels.label_unseen(sampled).findings == ()


def test_classes_that_no_row_has(facts: Making, animals: Task) -> None:
    made = facts({"train": {"animal": ["cat", "dog"]}, "eval": {"animal": ["cat", "dog"]}}, task=animals)
    (found,) = labels.label_absent(made).findings
    assert (found.check, found.split) == ("label_absent", None)
    assert found.message == "animal (4 rows): expected a row of each of the 3 classes. Received: no row of 'owl'"
    some = facts({"train": {"animal": ["cat", "dog"]}, "eval": {"animal": ["owl"]}}, task=animals)
    assert labels.label_absent(some).findings == ()


def test_the_share_of_each_class_in_two_splits(facts: Making, animals: Task, tagged: Task) -> None:
    random = np.random.default_rng(2)
    names = np.array(["cat", "dog", "owl"])
    train = {"animal": random.choice(names, 2000, p=[0.5, 0.3, 0.2]).tolist()}
    alike = {"animal": random.choice(names, 1000, p=[0.5, 0.3, 0.2]).tolist()}
    report = labels.label_between_splits(facts({"train": train, "eval": alike}, task=animals))
    assert report.findings == ()
    assert [(m.measure, m.feature) for m in report.measured] == [("l_infinity", "animal")]
    # The mean position stays as it is: 0.7.
    moved = {"animal": random.choice(names, 1000, p=[0.65, 0.0, 0.35]).tolist()}
    (found,) = labels.label_between_splits(facts({"train": train, "eval": moved}, task=animals)).findings
    share = train["animal"].count("dog") / 2000
    assert found.message == (
        "animal (split 'eval', 1,000 rows): expected each class as often as in the train split, within 0.1. "
        f"Received: 'dog' in 0.0% of the rows, in the train split {share:.1%}"
    )
    tags = {"train": {"tags": ["a", "b", "a|b", "-"] * 300}, "eval": {"tags": ["a", "b", "a|b", "a"] * 300}}
    (found,) = labels.label_between_splits(facts(tags, task=tagged)).findings
    assert found.received == "'a' in 75.0% of the rows, in the train split 50.0%"
