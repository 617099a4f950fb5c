"""Columns beside the shards: the same rows in the same order as tfx_bsl decodes from the TFRecords."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder, RecordBatchToExamplesEncoder

from pipeline.errors import DataBlocked
from pipeline.ingest import checking, column_shards, columnar, files, shards, typed, work
from pipeline.ingest.column_shards import ColumnShards
from pipeline.ingest.columns import Column
from pipeline.ingest.partition import Partition
from pipeline.rows import RowRules
from pipeline.sources import JsonLines
from pipeline.splits import HashSplit

TYPES = {"i": pa.int64(), "f": pa.float32(), "b": pa.binary()}
VALUES = {"i": st.integers(-(2**63), 2**63 - 1), "f": st.floats(width=32, allow_nan=False), "b": st.binary(max_size=5)}
DECODED = {"i": pa.large_list(pa.int64()), "f": pa.large_list(pa.float32()), "b": pa.large_list(pa.large_binary())}


@st.composite
def parts(draw: st.DrawFn) -> list[pa.RecordBatch]:
    """Batches, each with some of the columns, flat or as lists, with missing values."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        rows = draw(st.integers(1, 7))
        columns: dict[str, pa.Array] = {}
        for name in draw(st.lists(st.sampled_from("ifb"), min_size=1, unique=True)):
            if draw(st.booleans()):
                cells = st.none() | VALUES[name]
                columns[name] = pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), TYPES[name])
            else:
                lists = st.none() | st.lists(VALUES[name], min_size=1, max_size=3)
                cells = draw(st.lists(lists, min_size=rows, max_size=rows))
                columns[name] = pa.array(cells, pa.list_(TYPES[name]))
        made.append(pa.RecordBatch.from_pydict(columns))
    return made


