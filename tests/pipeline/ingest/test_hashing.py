"""Hashes of rows: the same wherever and with whatever the row comes, different where a value is."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingest import hashing

TABLE = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(width=32, allow_nan=False),
        st.none() | st.binary(max_size=3),
        st.none() | st.lists(st.integers(-2, 2), max_size=3),
    ),
    min_size=1,
    max_size=20,
)
TYPES = {"i": pa.int64(), "f": pa.float32(), "b": pa.binary(), "l": pa.list_(pa.int64())}


def columns(table: list[tuple[object, ...]]) -> dict[str, pa.Array]:
    values = zip(*table, strict=True)
    return {name: pa.array(v, kind) for (name, kind), v in zip(TYPES.items(), values, strict=True)}


@settings(max_examples=100, deadline=None)
@given(TABLE, st.data())
def test_neither_batches_nor_the_order_of_columns_count(table: list[tuple[object, ...]], data: st.DataObject) -> None:
    made = columns(table)
    whole = hashing.rows(made)
    assert whole.dtype == np.uint64
    cut = data.draw(st.integers(0, len(table)))
    order = data.draw(st.permutations(list(made)))
    parts = [hashing.rows({name: made[name].slice(*at) for name in order}) for at in ((0, cut), (cut, len(table)))]
    assert np.array_equal(np.concatenate(parts), whole)
    alone = [hashing.rows(columns([row]))[0] for row in table]
    assert alone == whole.tolist()


@settings(max_examples=100, deadline=None)
@given(TABLE)
def test_equal_rows_and_no_others_have_equal_hashes(table: list[tuple[object, ...]]) -> None:
    rows = [(i, None if f is None else f + 0.0, b, tuple(x) if x else None) for i, f, b, x in table]
    assert len(set(hashing.rows(columns(table)).tolist())) == len({(i, f, b, x) for i, f, b, x in rows})


def test_an_empty_column_changes_nothing() -> None:
    made = {"a": pa.array([1, 2])}
    assert np.array_equal(hashing.rows(made), hashing.rows({**made, "b": pa.nulls(2, pa.binary())}))


def test_one_value_in_a_list_is_that_value() -> None:
    """Whether a column comes as lists depends on the other rows of its batch; a row's split must not."""
    for flat, lists in (([1, 2], [[1], [2]]), ([b"a", None], [[b"a"], []]), ([0.5, None], [[0.5], None])):
        assert np.array_equal(hashing.rows({"a": pa.array(flat)}), hashing.rows({"a": pa.array(lists)}))
    several = pa.array([[1], [1, 1], [1, 2], [2, 1], [2]])
    assert len(set(hashing.rows({"a": several}).tolist())) == 5


def test_the_name_of_the_column_counts() -> None:
    one, two = pa.array([1]), pa.array([2])
    assert hashing.rows({"a": one, "b": two}) != hashing.rows({"a": two, "b": one})
    assert hashing.rows({"a": one}) != hashing.rows({"b": one})


def test_the_same_in_every_run_and_on_every_machine() -> None:
    """Splits would change with it."""
    made = {"a": pa.array([1]), "b": pa.array([1.5], pa.float32()), "c": pa.array([b"x"]), "d": pa.array([[1, 2]])}
    assert hashing.rows(made).tolist() == [8235546972184120278]
    assert hashing.rows({}).tolist() == []


def test_hashes_spread_evenly() -> None:
    hashes = hashing.rows({"a": pa.array(range(60_000))})
    assert len(np.unique(hashes)) == 60_000
    for parts in (2, 3, 7, 64):
        counts = np.bincount((hashes % np.uint64(parts)).astype(int), minlength=parts)
        assert abs(counts / counts.mean() - 1).max() < 0.15
