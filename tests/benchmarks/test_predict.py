"""What the benchmark of batch prediction hands to both sides."""

from pathlib import Path

import pytest

from benchmarks import predict
from benchmarks.rows import BUNDLED_ROWS


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return predict._inputs(BUNDLED_ROWS, tmp_path_factory.mktemp("rows"), 0)


def test_every_format_has_the_same_rows(inputs: dict[str, Path]) -> None:
    from pyarrow import csv, parquet

    from benchmarks.examples import rows_of

    text = csv.read_csv(inputs["csv"])
    assert parquet.read_table(inputs["parquet"]).equals(text)
    found = [{name: values for name, *_, values in row} for row in rows_of(inputs["tfrecord"].parent.parent)]
    assert len(found) == text.num_rows == BUNDLED_ROWS
    assert sum(row["trip_start_hour"][0] for row in found) == sum(text["trip_start_hour"].to_pylist())


def test_sides_read_what_is_theirs(inputs: dict[str, Path], tmp_path: Path) -> None:
    sides = predict._sides(inputs, Path("model"), tmp_path, stock=True)
    read = {name: command[command.index("--data") + 1] for name, command in sides.items() if "--data" in command}
    assert read == {
        "CSV to Parquet": str(inputs["csv"]),
        "CSV to CSV": str(inputs["csv"]),
        "Parquet to Parquet": str(inputs["parquet"]),
        "TFRecord to Parquet": str(inputs["tfrecord"]),
    }
    stock = sides["TFX's BulkInferrer"]
    assert stock[stock.index("--examples") + 1] == str(inputs["tfrecord"].parent.parent)
