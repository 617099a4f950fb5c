"""Resampled rows: repeatable, in range, with the types and the gaps of the bundled ones."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv, parquet

from benchmarks import rows
from benchmarks.rows import BUNDLED_ROWS, resample, taxi_folder, taxi_parquet, taxi_table

TRIPS = pa.table(
    {
        "fare": [10.0, 20.0, 0.0, None],
        "tips": [3.0, 2.0, 0.0, 0.0],
        "trip_seconds": pa.array([600, None, 0, 60], pa.int64()),
        "trip_start_timestamp": pa.array([900, 1800, 2700, 3600], pa.int64()),
        "pickup_latitude": [41.9, None, 41.7, 41.8],
        "payment_type": ["Cash", "Credit Card", "Cash", ""],
    }
)


def test_same_seed_same_rows() -> None:
    assert resample(TRIPS, 50, seed=7).equals(resample(TRIPS, 50, seed=7))
    assert not resample(TRIPS, 50, seed=7).equals(resample(TRIPS, 50, seed=8))


def test_schema_range_and_gaps_are_kept() -> None:
    drawn = resample(TRIPS, 500, seed=0)
    assert drawn.num_rows == 500
    assert drawn.schema == TRIPS.schema
    for name in ("fare", "tips", "trip_seconds", "trip_start_timestamp", "pickup_latitude"):
        low, high = pc.min_max(TRIPS[name]).values()
        drawn_low, drawn_high = pc.min_max(drawn[name]).values()
        assert low.as_py() <= drawn_low.as_py() <= drawn_high.as_py() <= high.as_py()
    # The row without a fare is the only one of payment type "", the one without a latitude the only credit card.
    rows = drawn.to_pylist()
    assert {row["payment_type"] for row in rows if row["fare"] is None} == {""}
    assert {row["payment_type"] for row in rows if row["pickup_latitude"] is None} == {"Credit Card"}


def test_tip_keeps_its_share_of_the_fare() -> None:
    # The highest fare can only be clipped, so look at the trip of 10 dollars.
    drawn = [row for row in resample(TRIPS, 500, seed=0).to_pylist() if row["trip_start_timestamp"] < 1800]
    tipped = [row for row in drawn if row["tips"] < 3.0]
    assert len(tipped) > 20
    assert all(abs(row["tips"] / row["fare"] - 0.3) < 0.002 for row in tipped)
    assert len({row["fare"] for row in tipped}) > 10


def test_bundled_rows_come_first() -> None:
    table = taxi_table(BUNDLED_ROWS + 100, seed=0)
    assert table.num_rows == BUNDLED_ROWS + 100
    assert table.slice(0, BUNDLED_ROWS).equals(taxi_table(BUNDLED_ROWS, seed=3))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected at least 15002\. Received: rows=10"):
        taxi_table(10, seed=0)


def test_bundled_number_is_the_wheels_own_file(tmp_path: Path) -> None:
    folder = taxi_folder(BUNDLED_ROWS, tmp_path / "rows", seed=0)
    assert folder.parts[-3:] == ("chicago_taxi_pipeline", "data", "simple")
    assert not (tmp_path / "rows").exists()


def test_csv_reads_back_as_written(tmp_path: Path) -> None:
    folder = taxi_folder(BUNDLED_ROWS + 500, tmp_path / "rows", seed=1)
    assert folder == tmp_path / "rows"
    read = csv.read_csv(folder / "data.csv")
    written = taxi_table(BUNDLED_ROWS + 500, seed=1)
    assert (folder / "data.csv").read_text().partition("\n")[0] == ",".join(written.column_names)
    assert read.schema == written.schema
    assert read["trip_seconds"].null_count == written["trip_seconds"].null_count
    assert read.drop_columns(["company"]).equals(written.drop_columns(["company"]))


def test_more_rows_begin_with_the_same_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_PIECE", 400)
    some, more = taxi_table(BUNDLED_ROWS + 400, seed=2), taxi_table(BUNDLED_ROWS + 1000, seed=2)
    assert more.num_rows == BUNDLED_ROWS + 1000
    assert more.slice(0, some.num_rows).equals(some)
    assert not more.slice(some.num_rows, 400).equals(some.slice(BUNDLED_ROWS, 400))


def test_parquet_holds_the_rows_of_the_csv_file(tmp_path: Path) -> None:
    folder = taxi_folder(BUNDLED_ROWS + 500, tmp_path / "rows", seed=1)
    read = parquet.read_table(taxi_parquet(folder / "data.csv", tmp_path / "parquet"))
    assert read.equals(csv.read_csv(folder / "data.csv"))
