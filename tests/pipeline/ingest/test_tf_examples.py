"""Serialised tf.Examples: what TensorFlow and tfx_bsl read of them is what they read of tfx_bsl's own."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder, RecordBatchToExamplesEncoder

from pipeline.ingest import tf_examples, typed

CELLS = {
    pa.int64(): st.one_of(st.integers(0, 300), st.integers(-(2**63), 2**63 - 1)),
    pa.float32(): st.floats(width=32),
    pa.binary(): st.binary(max_size=3) | st.sampled_from([b"x" * 127, b"x" * 128, b"y" * 20_000]),
}
NAMES = st.sampled_from(["a", "é", "n" * 125, "n" * 128, "z"])


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Columns of each type, flat or as lists, large or not, with missing values; slices of larger ones."""
    rows = draw(st.integers(1, 6))
    columns = {}
    for name in draw(st.lists(NAMES, max_size=4, unique=True)):
        kind = draw(st.sampled_from(list(CELLS)))
        values: Any = st.none() | CELLS[kind]
        if draw(st.booleans()):
            values = st.none() | st.lists(CELLS[kind], min_size=1, max_size=3)
            kind = draw(st.sampled_from([pa.list_, pa.large_list]))(
                draw(st.sampled_from([kind, pa.large_binary()])) if kind == pa.binary() else kind
            )
        columns[name] = pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), kind)
    at = draw(st.integers(0, rows - 1))
    return pa.RecordBatch.from_pydict(columns).slice(at) if columns else pa.RecordBatch.from_pydict({"a": [1]})


def features(record: bytes) -> dict[str, tuple[str | None, list[Any]]]:
    """Name -> kind of list, None where there is none, and its values; NaN as its bits."""
    found = {}
    for name, feature in tf.train.Example.FromString(record).features.feature.items():
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else []
        found[name] = kind, np.array(values, np.float32).tobytes() if kind == "float_list" else values
    return found


@settings(max_examples=150, deadline=None)
@given(batches())
def test_examples_are_those_of_tfx_bsl(batch: pa.RecordBatch) -> None:
    mine = tf_examples.encode(batch)
    columns = {
        name: column if pa.types.is_large_list(column.type) else typed.as_lists(column)
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    theirs = RecordBatchToExamplesEncoder().encode(pa.RecordBatch.from_pydict(columns))
    assert [features(record) for record in mine] == [features(record) for record in theirs]
    assert [len(record) for record in mine] == [len(record) for record in theirs]
    decoder = ExamplesToRecordBatchDecoder()
    assert str(decoder.DecodeBatch(mine).to_pylist()) == str(decoder.DecodeBatch(theirs).to_pylist())


@pytest.mark.parametrize("rows", [0, 3])
def test_rows_without_columns(rows: int) -> None:
    none = pa.RecordBatch.from_arrays([pa.array([1] * rows, pa.int64())], ["a"])
    assert len(tf_examples.encode(none)) == rows
    assert tf_examples.encode(none.select([])) in ([], [b"\n\x00"] * rows)


def test_dense_columns_of_several_values() -> None:
    """As Transform makes them: as many values in every row, embeddings and images of bytes among them."""
    chosen = np.random.default_rng(3)
    dense = {
        "embedding": chosen.normal(size=(50, 384)).astype(np.float32),
        "ids": chosen.integers(-5, 10**12, (50, 7)),
        "image": np.array([[chosen.bytes(300)] for _ in range(50)], object),
    }
    offsets = {name: np.arange(51) * values.shape[1] for name, values in dense.items()}
    batch = pa.RecordBatch.from_pydict(
        {name: pa.LargeListArray.from_arrays(offsets[name], pa.array(v.ravel())) for name, v in dense.items()}
    )
    parsed = tf.io.parse_example(
        tf_examples.encode(batch),
        {
            "embedding": tf.io.FixedLenFeature([384], tf.float32),
            "ids": tf.io.FixedLenFeature([7], tf.int64),
            "image": tf.io.FixedLenFeature([1], tf.string),
        },
    )
    for name, values in dense.items():
        np.testing.assert_array_equal(parsed[name].numpy(), values)
