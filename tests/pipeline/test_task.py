"""A task's rules: what contradicts itself is refused, all at once."""

import dataclasses
from typing import Any

import pytest

from pipeline.errors import TaskError
from pipeline.expressions import Column
from pipeline.features import Categorical, Feature, Numeric
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary
from pipeline.models.linear import Linear
from pipeline.sources import Csv
from pipeline.task import Task

GATES = (Gate("auc", at_least=0.5),)


def task(**changes: Any) -> Task:
    settings: dict[str, Any] = {
        "name": "tips",
        "question": "?",
        "source": Csv("data.csv"),
        "label": Binary.where("tips", greater_than=0.2 * Column("fare")),
        "features": [Numeric("miles"), Categorical("hour", size=24)],
        "model": Linear(),
        "evaluation": Evaluation(metrics=("auc",), slices=("hour", ("company", "day")), gates=GATES),
    }
    return Task(**{**settings, **changes})


def message(**changes: Any) -> str:
    with pytest.raises(TaskError) as caught:
        task(**changes)
    return str(caught.value)


def test_columns_are_those_of_features_label_and_slices() -> None:
    assert list(task().columns.items()) == [
        ("company", "a slice"),
        ("day", "a slice"),
        ("fare", "read by the label"),
        ("hour", "a feature"),
        ("miles", "a feature"),
        ("tips", "the label"),
    ]


def test_features_become_a_tuple_and_the_task_is_frozen() -> None:
    assert isinstance(task().features, tuple)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task().name = "other"  # type: ignore[misc]


def test_a_column_of_the_labels_condition_may_be_a_feature() -> None:
    assert task(features=[Numeric("fare")]).columns["fare"] == "a feature"


def test_the_label_among_the_features_is_refused() -> None:
    assert "the label 'tips' is among them" in message(features=[Numeric("tips")])


def test_a_feature_given_twice_is_refused() -> None:
    assert "'miles' is given more than once" in message(features=[Numeric("miles"), Numeric("miles", scale=None)])


def test_no_feature_is_refused() -> None:
    assert "features: expected at least one." in message(features=[])


@pytest.mark.parametrize("name", ["", "Tips", "taxi-tips", "1tips", "taxi tips", "../tips"])
def test_a_name_that_is_not_a_files_is_refused(name: str) -> None:
    assert f"Received: name={name!r}" in message(name=name)


def test_several_problems_are_listed_at_once() -> None:
    text = message(name="Tips", features=[Numeric("tips"), Numeric("a"), Numeric("a")])
    assert text.splitlines() == [
        "task 'Tips' contradicts itself:",
        "  - name: expected lower case letters, digits and _. Received: name='Tips'",
        "  - features: 'a' is given more than once.",
        "  - features: the label 'tips' is among them, and is not known when serving.",
    ]


def test_at_most_five_problems_are_shown() -> None:
    repeated: list[Feature] = [Numeric(letter) for letter in "abcdefgabcdefg"]
    lines = message(features=repeated).splitlines()
    assert len(lines) == 7
    assert lines[-1] == "  - and 2 more"


def test_sensitive_columns_need_not_be_read() -> None:
    assert task().sensitive == ()
    assert task(sensitive=("email", "miles")).sensitive == ("email", "miles")


@pytest.mark.parametrize(
    ("sensitive", "expected"),
    [
        ("email", "sensitive: expected a tuple, such as sensitive=('email',). Received: 'email'"),
        (["email"], "sensitive: expected a tuple"),
        (("email", ""), "sensitive: expected names of columns. Received: ''"),
        ((3,), "sensitive: expected names of columns. Received: 3"),
        (("email", "day", "email"), "sensitive: 'email' is given more than once."),
    ],
)
def test_names_of_sensitive_columns_are_checked(sensitive: Any, expected: str) -> None:
    assert expected in message(sensitive=sensitive)
