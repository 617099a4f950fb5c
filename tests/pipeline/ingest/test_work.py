"""A file's way from bytes to shards: whatever is wrong with its rows, each is written once or kept out once."""

import csv
import gzip
import io
import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from pipeline.errors import DataBlocked
from pipeline.expressions import Column as Value
from pipeline.ingest import checking, csv_header, csv_reader, files, hashing, work
from pipeline.ingest.columns import Column
from pipeline.ingest.partition import Partition
from pipeline.rows import RowRules, Rule
from pipeline.sources import Csv, JsonLines, Parquet
from pipeline.splits import HashSplit, TimeSplit

COLUMNS = (Column("id", "INT", required=True), Column("x", "FLOAT", low=-1e6), Column("t", "BYTES"))
NEEDED = {"id": "a feature", "x": "the label"}


def job(source: Any = None, rows: RowRules | None = None, split: Any = None, columns: Any = COLUMNS) -> checking.Job:
    return checking.Job(
        source or Csv("unused.csv"),
        {column.name: column for column in columns},
        NEEDED,
        rows or RowRules(),
        Partition(split or HashSplit()),
    )


def records(paths: list[str]) -> Iterator[bytes]:
    for path in paths:
        data, at = gzip.decompress(Path(path).read_bytes()), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            yield data[at + 12 : at + 12 + length]
            at += 16 + length


def rows_of(paths: list[str]) -> list[dict[str, Any]]:
    """The tf.Examples of shards."""
    found = list(records(paths))
    if not found:
        return []
    table = ExamplesToRecordBatchDecoder().DecodeBatch(found).to_pylist()
    return [{name: v[0] if v else None for name, v in row.items()} for row in table]


def run(folder: Path, made: checking.Job, *paths: Path, duplicates: Any = None) -> list[work.Written]:
    folder.mkdir(exist_ok=True, parents=True)
    units = (checking.Unit(str(path), index) for index, path in enumerate(paths))
    written = [work.ingest(made, [u], f"{folder}/{u.index}", repeated={u.index: duplicates}) for u in units]
    for one in written:
        if one.failed:
            raise one.failed[0]
    return written


def outcome(written: list[work.Written]) -> tuple[list[Any], list[Any]]:
    """Rows as (id, x, t, split), sorted; what was kept out, as (rule, column), sorted."""
    good = [
        (row["id"], row.get("x"), row.get("t"), split)
        for one in written
        for split, paths in one.shards.items()
        for row in rows_of(paths)
    ]
    bad = [(row["rule"], row["column"]) for one in written for row in pq.read_table(one.quarantine).to_pylist()]
    return sorted(good, key=repr), sorted(bad, key=repr)


texts = st.text(st.sampled_from('ab,"\n\r é'), max_size=5)
good_rows = st.tuples(st.just("good"), st.none() | st.floats(-1000, 1000, width=16), texts)
bad_rows = st.tuples(
    st.sampled_from(["no id", "text for x", "infinite x", "too low x", "short", "long", "latin", "blank", "1e99"]),
    st.none(),
    texts,
)


def line(number: int, kind: str, x: float | None, text: str) -> tuple[bytes, int]:
    """A row as CSV, quoted, and whether it is one that counts."""
    values = {
        "no id": ["", "1", text],
        "text for x": [str(number), "one", text],
        "infinite x": [str(number), "-inf", text],
        "too low x": [str(number), "-2e6", text],
        "1e99": [str(number), "1e99", text],
        "short": ["short"],
        "long": ["long", "1", "2", "3"],
        "latin": [str(number), "1", "LATIN"],
        "blank": [],
    }.get(kind, [str(number), "" if x is None else repr(x), text])
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(values)
    return stream.getvalue().encode().replace(b"LATIN", b"caf\xe9"), int(kind != "blank")


