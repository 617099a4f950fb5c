"""Settings of the sources: what a path may be, what follows from it, and a round trip through a component's parameters."""

import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import TaskError, UsageError
from pipeline.sources import (
    Avro,
    BigQuery,
    Csv,
    JsonLines,
    Parquet,
    Prepared,
    Source,
    TfRecord,
    bundled_movie_reviews,
    bundled_taxi_trips,
    of_settings,
    settings,
    visible,
)


def test_the_bundled_data_is_there() -> None:
    assert [path.name for path in Path(bundled_taxi_trips()).iterdir()] == ["data.csv"]
    with open(bundled_movie_reviews(), newline="", encoding="utf-8") as stream:
        labels = Counter(review["label"] for review in csv.DictReader(stream))
    assert labels == {"0": 54, "1": 46}


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


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prepared]:
    """A source whose module writes a file, and counts how often it did; the cache is in `tmp_path`."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "prepared_for_a_test.py").write_text(
        "MADE = []\n"
        "def write(folder):\n"
        "    (folder / 'rows.parquet').write_text('rows')\n"
        "    MADE.append(folder)\n"
        "def fail(folder):\n"
        "    (folder / 'half').write_text('ro')\n"
        "    raise OSError(28, 'No space left on device')\n"
    )
    monkeypatch.syspath_prepend(str(code))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield Prepared("prepared_for_a_test:write", name="letters")
    sys.modules.pop("prepared_for_a_test", None)


def test_files_are_made_once_when_first_needed(maker: Prepared, tmp_path: Path) -> None:
    assert "prepared_for_a_test" not in sys.modules, "describing a source makes nothing"
    source = maker.at(None)
    assert isinstance(source, Parquet)
    assert Path(source.path).parent == tmp_path / "cache" / "millrace"
    assert Path(source.path).name.startswith("letters-")
    assert (Path(source.path) / "rows.parquet").read_text() == "rows"
    assert maker.at(None) == source
    assert len(sys.modules["prepared_for_a_test"].MADE) == 1
    assert os.listdir(tmp_path / "cache" / "millrace") == [Path(source.path).name], "nothing unfinished is left"


def test_code_that_changed_makes_other_files(maker: Prepared, tmp_path: Path) -> None:
    before = maker.at(None)
    with (tmp_path / "code" / "prepared_for_a_test.py").open("a") as stream:
        stream.write("# another\n")
    assert maker.at(None) != before


def test_data_of_ones_own_makes_nothing(maker: Prepared, tmp_path: Path) -> None:
    assert maker.at("s3://b/images") == Parquet("s3://b/images")
    assert maker.at("own.csv") == Csv("own.csv")
    assert not (tmp_path / "cache").exists()


def test_what_can_not_be_written_is_told_and_leaves_nothing(maker: Prepared, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"files of letters can't be written to .*No space left.*XDG_CACHE_HOME"):
        Prepared("prepared_for_a_test:fail", name="letters").at(None)
    assert os.listdir(tmp_path / "cache" / "millrace") == []


def test_two_at_a_time_make_one(maker: Prepared, tmp_path: Path) -> None:
    """The one who comes second takes what the first one made."""
    first = Path(maker.at(None).path)
    first.rename(tmp_path / "aside")
    module = sys.modules["prepared_for_a_test"]

    def write(folder: Path) -> None:
        (tmp_path / "aside").rename(first)
        (folder / "rows.parquet").write_text("mine")

    module.write = write  # type: ignore[attr-defined]
    assert (Path(maker.at(None).path) / "rows.parquet").read_text() == "rows"


@pytest.mark.parametrize("path", ["", "module", "module:", "a b:c", "module:function()"])
def test_a_maker_is_a_function_in_a_module(path: str) -> None:
    with pytest.raises(TaskError, match=r"expected package\.module:function"):
        Prepared(path)


def test_a_maker_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="there is no module nowhere_to_be_found"):
        Prepared("nowhere_to_be_found:write").at(None)
