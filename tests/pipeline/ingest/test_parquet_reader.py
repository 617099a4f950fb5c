"""Parquet: values and types as they are, record numbers, and a clear stop for every file that is none."""

import io
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest

from pipeline.errors import DataBlocked
from pipeline.ingest import parquet_reader
from pipeline.ingest.batch import RawBatch

TABLE = pa.table({"fare": pa.array([1.5, None, 3.0]), "hour": pa.array([7, 8, None], pa.int32())})


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def batches(data: bytes) -> list[RawBatch]:
    return list(parquet_reader.read(io.BytesIO(data), "trips.parquet", None, {}))


def blocked(data: bytes) -> str:
    with pytest.raises(DataBlocked) as caught:
        batches(data)
    return str(caught.value)


def test_values_types_and_record_numbers() -> None:
    (batch,) = batches(written(TABLE))
    assert batch.columns.equals(TABLE.to_batches()[0])
    assert batch.lines.tolist() == [1, 2, 3]
    assert batch.lines.dtype == np.int64
    assert batch.malformed == ()


def test_types_that_no_feature_can_have_are_passed_on() -> None:
    table = pa.table({"price": [Decimal("1.25")], "where": [{"lat": 1.0}], "tags": [["a", "b"]]})
    (batch,) = batches(written(table))
    assert batch.columns.schema.types == table.schema.types
    assert batch.columns.to_pylist() == table.to_pylist()


def test_many_row_groups() -> None:
    table = pa.table({"n": np.arange(100_000)})
    made = batches(written(table, row_group_size=30_000))
    assert all(0 < len(batch.lines) <= parquet_reader.ROWS for batch in made)
    assert np.concatenate([batch.lines for batch in made]).tolist() == list(range(1, 100_001))
    assert np.concatenate([batch.columns["n"] for batch in made]).tolist() == list(range(100_000))


def test_wide_rows_come_in_smaller_batches() -> None:
    table = pa.table({"text": [f"{i:x<40000}" for i in range(1000)]})
    made = batches(written(table, use_dictionary=False, compression="none"))
    assert max(batch.columns.nbytes for batch in made) < 1.2 * parquet_reader.BYTES
    assert sum(len(batch.lines) for batch in made) == 1000


def test_a_file_without_rows_says_its_columns() -> None:
    (batch,) = batches(written(TABLE.slice(0, 0)))
    assert batch.columns.schema.equals(TABLE.schema)
    assert len(batch.lines) == batch.columns.num_rows == 0


def encrypted() -> bytes:
    class Kms(encryption.KmsClient):
        def wrap_key(self, key: bytes, name: str) -> bytes:
            return key

        def unwrap_key(self, key: bytes, name: str) -> bytes:
            return key

    factory = encryption.CryptoFactory(lambda _: Kms())
    config = encryption.EncryptionConfiguration(footer_key="k", column_keys={"k": ["fare"]})
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
    return written(TABLE, encryption_properties=properties)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "trips.parquet: the file is empty. Expected Parquet."),
        (b"PAR1", "the file is truncated at byte 4: its footer is missing"),
        (
            b"fare,hour\n1,2\n",
            "not a Parquet file. Expected PAR1 at its start. Received b'fare'. Next: check the source",
        ),
        (b"\x1f\x8b\x08\x00" + b"\0" * 50, "not a Parquet file"),
        (written(TABLE)[:-100], "the file is truncated at byte"),
        (written(TABLE)[:-60] + b"\xff" * 40 + written(TABLE)[-20:], "the footer is damaged"),
        (encrypted(), "the file is encrypted. Expected plain Parquet. Next: write it without encryption"),
        (written(pa.table({})), "the file has no columns"),
        (
            written(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])),
            "trips.parquet: the columns a are there more than once. Next: rename them",
        ),
    ],
    ids=["empty", "start only", "csv", "gzip", "truncated", "footer", "encrypted", "no columns", "columns of one name"],
)
def test_a_file_that_cannot_be_used(data: bytes, message: str) -> None:
    assert message in blocked(data)


def test_a_damaged_page_stops_after_the_records_before_it() -> None:
    table = pa.table({"n": np.random.default_rng(1).integers(0, 2**60, 90_000)})
    data = written(table, row_group_size=40_000, use_dictionary=False, write_page_checksum=True, compression="none")
    middle = len(data) // 2
    damaged = data[:middle] + bytes(255 - byte for byte in data[middle : middle + 8]) + data[middle + 8 :]
    seen = []
    with pytest.raises(DataBlocked, match=r"the file is damaged after record [\d,]+ of 90,000: .*Next: write it again"):
        for batch in parquet_reader.read(io.BytesIO(damaged), "trips.parquet", None, {}):
            seen += batch.columns["n"].to_pylist()
    assert seen == table["n"].to_pylist()[: len(seen)]
    assert 0 < len(seen) < 90_000