@settings(max_examples=60, deadline=None)
@given(st.lists(good_rows | bad_rows, min_size=1, max_size=12), st.integers(1, 4), st.sampled_from([1, 30, 1 << 20]))
def test_accounts_add_up_however_rows_are_damaged_and_divided(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, float | None, str]], parts: int, block: int
) -> None:
    """Whichever file and block a row is in, it has the same values and split, or the same reason."""
    table = [("good", 0.0, "first"), *table]
    lines = [line(number, *row) for number, row in enumerate(table)]
    folder = tmp_path_factory.mktemp("work")
    results = []
    for name, count, size in (("whole", 1, 1 << 20), ("parts", parts, block)):
        paths = []
        for index, chosen in enumerate(np.array_split(np.arange(len(lines)), count)):
            if sum(lines[number][1] for number in chosen):
                paths.append(folder / f"{name}-{index}.csv")
                paths[-1].write_bytes(b"id,x,t\n" + b"".join(lines[number][0] for number in chosen))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_reader, "_BLOCK", size)
            patch.setattr(csv_header, "START", size)
            written = run(folder / name, job(), *paths)
        for one in written:
            kept = sum(1 for paths_ in one.shards.values() for _ in records(paths_))
            assert one.account.rows == kept + pq.read_metadata(one.quarantine).num_rows
        assert sum(one.account.rows for one in written) == sum(count for _, count in lines)
        assert sum(len(sample.values) for one in written for sample in one.hashes.values()) == len(outcome(written)[0])
        results.append(outcome(written))
    assert results[0] == results[1]
    good = {number: row for number, row in enumerate(table) if row[0] == "good"}
    assert {row[0]: row[1:3] for row in results[0][0]} == {
        number: (x, text.encode() or None) for number, (_, x, text) in good.items()
    }
    rules = {"no id": "required", "text for x": "type", "infinite x": "finite", "too low x": "range", "1e99": "finite"}
    expected = sorted(rules.get(kind, "parse") for kind, _, _ in table if kind not in ("good", "blank"))
    assert sorted(rule for rule, _ in results[0][1]) == expected


def put(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_row_is_told_with_its_first_reason_and_the_number_of_others(tmp_path: Path) -> None:
    rules = RowRules(rules=(Rule("x is at most the id", Value("x") <= Value("id")),))
    made = job(rows=rules, columns=[*COLUMNS[:2], Column("t", "BYTES", values=frozenset((b"a", b"b")))])
    (written,) = run(tmp_path, made, put(tmp_path, "id,x,t\n1,-2e6,c\n2,9,a\n3,1,a\n,x,z\n"))
    bad = pq.read_table(written.quarantine).to_pylist()
    assert [(row["line"], row["column"], row["value"], row["rule"], row["others"]) for row in bad] == [
        (2, "x", "-2e6", "range", 1),
        (3, "id", "2", "rule", 0),
        (5, "x", "x", "type", 2),
    ]
    assert json.loads(bad[0]["row"]) == {"id": "1", "x": "-2e6", "t": "c"}
    account = written.account.record()
    assert (account["rows"], account["quarantined"], sum(account["splits"].values())) == (4, 3, 1)
    assert {(entry["rule"], entry["column"]): entry["examples"][0]["line"] for entry in account["rules"]} == {
        ("range", "x"): 2,
        ("rule", "id"): 3,
        ("type", "x"): 5,
    }


def test_values_outside_a_domain_are_counted(tmp_path: Path) -> None:
    made = job(columns=[*COLUMNS[:2], Column("t", "BYTES", values=frozenset((b"a",)))])
    (written,) = run(tmp_path, made, put(tmp_path, "id,x,t\n1,1,b\n2,1,a\n3,1,c\n4,1,b\n"))
    assert written.account.record()["values"] == {"t": {"b": 2, "c": 1}}


def test_new_and_missing_columns(tmp_path: Path) -> None:
    """A column that the schema does not know is written as text, so that statistics show it."""
    (written,) = run(tmp_path, job(), put(tmp_path, "new,x,id\n,1,1\nb,2,2\nc,3,3\nd,4,4\ne,5,5\n"))
    account = written.account.record()
    assert account["new_columns"] == [
        {"column": "new", "file": str(tmp_path / "data.csv"), "examples": ["b", "c", "d"]}
    ]
    assert account["missing_columns"] == [{"column": "t", "file": str(tmp_path / "data.csv")}]
    rows = [row for paths in written.shards.values() for row in rows_of(paths)]
    assert sorted((row["id"], row["new"]) for row in rows) == [(1, None), (2, b"b"), (3, b"c"), (4, b"d"), (5, b"e")]


def test_rows_that_name_their_own_columns(tmp_path: Path) -> None:
    """Of JSON Lines no single row says which columns there are: one with the label among many is enough."""
    path = put(tmp_path, '{"id": 1}\n{"id": 2, "x": 1.5, "z": [1, 2]}\n{"x": 2}\n', "a.jsonl")
    (written,) = run(tmp_path, job(JsonLines("unused.jsonl")), path)
    good, bad = outcome([written])
    assert [row[:2] for row in good] == [(1, None), (2, 1.5)]
    assert [rule for rule, _ in bad] == ["required"]
    with pytest.raises(DataBlocked, match="column 'x', the label, is missing"):
        run(tmp_path, job(JsonLines("unused.jsonl")), put(tmp_path, '{"id": 1}\n', "b.jsonl"))


def test_lists_are_written_as_lists(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1, 2], "x": pa.array([1.0, None]), "t": pa.array([["a", "b"], []])}), path)
    (written,) = run(tmp_path, job(Parquet("unused.parquet")), path)
    found = [
        ExamplesToRecordBatchDecoder().DecodeBatch(list(records(paths))) for paths in written.shards.values() if paths
    ]
    rows = {row["id"][0]: row for batch in found for row in batch.to_pylist()}
    assert rows[1]["t"] == [b"a", b"b"]
    assert rows[2].get("t") is None
    assert rows[2].get("x") is None


