"""Avro: values and types, record numbers, and a clear stop for every file that is none."""

import datetime
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataBlocked
from pipeline.ingest import avro_reader
from pipeline.ingest.batch import RawBatch

TRIPS = {"fare": ["null", "double"], "company": ["null", "string"], "hour": "long"}
MANY = [{"fare": i / 2, "company": f"c{i % 9}", "hour": i} for i in range(5000)]


def written(fields: dict[str, Any], records: Sequence[dict[str, Any]], **options: Any) -> bytes:
    sink = io.BytesIO()
    schema = {"type": "record", "name": "Row", "fields": [{"name": n, "type": t} for n, t in fields.items()]}
    fastavro.writer(sink, schema, records, **options)
    return sink.getvalue()


def batches(data: bytes) -> list[RawBatch]:
    return list(avro_reader.read(io.BytesIO(data), "trips.avro", None, {}))


def blocked(data: bytes) -> str:
    with pytest.raises(DataBlocked) as caught:
        batches(data)
    return str(caught.value)


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_values_types_and_record_numbers(codec: str) -> None:
    records = [{"fare": 1.5, "company": "Blue", "hour": 7}, {"fare": None, "company": None, "hour": 8}]
    (batch,) = batches(written(TRIPS, records, codec=codec))
    assert batch.columns.to_pylist() == records
    assert batch.columns.schema == pa.schema({"fare": pa.float64(), "company": pa.string(), "hour": pa.int64()})
    assert batch.lines.tolist() == [1, 2]


def test_logical_and_nested_types() -> None:
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    fields = {
        "day": {"type": "int", "logicalType": "date"},
        "at": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
        "price": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        "tags": {"type": "array", "items": "string"},
        "kind": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]},
        "where": {"type": "record", "name": "Where", "fields": [{"name": "lat", "type": "double"}]},
    }
    record = {
        "day": datetime.date(2026, 1, 2),
        "at": when,
        "price": Decimal("1.25"),
        "tags": ["x", "y"],
        "kind": "B",
        "where": {"lat": 1.0},
    }
    (batch,) = batches(written(fields, [record]))
    assert batch.columns.to_pylist() == [record]
    assert {field.name: str(field.type) for field in batch.columns.schema} == {
        "day": "date32[day]",
        "at": "timestamp[us, tz=UTC]",
        "price": "decimal128(9, 2)",
        "tags": "list<item: string>",
        "kind": "string",
        "where": "struct<lat: double>",
    }


def test_a_union_of_several_types_is_text() -> None:
    (batch,) = batches(written({"x": ["null", "long", "string"]}, [{"x": 1}, {"x": "one"}, {"x": None}]))
    assert batch.columns["x"].to_pylist() == ["1", "one", None]


def test_many_blocks() -> None:
    records = [{"n": i} for i in range(70_000)]
    made = batches(written({"n": "long"}, records, sync_interval=1000))
    assert [len(batch.lines) for batch in made[:2]] == [avro_reader.ROWS] * 2
    assert np.concatenate([batch.lines for batch in made]).tolist() == list(range(1, 70_001))
    assert np.concatenate([batch.columns["n"] for batch in made]).tolist() == list(range(70_000))


def test_a_file_without_records_says_its_columns() -> None:
    (batch,) = batches(written(TRIPS, []))
    assert batch.columns.schema == pa.schema({"fare": pa.float64(), "company": pa.string(), "hour": pa.int64()})
    assert len(batch.lines) == 0


def of_longs() -> bytes:
    sink = io.BytesIO()
    fastavro.writer(sink, "long", [1, 2])
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "trips.avro: the file is empty. Expected Avro."),
        (b"fare,hour\n", "not an Avro file. Expected b'Obj\\x01' at its start. Received b'fare'"),
        (written(TRIPS, MANY)[:60], "the header is truncated or damaged"),
        (
            written(TRIPS, MANY).replace(b"\x08null", b"\x08nulk", 1),
            "Unrecognized codec: nulk. Expected the codec null",
        ),
        (of_longs(), "an Avro file of long. Expected records of named fields"),
        (written({}, [{}]), "the records have no fields"),
    ],
    ids=["empty", "csv", "header", "codec", "no records", "no fields"],
)
def test_a_file_that_cannot_be_used(data: bytes, message: str) -> None:
    assert message in blocked(data)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_truncated_file_gives_the_records_before_and_says_how_many(draw: st.DataObject) -> None:
    data = written(TRIPS, MANY, codec="deflate", sync_interval=4000)
    start = len(written(TRIPS, [], codec="deflate"))
    size = draw.draw(st.integers(start + 1, len(data) - 1))
    rows: list[dict[str, Any]] = []
    try:
        for batch in avro_reader.read(io.BytesIO(data[:size]), "trips.avro", None, {}):
            rows += batch.columns.to_pylist()
    except DataBlocked as error:
        assert f"the file is truncated after record {len(rows):,}." in str(error)
    else:
        # Only a cut between two blocks is not seen: one more byte begins a block, and is.
        with pytest.raises(DataBlocked, match="truncated"):
            batches(data[: size + 1])
    assert rows == MANY[: len(rows)]


@settings(max_examples=60, deadline=None)
@given(st.integers(150, 5000), st.integers(1, 255))
def test_a_damaged_byte_never_escapes_as_another_error(position: int, change: int) -> None:
    data = bytearray(written(TRIPS, MANY, codec="deflate", sync_interval=4000))
    data[position % len(data)] ^= change
    try:
        rows = sum(len(batch.lines) for batch in batches(bytes(data)))
    except DataBlocked as error:
        assert str(error).startswith("trips.avro: ")
    else:
        assert rows <= len(MANY)
