"""Splits: fractions, stability, entities, times."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingest import hashing
from pipeline.ingest.partition import Partition
from pipeline.splits import FolderSplit, HashSplit, SpanSplit, TimeSplit


def split(partition: Partition, columns: dict[str, pa.Array], fixed: str | None = None) -> list[str]:
    ids = partition.of(columns, hashing.rows(columns), fixed)
    return [partition.names[index] for index in ids]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(), max_size=30, unique=True), st.lists(st.integers(), max_size=30), st.integers(0, 2))
def test_rows_stay_in_their_split_when_others_are_appended(old: list[int], new: list[int], test: int) -> None:
    partition = Partition(HashSplit(3, 2, test))
    values = [str(value).encode() for value in [*old, *new]]
    before = split(partition, {"a": pa.array(values[: len(old)], pa.binary())})
    assert split(partition, {"a": pa.array(values, pa.binary())})[: len(old)] == before
    assert set(before) <= set(partition.names)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers()), max_size=40))
def test_no_entity_is_on_both_sides(rows: list[tuple[int, int, int]]) -> None:
    a, b, c = ([row[n] % 2**62 for row in rows] for n in range(3))
    columns = {"a": pa.array(a, pa.int64()), "b": pa.array(b, pa.int64()), "c": pa.array(c, pa.int64())}
    partition = Partition(HashSplit(1, 1, by=("a", "b")))
    sides = split(partition, columns)
    by_entity: dict[tuple[int, int], set[str]] = {}
    for x, y, side in zip(a, b, sides, strict=True):
        by_entity.setdefault((x, y), set()).add(side)
    assert all(len(found) == 1 for found in by_entity.values())
    entities = partition.entities(columns)
    assert entities is not None
    assert len(set(entities.tolist())) == len(by_entity)


def test_fractions_are_the_parts() -> None:
    columns = {"a": pa.array(range(30_000))}
    sides = split(Partition(HashSplit(7, 2, 1)), columns)
    assert [round(sides.count(name) / len(sides), 2) for name in ("train", "eval", "test")] == [0.7, 0.2, 0.1]


def test_a_file_may_be_of_one_split() -> None:
    columns = {"a": pa.array([1, 2])}
    assert split(Partition(FolderSplit()), columns, "eval") == ["eval", "eval"]
    assert split(Partition(SpanSplit(test=1)), columns, "test") == ["test", "test"]
    with pytest.raises(TypeError, match="FolderSplit gives the split by file"):
        split(Partition(FolderSplit()), columns)


def test_eval_comes_out_of_the_folder_train_where_it_has_none() -> None:
    columns = {"a": pa.array(range(30_000))}
    partition = Partition(FolderSplit(eval=None, test="test", train_parts=4, eval_parts=1))
    sides = split(partition, columns, "train")
    assert [round(sides.count(name) / len(sides), 2) for name in ("train", "eval", "test")] == [0.8, 0.2, 0.0]
    assert sides == split(Partition(HashSplit(4, 1)), columns)
    assert set(split(partition, columns, "test")) == {"test"}
    named = Partition(FolderSplit(eval="dev"))
    assert set(split(named, columns, "train")) == {"train"}


NUMBERS = pa.array([0.0, 9.0, 10.0, 19.0, 20.0, None], pa.float32())
TEXTS = pa.array(
    [b"1970-01-01", b"1970-01-01T00:00:09Z", b"1970-01-01 02:00:10+02:00", b"19700101T000019", b"2024-01-01", b"soon"]
)


@pytest.mark.parametrize("column", [NUMBERS, TEXTS, TEXTS.slice(0)], ids=["numbers", "texts", "slice"])
def test_times(column: pa.Array) -> None:
    partition = Partition(TimeSplit("t", "1970-01-01T00:00:10", "1970-01-01T00:00:20"))
    (fault,) = partition.faults({"t": column})
    assert (fault.rule, fault.column, fault.rows.tolist()) == ("split", "t", [False] * 5 + [True])
    assert split(partition, {"t": column.slice(0, 5)}) == ["train", "train", "eval", "eval", "test"]
    times = partition.times({"t": column})
    assert times is not None
    assert times[:4].tolist() == [0.0, 9.0, 10.0, 19.0]


def test_times_in_lists_and_beyond_float64() -> None:
    partition = Partition(TimeSplit("t", "1970-01-01T00:00:10"))
    times = partition.times({"t": pa.array([[5], [1, 2], [], None, [2**60 + 1]])})
    assert times is not None
    assert np.nan_to_num(times, nan=-1).tolist() == [5.0, -1.0, -1.0, -1.0, 2.0**60]


def test_rows_without_an_entity_have_no_split() -> None:
    partition = Partition(HashSplit(by=("a", "b")))
    columns = {"a": pa.array([1, None]), "b": pa.array([b"x", b"y"])}
    assert [(fault.column, fault.rows.tolist()) for fault in partition.faults(columns)] == [("a", [False, True])]


@pytest.mark.parametrize("made", [HashSplit(), HashSplit(by=("a",)), TimeSplit("a", "2024-01-01"), FolderSplit()])
def test_no_rows(made: Any) -> None:
    """The last part of a file has no rows and no columns."""
    partition = Partition(made, key=("a",))
    assert partition.of({}, np.empty(0, np.uint64), None).tolist() == []
    assert partition.entities({}) is None
    assert partition.times({}) is None


def test_the_key_is_the_entity_where_the_split_knows_none() -> None:
    columns = {"a": pa.array([1, 1]), "b": pa.array([1, 2])}
    by_key = Partition(HashSplit(), key=("a",)).entities(columns)
    assert by_key is not None
    assert by_key[0] == by_key[1]
    by_split = Partition(HashSplit(by=("b",)), key=("a",)).entities(columns)
    assert by_split is not None
    assert by_split[0] != by_split[1]
    assert Partition(HashSplit()).entities(columns) is None