def test_duplicates_are_taken_out_by_their_ordinals(tmp_path: Path) -> None:
    rules = RowRules(key=("t", "id"))
    path = put(tmp_path, "id,x,t\n1,1,a\nbad,1,b\n1,2,a\n2,3,a\n1,4,a\n3,4,\n")
    made = job(rows=rules)
    unit = checking.Unit(str(path), 0)
    hashes = np.concatenate([checking.keys(made, part) for part in checking.checked(made, unit) if len(part.hashes)])
    assert len(np.unique(hashes)) == 2
    (written,) = run(tmp_path, made, path, duplicates=np.array([1, 3]))
    bad = pq.read_table(written.quarantine).to_pylist()
    assert [(row["line"], row["rule"], row["value"]) for row in bad] == [
        (3, "type", "bad"),
        (4, "unique", "a, 1"),
        (6, "unique", "a, 1"),
        (7, "key", None),
    ]
    assert written.account.record()["quarantined"] == 4
    assert json.loads(bad[1]["row"])["x"] == 2.0


def test_rows_before_and_after_a_time(tmp_path: Path) -> None:
    made = job(split=TimeSplit("x", "1970-01-01T00:01:00"))
    (written,) = run(tmp_path, made, put(tmp_path, "id,x,t\n1,59,a\n2,60,a\n3,,a\n"))
    assert {split: [row["id"] for row in rows_of(paths)] for split, paths in written.shards.items()} == {
        "train": [1],
        "eval": [2],
    }
    assert written.account.times == {"train": (59.0, 59.0), "eval": (60.0, 60.0)}


def test_entities_are_sampled(tmp_path: Path) -> None:
    made = job(split=HashSplit(1, 1, by=("t",)))
    (written,) = run(tmp_path, made, put(tmp_path, "id,x,t\n1,1,a\n2,2,a\n3,3,b\n"))
    found = np.concatenate([sample.values for sample in written.entities.values()])
    assert sorted(np.unique(found, return_counts=True)[1].tolist()) == [1, 2]
    assert set(found) == set(hashing.rows({"t": pa.array([b"a", b"b"])}))


def test_no_thread_is_left_when_a_file_breaks(tmp_path: Path) -> None:
    """Neither when reading fails, nor when writing does."""
    path = put(tmp_path, "id,x,t\n" + "1,1,a\n" * 1000)

    def broken(path: str) -> BinaryIO:
        if "quarantine" in path:
            return files.create(path)
        raise OSError("no space left")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "_BLOCK", 64)
        patch.setattr(csv_header, "START", 64)
        with pytest.raises(OSError, match="no space left"):
            work.ingest(job(), [checking.Unit(str(path), 0)], f"{tmp_path}/x", broken)
        with path.open("ab") as stream:
            stream.write(b"1")
        with pytest.raises(DataBlocked, match="column 'id'"):
            run(tmp_path, job(), put(tmp_path, "x,t\n1,2\n"))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("millrace")]


def test_a_type_that_no_value_of_the_schema_fits(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1], "x": pa.array([{"a": 1}])}), path)
    with pytest.raises(DataBlocked, match=r"column 'x': expected FLOAT, as the schema says\. Received: struct"):
        run(tmp_path, job(Parquet("unused.parquet")), path)