def decoded(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    """Rows after a way through tf.Examples, without what is missing."""
    encoder = RecordBatchToExamplesEncoder()
    records = [
        record
        for batch in batches
        for record in encoder.encode(
            pa.RecordBatch.from_pydict({n: typed.as_lists(batch.column(n)) for n in batch.schema.names})
        )
    ]
    return rows_of([ExamplesToRecordBatchDecoder().DecodeBatch(records)])


def rows_of(batches: Iterator[pa.RecordBatch] | list[pa.RecordBatch]) -> list[dict[str, Any]]:
    rows = (row for batch in batches for row in batch.to_pylist())
    return [{name: values for name, values in row.items() if values is not None} for row in rows]


@settings(max_examples=60, deadline=None)
@given(parts(), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_rows_are_those_of_the_tf_examples(
    tmp_path_factory: pytest.TempPathFactory, made: list[pa.RecordBatch], shard: int, at_once: int, rows: int
) -> None:
    """Whatever batches came, and however they were joined: columns may come, go and become lists."""
    folder = tmp_path_factory.mktemp("columns")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_shards, "_BATCH_ROWS", at_once)
        writer = ColumnShards(f"{folder}/x", files.create, shard)
        for batch in made:
            writer.write(batch, np.arange(batch.num_rows, dtype=np.uint64))
        writer.close()
    total = sum(batch.num_rows for batch in made)
    paths = [str(one.path) for one in writer.written]
    assert [one.rows for one in writer.written[:-1]] == [shard] * ((total - 1) // shard)
    found = list(columnar.batches(paths, rows))
    assert [batch.num_rows for batch in found[:-1]] == [rows] * ((total - 1) // rows)
    assert rows_of(found) == decoded(made)
    assert all(batch.schema.field(n).type == DECODED[n] for batch in found for n in batch.schema.names)
    some = list(columnar.batches(paths, rows, ["f", "i"]))
    assert rows_of(some) == [{n: v for n, v in row.items() if n in "fi"} for row in decoded(made)]
    assert all(batch.schema.names == ["f", "i"] for batch in some)
    none = list(columnar.batches(paths, rows, ["none"]))
    assert sum(batch.num_rows for batch in none) == total
    assert all(batch.schema.types == [pa.null()] for batch in none)


def test_a_digest_tells_rows_and_their_order(tmp_path: Path) -> None:
    def digest(name: str, hashes: list[int]) -> str:
        writer = ColumnShards(f"{tmp_path}/{name}", files.create, 100)
        for value in hashes:
            writer.write(pa.RecordBatch.from_pydict({"i": pa.array([value])}), np.array([value], np.uint64))
        writer.close()
        (one,) = writer.written
        return one.digest

    assert digest("a", [1, 2, 3]) == digest("b", [1, 2, 3])
    assert len({digest("c", [1, 2, 3]), digest("d", [1, 3, 2]), digest("e", [1, 2])}) == 3


@pytest.mark.parametrize("rows", [3, 40])
def test_heavy_rows_have_no_columns(tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are they held: what is in memory is dropped, batch by batch."""
    monkeypatch.setattr(column_shards, "_BATCH_ROWS", 10)
    writer = ColumnShards(f"{tmp_path}/x", files.create, 16)
    for _ in range(rows):
        writer.write(pa.RecordBatch.from_pydict({"b": pa.array([bytes(5000)])}), np.zeros(1, np.uint64))
    writer.close()
    assert {one.path for one in writer.written} == {None}
    assert sum(one.rows for one in writer.written) == rows
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    writer = ColumnShards(f"{tmp_path}/x", files.create, 1 << 20)
    writer.write(pa.RecordBatch.from_pydict({"i": pa.array(range(10_000))}), np.zeros(10_000, np.uint64))
    writer.close()
    path = tmp_path / "x-00000.arrow"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataBlocked, match=r"x-00000\.arrow"):
        list(columnar.batches([str(path)], 100))


def test_where_nothing_was_written_there_are_none(tmp_path: Path) -> None:
    assert columnar.shards(str(tmp_path), "train") is None
    assert columnar.shards("ftp://elsewhere/x", "train") is None
    (tmp_path / "columns").mkdir()
    entry = {"split": "train", "records": "Split-train/a.gz", "rows": 1, "span": 0, "digest": ""}
    for file, expected in ((None, None), ("columns/gone.arrow", None), ("columns/index.json", 1)):
        text = json.dumps({"shards": [{**entry, "file": file}]})
        (tmp_path / "columns" / "index.json").write_text(text)
        found = columnar.shards(str(tmp_path), "train")
        assert (found and len(found)) == expected
        assert columnar.shards(str(tmp_path), "eval") is None


def test_files_that_are_read_together_are_written_in_one_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, shards and splits of tf.Examples and of columns are the same, with columns that come with later rows."""
    monkeypatch.setattr(shards, "ROWS", 64)
    units = []
    for number in range(3):
        path = tmp_path / f"{number}.jsonl"
        rows = [{"id": number * 100 + i, "x": i / 3, **({"late": "a"} if i > 60 else {})} for i in range(100)]
        path.write_text("\n".join(map(json.dumps, rows)))
        units.append(checking.Unit(str(path), number))
    columns = {"id": Column("id", "INT"), "x": Column("x", "FLOAT")}
    needed = {"id": "a feature", "x": "the label"}
    job = checking.Job(JsonLines("unused.jsonl"), columns, needed, RowRules(), Partition(HashSplit()))
    written = work.ingest(job, units, f"{tmp_path}/out")
    for split in ("train", "eval"):
        assert len(written.shards[split]) == len(written.columns[split]) > 1
        for records, one in zip(written.shards[split], written.columns[split], strict=True):
            raw = list(tf.data.TFRecordDataset(records, "GZIP").as_numpy_iterator())
            assert len(raw) == one.rows
            assert rows_of(columnar.batches([str(one.path)], 50)) == rows_of(
                [ExamplesToRecordBatchDecoder().DecodeBatch(raw)]
            )
