"""The columns of the output: names of classes, types, and what is kept as text."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.errors import DataBlocked, MillraceError
from pipeline.predict import layout
from serving.errors import Code, ServingError


class Said:
    """A model that answers the same to each row."""

    def __init__(self, fails: bool = False, **outputs: Any) -> None:
        self._outputs = {name: np.array([value]) for name, value in outputs.items()}
        self._fails = fails

    def nothing(self, rows: int) -> int:
        return rows

    def ask(self, rows: int) -> Mapping[str, np.ndarray]:
        if self._fails and rows:
            raise ServingError(Code.INVALID_ARGUMENT, "not without a value")
        return {name: np.repeat(values, rows, axis=0) for name, values in self._outputs.items()}


def columns_of(model: Any, classes: tuple[str, ...] = ()) -> dict[str, str]:
    return {answer.name: str(answer.type) for answer in layout.answers_of(model, classes)}


def test_a_number_is_a_column() -> None:
    assert columns_of(Said(probability=np.float32(0.5))) == {"probability": "float"}
    assert columns_of(Said(score=[np.float32(0.5)])) == {"score": "float"}


def test_classes_are_columns_of_their_names_and_the_chosen_one() -> None:
    said = Said(probabilities=np.float32([0.25, 0.75]), classes=[b"cat", b"dog"], **{"class": b"dog"})
    found = layout.answers_of(said, ())  # type: ignore[arg-type]
    assert [answer.name for answer in found] == ["class", "probability_cat", "probability_dog"]
    values = layout.answer_columns(found, said.ask(2))  # type: ignore[arg-type]
    assert [column.to_pylist() for column in values] == [["dog", "dog"], [0.25, 0.25], [0.75, 0.75]]


def test_several_classes_may_be_chosen() -> None:
    said = Said(probabilities=np.float32([0.25, 0.75]), classes=[b"a", b"b"], chosen=[False, True])
    assert columns_of(said) == {
        "chosen_a": "bool",
        "chosen_b": "bool",
        "probability_a": "float",
        "probability_b": "float",
    }


def test_names_come_from_the_task_where_the_model_needs_a_value_to_give_them() -> None:
    said = Said(fails=True, probabilities=np.float32([0.25, 0.75]), classes=[b"cat", b"dog"])
    assert list(columns_of(said, ("cat", "dog"))) == ["probability_cat", "probability_dog"]
    assert list(columns_of(said, ("one",))) == ["probability_0", "probability_1"]


def test_answers_of_more_dimensions_are_refused() -> None:
    with pytest.raises(MillraceError, match=r"output 'boxes': expected \[rows\] or \[rows, n\]"):
        columns_of(Said(boxes=np.zeros((2, 2), np.float32)))


def test_answers_that_share_a_name_are_refused() -> None:
    with pytest.raises(MillraceError, match="can't be told apart: columns model_version"):
        columns_of(Said(model_version=np.float32(1)))


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        (pa.array([b"a", b"caf\xe9", None]), pa.string(), ["a", r"caf\xe9", None]),
        (pa.array([1, None]), pa.string(), ["1", None]),
        (pa.array([[1, 2], None]), pa.string(), ["[1, 2]", None]),
        (pa.array([b" 1,5 ", b"", b"nan"]), pa.float64(), [1.5, None, float("nan")]),
        (pa.array([b"7", b" 5,0"]), pa.int64(), [7, 5]),
        (pa.array([1, 2], pa.int32()), pa.float64(), [1.0, 2.0]),
        (pa.array([7.0, float("nan"), None]), pa.int64(), [7, None, None]),
        (pa.nulls(2), pa.int64(), [None, None]),
        (pa.array(["u", "v"]).dictionary_encode(), pa.string(), ["u", "v"]),
    ],
)
def test_kept_values(given: pa.Array, kind: pa.DataType, expected: list[Any]) -> None:
    found = layout.kept_column(given, kind, ",", "f.csv", "c")
    assert found.type == kind
    assert found.to_pylist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("given", "kind", "received"),
    [
        (pa.array([1.5]), pa.int64(), "double"),
        (pa.array(["many"]), pa.float64(), "string"),
        (pa.array([[1, 2]]), pa.int64(), "list"),
        (pa.array([[1, 2]]), pa.timestamp("s"), "list"),
    ],
)
def test_a_column_that_changes_its_type_is_told(given: pa.Array, kind: pa.DataType, received: str) -> None:
    said = rf"f.parquet: column 'c': expected {re.escape(str(kind))}, .* Received: {received}"
    with pytest.raises(DataBlocked, match=said):
        layout.kept_column(given, kind, ".", "f.parquet", "c")
