"""What rows are sliced by: the texts of each row, the same from serialised rows and from stored columns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from components.evaluator.inference import batches
from components.evaluator.slices import Encoder, Slices
from pipeline.gates import Evaluation, Gate, Ranges
from pipeline.task import Task

KINDS = {"miles": 3, "fare": 3, "tips": 3, "company": 1, "hour": 2, "area": 2}
SCHEMA = schema_pb2.Schema(feature=[schema_pb2.Feature(name=name, type=kind) for name, kind in KINDS.items()])


def texts(column: pd.Categorical) -> list[str | None]:
    return [None if code < 0 else column.categories[code] for code in column.codes]


def encoded(*columns: pa.Array, ranges: Ranges | None = None) -> list[str | None]:
    encoder = Encoder(ranges)
    for column in columns:
        encoder.add(column)
    return texts(encoder.column())


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list])
def test_texts_of_rows(kind: Any) -> None:
    names = pa.array([[b"a"], None, [], [b"\xff"], ["Ö".encode()], [b"b", b"a"]], kind(pa.binary()))
    later = pa.array([[b"c"], [b"a"]], kind(pa.binary()))
    assert encoded(names, pa.nulls(2), later) == ["a", None, None, "\ufffd", "Ö", "b|a", None, None, "c", "a"]
    assert encoded(pa.array([[7], [-1], [7, 8], None], kind(pa.int64()))) == ["7", "-1", "7|8", None]
    assert encoded(pa.array([[0.1], [2.0]], kind(pa.float32()))) == ["0.1", "2.0"]
    assert encoded(names.slice(3)) == ["\ufffd", "Ö", "b|a"]


def test_a_row_is_in_the_range_of_its_only_number() -> None:
    numbers = pa.array([[4.9], [5.0], None, [1.0, 2.0], [float("nan")], [30.0]], pa.list_(pa.float32()))
    ranges = Ranges("fare", (5, 20))
    assert encoded(numbers, ranges=ranges) == ["below 5", "5 to 20", None, None, None, "20 and above"]
    assert encoded(numbers.slice(1, 2), pa.nulls(1), ranges=ranges) == ["5 to 20", None, None]


def test_no_row() -> None:
    assert encoded() == encoded(ranges=Ranges("fare", (5,))) == []


@pytest.fixture
def task(tiny: Task) -> Task:
    slices = ("hour", "gone", Ranges("miles", (2.0, 5.0)), ("company", "hour"))
    rules = Evaluation(metrics=("auc",), slices=slices, gates=(Gate("auc", at_least=0.0),))
    return replace(tiny, evaluation=rules)


def test_stored_columns_are_as_good_as_rows(task: Task, tiny_data: Any, stored: Any, tmp_path: Path) -> None:
    files = stored(tiny_data.raw, tmp_path)
    assert len(files) > 1
    decoded, read = (Slices(task, SCHEMA, 8192, given) for given in (None, files))
    for rows in batches(tiny_data.raw_files[0]):
        decoded.add(rows)
        read.add(rows)
    found, expected = read.columns(), decoded.columns()
    assert set(found) == set(expected) == {"hour", "gone", "miles", "company"}
    for name, column in expected.items():
        assert texts(found[name]) == texts(column), name
    assert len(texts(found["hour"])) == len(tiny_data.raw)
    assert set(texts(found["gone"])) == {None}
    assert None in texts(found["hour"])


def test_columns_of_other_rows_are_not_taken(task: Task, tiny_data: Any, stored: Any, tmp_path: Path) -> None:
    files = stored(tiny_data.raw[:-1], tmp_path)
    with pytest.raises(ValueError, match="more rows"):
        Slices(task, SCHEMA, 8192, files).add(np.array(tiny_data.raw, object))
