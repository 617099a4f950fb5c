"""Taxi rows in any number, for measuring at scale: the bundled ones first, then resampled ones with jitter.

    taxi_folder(15_002, folder, seed=0)      the 15,002 rows of the tfx wheel, as they are
    taxi_folder(1_500_200, folder, seed=0)   a hundred times as many, the same ones for the same seed
    taxi_parquet(file, folder)               the same rows as Parquet

Files are written in pieces of 500,000 rows, so that memory does not grow with their number. A resampled row keeps its missing values and categories. Fare and tips grow by one factor, so the tip's share of the
fare, and with it the label, stays about as it is. Near-copies of one row land on both sides of a split: use these rows
for time and memory, not for quality.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from pipeline.sources import bundled_taxi_trips

BUNDLED_ROWS = 15_002
_PIECE = 500_000  # rows resampled at once
_SPREAD = 0.05  # standard deviation of the factor on amounts
_DEGREES = 0.002  # standard deviation on coordinates, about 200 m
_QUARTER = 900  # seconds; the bundled timestamps are rounded down to it

_FACTORS = {"fare": "money", "tips": "money", "trip_miles": "distance", "trip_seconds": "duration"}
_COORDINATES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")


def resample(table: pa.Table, rows: int, seed: int | Sequence[int]) -> pa.Table:
    """Draws rows with replacement and jitters their numbers.

    Args:
        table: taxi rows; columns that it lacks are left out.
        rows: how many to draw.
        seed: the same seed draws the same rows.

    Returns:
        A table of the same schema. Every number stays within its column's range; a missing value stays missing.
    """
    random = np.random.default_rng(seed)
    drawn = table.take(pa.array(random.integers(0, table.num_rows, rows)))
    factors = {name: random.lognormal(0.0, _SPREAD, rows) for name in ("money", "distance", "duration")}
    for name, factor in _FACTORS.items():
        if name in table.column_names:
            decimals = 0 if pa.types.is_integer(table.schema.field(name).type) else 2
            drawn = _replaced(drawn, table, name, np.round(_numbers(drawn[name]) * factors[factor], decimals))
    for name in _COORDINATES:
        if name in table.column_names:
            drawn = _replaced(drawn, table, name, _numbers(drawn[name]) + random.normal(0.0, _DEGREES, rows))
    if "trip_start_timestamp" in table.column_names:
        name = "trip_start_timestamp"
        drawn = _replaced(drawn, table, name, _numbers(drawn[name]) + random.integers(0, _QUARTER, rows))
    return drawn


def taxi_pieces(rows: int, seed: int) -> Iterator[pa.Table]:
    """The bundled rows, then resampled ones, 500,000 at a time.

    Args:
        rows: at least `BUNDLED_ROWS`, so that every rare category is there however many rows are asked for.
        seed: of the resampled ones.

    Raises:
        ValueError: fewer rows than the bundled ones.
    """
    if rows < BUNDLED_ROWS:
        raise ValueError(f"too few rows to measure. Expected at least {BUNDLED_ROWS}. Received: rows={rows}")
    bundled = csv.read_csv(Path(bundled_taxi_trips()) / "data.csv")
    yield bundled
    for number, start in enumerate(range(bundled.num_rows, rows, _PIECE)):
        yield resample(bundled, min(_PIECE, rows - start), (seed, number))


def taxi_table(rows: int, seed: int) -> pa.Table:
    """The rows of `taxi_pieces` as one table."""
    return pa.concat_tables(taxi_pieces(rows, seed))


def taxi_folder(rows: int, folder: Path, seed: int) -> Path:
    """A folder with one CSV file of that many rows.

    Args:
        rows: `BUNDLED_ROWS` or more.
        folder: where to write, when there is something to write.
        seed: of the resampled rows.

    Returns:
        The wheel's own folder for `BUNDLED_ROWS` rows, otherwise `folder`.
    """
    if rows == BUNDLED_ROWS:
        return Path(bundled_taxi_trips())
    pieces = taxi_pieces(rows, seed)
    first = next(pieces)
    folder.mkdir(parents=True, exist_ok=True)
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    with (folder / "data.csv").open("wb") as stream:
        # pyarrow would put the names in quotation marks, which CsvExampleGen takes for a part of them.
        stream.write(f"{','.join(first.column_names)}\n".encode())
        with csv.CSVWriter(stream, first.schema, write_options=options) as file:
            file.write_table(first)
            for piece in pieces:
                file.write_table(piece)
    return folder


def taxi_parquet(source: Path, folder: Path) -> Path:
    """A Parquet file of the rows of a CSV file, with the types that the bundled rows have.

    Args:
        source: of `taxi_folder`.
        folder: where to write `data.parquet`.

    Returns:
        The Parquet file.
    """
    bundled = csv.read_csv(Path(bundled_taxi_trips()) / "data.csv").schema
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "data.parquet"
    with (
        csv.open_csv(source, convert_options=csv.ConvertOptions(column_types=bundled)) as rows,
        parquet.ParquetWriter(target, bundled) as file,
    ):
        for batch in rows:
            file.write_batch(batch)
    return target


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """The column as float64 with NaN for what is missing."""
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _replaced(drawn: pa.Table, table: pa.Table, name: str, numbers: np.ndarray) -> pa.Table:
    """`drawn` with new numbers in a column, kept in the range and type that the column has in `table`."""
    original = _numbers(table[name])
    if np.isnan(original).all():
        return drawn
    field = table.schema.field(name)
    clipped = np.clip(numbers, np.nanmin(original), np.nanmax(original))
    return drawn.set_column(
        drawn.column_names.index(name), field, pa.array(clipped, mask=np.isnan(numbers)).cast(field.type)
    )
