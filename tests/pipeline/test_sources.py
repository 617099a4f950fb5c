"""Settings of the sources: what a path may be, what follows from it, and a round trip through a component's parameters."""

import json
from pathlib import Path

import pytest

from pipeline.errors import TaskError
from pipeline.sources import (
    Avro,
    BigQuery,
    Csv,
    JsonLines,
    Parquet,
    Source,
    TfRecord,
    bundled_taxi_trips,
    of_settings,
    settings,
    visible,
)


def test_the_bundled_data_is_there() -> None:
    assert [path.name for path in Path(bundled_taxi_trips()).iterdir()] == ["data.csv"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "expected a path"),
        ("{SPAN}/{SPAN}", "each placeholder once"),
        ("{SPAN}/{SPAN:2}", "each placeholder once"),
        ("{DAY}/x.csv", "expected {SPAN}, {VERSION} or {YYYY}, {MM}, {DD}"),
        ("{span}/x.csv", "expected {SPAN}, {VERSION} or {YYYY}, {MM}, {DD}"),
        ("{YYYY}-{MM}/x.csv", "{YYYY}, {MM} and {DD} together"),
        ("{YYYY}-{MM}-{DD}/{SPAN}", "without {SPAN}"),
        ("v{VERSION}/x.csv", "{VERSION} needs {SPAN} or a date"),
    ],
)
def test_a_path_that_can_not_be(path: str, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        Parquet(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delimiter": ""}, "delimiter: expected one ASCII character"),
        ({"delimiter": "||"}, "delimiter='||'"),
        ({"delimiter": "§"}, "delimiter='§'"),
        ({"quote": "''"}, "quote: expected one ASCII character"),
        ({"escape": ""}, "escape: expected"),
        ({"decimal": "::"}, "decimal: expected"),
        ({"header": ("a", "a")}, "different, non-empty names"),
        ({"header": ("a", "")}, "different, non-empty names"),
    ],
)
def test_a_dialect_that_can_not_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError) as caught:
        Csv("x.csv", **changes)  # type: ignore[arg-type]
    assert message in str(caught.value)


GERMAN = Csv("x.csv", delimiter=";", decimal=",")


@pytest.mark.parametrize(
    ("source", "path", "want"),
    [
        (GERMAN, None, GERMAN),
        (GERMAN, "y.csv", Csv("y.csv", delimiter=";", decimal=",")),
        (GERMAN, "y.csv.gz", Csv("y.csv.gz", delimiter=";", decimal=",")),
        (GERMAN, "folder", Csv("folder", delimiter=";", decimal=",")),
        (GERMAN, "y.tsv", Csv("y.tsv", delimiter="\t")),
        (GERMAN, "y.TSV.gz", Csv("y.TSV.gz", delimiter="\t")),
        (GERMAN, "y.jsonl", JsonLines("y.jsonl")),
        (GERMAN, "y.ndjson.gz", JsonLines("y.ndjson.gz")),
        (GERMAN, "s3://b/{SPAN}/*.parquet", Parquet("s3://b/{SPAN}/*.parquet")),
        (GERMAN, "y.avro", Avro("y.avro")),
        (GERMAN, "y.tfrecord.gz", TfRecord("y.tfrecord.gz")),
        (JsonLines("x.jsonl"), "y.csv", Csv("y.csv")),
        (JsonLines("x.jsonl"), "y.unknown", JsonLines("y.unknown")),
        (BigQuery("SELECT 1"), "y.parquet", Parquet("y.parquet")),
        (BigQuery("SELECT 1"), "folder", Csv("folder")),
        (BigQuery("SELECT 1"), None, BigQuery("SELECT 1")),
    ],
)
def test_another_path(source: Source, path: str | None, want: Source) -> None:
    assert source.at(path) == want


def test_a_folder_says_its_format_by_its_first_file(tmp_path: Path) -> None:
    for name in ("_SUCCESS", "part-0.parquet"):
        (tmp_path / name).touch()
    assert Csv("x.csv").at(str(tmp_path)) == Parquet(str(tmp_path))


@pytest.mark.parametrize(
    ("path", "spans"),
    [("x.csv", None), ("{SPAN}/x", "span"), ("{SPAN:3}/{VERSION}", "span"), ("{YYYY}/{MM}/{DD}", "date")],
)
def test_spans(path: str, spans: str | None) -> None:
    assert Csv(path).spans == spans


@pytest.mark.parametrize(
    ("path", "base", "pattern"),
    [
        ("/data/days/{SPAN}/*.csv", "/data/days", "{SPAN}/*.csv"),
        ("/data/day-{SPAN:3}/v{VERSION}/x.csv", "/data", "day-{SPAN:3}/v{VERSION}/x.csv"),
        ("/data/{YYYY}-{MM}-{DD}/*", "/data", "{YYYY}-{MM}-{DD}/*"),
        ("/{SPAN}/x.csv", "/", "{SPAN}/x.csv"),
        ("/data/part-?.csv", "/data", "part-?.csv"),
        ("s3://bucket/days/{SPAN}/*.csv", "s3://bucket/days", "{SPAN}/*.csv"),
        ("s3://bucket/days/1.csv", "s3://bucket/days", "1.csv"),
        ("gs://bucket/days", "gs://bucket/days", "*"),
        ("gs://bucket/days/", "gs://bucket/days", "*"),
    ],
)
def test_layout_of_a_pattern_starts_at_the_first_placeholder(path: str, base: str, pattern: str) -> None:
    assert Csv(path).layout() == (base, pattern)


def test_layout_of_files_and_folders_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "days").mkdir()
    file = tmp_path / "days" / "1.csv"
    file.touch()
    assert Csv(str(file)).layout() == (str(tmp_path / "days"), "1.csv")
    assert Csv(str(tmp_path / "days")).layout() == (str(tmp_path / "days"), "*")
    monkeypatch.chdir(tmp_path)
    assert Csv("days").layout() == (str(tmp_path / "days"), "*")
    assert Csv("days/1.csv").layout() == (str(tmp_path / "days"), "1.csv")
    assert Csv("days/{SPAN}.csv").layout() == (str(tmp_path / "days"), "{SPAN}.csv")


@pytest.mark.parametrize(
    "source",
    [
        Csv("x.csv", delimiter=";", header=("a", "b"), missing=("NA", "")),
        JsonLines("x"),
        Parquet("x"),
        Avro("x"),
        TfRecord("x"),
        BigQuery("SELECT 1"),
    ],
)
def test_settings_come_back(source: Source) -> None:
    assert of_settings(json.loads(json.dumps(settings(source)))) == source


def test_visible() -> None:
    assert visible(["a/1.csv", "a/_SUCCESS", "a/.1.crc", "_b/2.csv"]) == ["a/1.csv", "_b/2.csv"]


def test_a_query() -> None:
    with pytest.raises(TaskError, match="expected a query"):
        BigQuery("  ")
    assert BigQuery("SELECT {x} FROM t").spans is None
    assert BigQuery("SELECT * FROM t WHERE time > @span_begin_timestamp").spans == "date"
    assert BigQuery("SELECT 1").remote
