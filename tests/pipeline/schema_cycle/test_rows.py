"""The rows that a schema is inferred from: all spans and splits of the source."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.schema_cycle.rows import Rows, decimal, files_of
from pipeline.sources import BigQuery, Csv, Parquet
from pipeline.splits import FolderSplit, HashSplit


def test_every_span_is_read_and_what_is_no_row_is_counted(tmp_path: Path) -> None:
    for span, text in {1: "a,b\n1,2\n", 2: "a,b\n3\n4,5\n"}.items():
        (tmp_path / str(span)).mkdir()
        (tmp_path / str(span) / "rows.csv").write_text(text)
    rows = Rows(Csv(f"{tmp_path}/{{SPAN}}/rows.csv"), HashSplit())
    assert sum(batch.columns.num_rows for batch in rows) == 2
    assert rows.malformed == 1
    assert rows.first.startswith(f"{tmp_path}/2/rows.csv:2 (expected 2 values. Received: 1")


def test_every_folder_of_a_split_is_read(tmp_path: Path) -> None:
    for split in ("train", "eval", "other"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "rows.csv").write_text("a\n1\n")
    assert files_of(Csv(str(tmp_path)), FolderSplit()) == [f"{tmp_path}/{name}/rows.csv" for name in ("eval", "train")]


def test_a_query_has_no_files() -> None:
    with pytest.raises(UsageError, match=r"the task's source is a query. Next: add --data with an extract"):
        files_of(BigQuery("SELECT 1"), HashSplit())


def test_the_decimal_point() -> None:
    assert (decimal(Csv("a.csv", decimal=",")), decimal(Parquet("a.parquet"))) == (",", ".")
