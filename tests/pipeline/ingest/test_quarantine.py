"""The quarantine's files, and how values are shown in it."""

import csv
import datetime
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.ingest import quarantine
from pipeline.ingest.quarantine import SCHEMA, Writer, as_json, cut, merge, plain, plain_list


def entry(line: int, **more: Any) -> dict[str, Any]:
    made = {"file": "f", "line": line, "column": None, "value": None, "rule": "parse", "message": "m", "others": 0}
    return {**made, "row": 'é,"\n', **more}


def part(path: Path, *batches: list[dict[str, Any]]) -> str:
    with path.open("wb") as stream:
        writer = Writer(stream)
        for batch in batches:
            writer.write(batch)
        writer.close()
    return str(path)


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    parts = [
        part(tmp_path / "1", [entry(1), entry(2, column="a", value="x", rule="type")], [], [entry(3)]),
        part(tmp_path / "2"),
        part(tmp_path / "3", [entry(4)]),
    ]
    parquet, text = io.BytesIO(), io.BytesIO()
    merge(parts, parquet, text)
    table = pq.read_table(pa.BufferReader(parquet.getvalue()))
    assert table.schema.equals(SCHEMA)
    assert table.column("line").to_pylist() == [1, 2, 3, 4]
    readable = list(csv.DictReader(io.StringIO(text.getvalue().decode(), newline="")))
    assert [row["line"] for row in readable] == ["1", "2", "3", "4"]
    assert readable[0]["row"] == 'é,"\n'
    assert (readable[1]["column"], readable[0]["column"]) == ("a", "")


def test_the_csv_has_the_first_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "_CSV_ROWS", 3)
    parts = [part(tmp_path / str(n), [entry(2 * n), entry(2 * n + 1)]) for n in range(3)]
    parquet, text = io.BytesIO(), io.BytesIO()
    merge(parts, parquet, text)
    assert pq.read_table(pa.BufferReader(parquet.getvalue())).num_rows == 6
    assert [row["line"] for row in csv.DictReader(io.StringIO(text.getvalue().decode(), newline=""))] == ["0", "1", "2"]


def test_no_rows() -> None:
    parquet, text = io.BytesIO(), io.BytesIO()
    merge([], parquet, text)
    assert pq.read_table(pa.BufferReader(parquet.getvalue())).schema.equals(SCHEMA)
    assert text.getvalue().decode().strip().replace('"', "") == ",".join(SCHEMA.names)


@pytest.mark.parametrize(
    ("value", "want"),
    [(None, None), (b"caf\xe9", "caf�"), ("é", "é"), (1.5, "1.5"), ([1, 2], "[1, 2]"), ("x" * 1000, "x" * 1000)],
)
def test_values_as_text(value: object, want: str | None) -> None:
    assert cut(value) == want


def test_bytes_that_are_no_text_are_not_dumped() -> None:
    image = b"\x89PNG\r\n\x1a\n" + bytes(5000)
    assert cut(image) == "5,008 bytes: 89 50 4e 47 0d 0a 1a 0a 00 00 00 00 00 00 00 00 …"
    assert len(as_json({"photo": image, "id": 7})) < 120


def test_long_values_are_cut() -> None:
    assert cut("x" * 1001) == "x" * 1000 + " …"


def test_a_row_is_json_that_anyone_reads() -> None:
    row = {
        "nan": float("nan"),
        "inf": float("-inf"),
        "n": 1,
        "f": 1.5,
        "t": True,
        "none": None,
        "b": b"\xff",
        "d": datetime.date(2024, 1, 2),
        "l": [1, {"a": 2}],
    }

    def refuse(name: str) -> None:
        raise AssertionError(name)

    assert json.loads(as_json(row), parse_constant=refuse) == {
        "nan": "nan",
        "inf": "-inf",
        "n": 1,
        "f": 1.5,
        "t": True,
        "none": None,
        "b": "�",
        "d": "2024-01-02",
        "l": "[1, {'a': 2}]",
    }


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (pa.scalar(1), 1),
        (pa.scalar(10**18, pa.timestamp("us")), "1000000000000000000"),
        (pa.scalar(10**17, pa.timestamp("s")), "100000000000000000"),
        (pa.scalar(None, pa.timestamp("s")), None),
        (pa.scalar([10**17], pa.list_(pa.timestamp("s"))), "a value of type list<item: timestamp[s]>"),
    ],
)
def test_values_that_python_has_no_type_for(value: pa.Scalar, want: object) -> None:
    assert plain(value) == want
    column = pa.array([None, value, value], value.type)
    assert plain_list(column, np.array([2, 0])) == [want, None]
