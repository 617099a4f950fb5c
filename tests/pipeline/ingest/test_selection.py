"""Which files a run reads, by spans, dates, versions and windows; and the look at their first rows."""

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataBlocked, UsageError
from pipeline.ingest import read, selection
from pipeline.sources import BigQuery, Csv, Parquet, bundled_taxi_trips
from pipeline.splits import FolderSplit, HashSplit, SpanSplit

HASH = HashSplit()
NEEDED = {"miles": "a feature", "tips": "the label"}
HEADER = "miles,fare,tips"
Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes lines, or bytes, to a file below the test's folder."""

    def write(name: str, *lines: str, data: bytes | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(("\n".join(lines or (HEADER, "1,2,3")) + "\n").encode() if data is None else data)
        return path

    return write


def names(found: dict[int, list[str]], folder: Path) -> dict[int, list[str]]:
    return {span: [str(Path(path).relative_to(folder)) for path in paths] for span, paths in found.items()}


def blocked(path: Path) -> str:
    with pytest.raises(DataBlocked) as caught:
        selection.check(Csv(str(path)), HASH, NEEDED)
    assert caught.value.exit_code == 10
    return str(caught.value)


def test_the_bundled_data_passes() -> None:
    needed = dict.fromkeys(["trip_miles", "fare", "tips", "payment_type"], "a feature")
    selection.check(Csv(bundled_taxi_trips()), HASH, needed)


def test_files_of_a_file_and_of_a_folder(put: Put, tmp_path: Path) -> None:
    second, first = put("days/2.csv"), put("days/1.csv")
    put("days/_SUCCESS")
    put("days/.hidden")
    assert selection.selected(Csv(str(second)), HASH) == {0: [str(second)]}
    assert selection.selected(Csv(str(tmp_path / "days")), HASH) == {0: [str(first), str(second)]}
    assert selection.selected(Csv(f"{tmp_path}/days/?.csv"), HASH) == {0: [str(first), str(second)]}
    assert selection.selected(Csv(f"{tmp_path}/*/1.csv"), HASH) == {0: [str(first)]}


SPANS = ["days/1/a.csv", "days/2/a.csv", "days/2/b.csv", "days/10/c.csv", "days/x/d.csv", "days/2/b.txt"]


@pytest.mark.parametrize(
    ("span", "window", "want"),
    [
        (None, 1, {10: ["days/10/c.csv"]}),
        (2, 1, {2: ["days/2/a.csv", "days/2/b.csv"]}),
        (2, 7, {1: ["days/1/a.csv"], 2: ["days/2/a.csv", "days/2/b.csv"]}),
        (None, 9, {2: ["days/2/a.csv", "days/2/b.csv"], 10: ["days/10/c.csv"]}),
        (None, 3, {10: ["days/10/c.csv"]}),
    ],
)
def test_spans_are_numbers(put: Put, tmp_path: Path, span: int | None, window: int, want: Any) -> None:
    for name in SPANS:
        put(name)
    found = selection.selected(Csv(f"{tmp_path}/days/{{SPAN}}/*.csv"), HASH, span, window)
    assert names(found, tmp_path) == want
    assert list(found) == sorted(found)


def test_a_span_that_is_not_there(put: Put, tmp_path: Path) -> None:
    for name in SPANS:
        put(name)
    with pytest.raises(UsageError, match=r"span 7\. Spans found: 1, 2, 10"):
        selection.selected(Csv(f"{tmp_path}/days/{{SPAN}}/*.csv"), HASH, 7)


def test_spans_of_fixed_width(put: Put, tmp_path: Path) -> None:
    for name in ("d001.csv", "d2.csv", "d010.csv"):
        put(name)
    found = selection.selected(Csv(f"{tmp_path}/d{{SPAN:3}}.csv"), HASH, window=10)
    assert names(found, tmp_path) == {1: ["d001.csv"], 10: ["d010.csv"]}


def test_the_newest_version_of_a_span(put: Put, tmp_path: Path) -> None:
    for name in ("1/v2/a.csv", "1/v10/b.csv", "1/v10/a.csv", "2/v1/a.csv"):
        put(name)
    found = selection.selected(Csv(f"{tmp_path}/{{SPAN}}/v{{VERSION}}/*.csv"), HASH, window=2)
    assert names(found, tmp_path) == {1: ["1/v10/a.csv", "1/v10/b.csv"], 2: ["2/v1/a.csv"]}


def test_dates(put: Put, tmp_path: Path) -> None:
    for day in ("2023-12-31", "2024-01-01", "2024-01-03", "other"):
        put(f"{day}/a.csv")
    source = Csv(f"{tmp_path}/{{YYYY}}-{{MM}}-{{DD}}/*.csv")
    newest = (datetime.date(2024, 1, 3) - datetime.date(1970, 1, 1)).days
    found = selection.selected(source, HASH, window=3)
    assert names(found, tmp_path) == {newest - 2: ["2024-01-01/a.csv"], newest: ["2024-01-03/a.csv"]}
    assert selection.span_number("2024-01-03", source) == newest
    assert selection.span_name(newest, source) == "2024-01-03"
    with pytest.raises(UsageError, match=r"span 2024-01-02\. Spans found: 2023-12-31, 2024-01-01, 2024-01-03"):
        selection.selected(source, HASH, newest - 1)
    put("2024-02-30/a.csv")
    with pytest.raises(UsageError, match="no such date: 2024-02-30"):
        selection.selected(source, HASH)


@pytest.mark.parametrize("text", ["", "x", "-1", "2024-13-01", "1.5"])
def test_a_span_is_a_number_or_a_date(text: str) -> None:
    with pytest.raises(UsageError, match="--span: expected a number, or a date"):
        selection.span_number(text, Csv("{SPAN}.csv"))


def test_spans_need_a_placeholder(put: Put) -> None:
    source = Csv(str(put("a.csv")))
    for more in ({"span": 1}, {"window": 2}):
        with pytest.raises(UsageError, match=r"--span and --window need \{SPAN\} or a date in the path"):
            selection.selected(source, HASH, **more)
    assert selection.span_name(3, source) == "3"


def test_gaps_are_between_spans_that_are_there(put: Put, tmp_path: Path) -> None:
    """A window that reaches back before the first span has no gap there."""
    for number in (3, 6, 7):
        put(f"{number}/a.csv")
    source = Csv(f"{tmp_path}/{{SPAN}}/a.csv")
    base, wanted = selection.patterns(source, HASH)
    found = {window: selection.gaps(source, base, wanted.values(), 7, window) for window in (1, 2, 3, 4, 9)}
    assert found == {1: [], 2: [], 3: [5], 4: [4, 5], 9: [4, 5]}


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("", {"train": "train/*", "eval": "dev/*"}),
        ("/*.csv", {"train": "train/*.csv", "eval": "dev/*.csv"}),
        ("/{SPAN}/*.csv", {"train": "{SPAN}/train/*.csv", "eval": "{SPAN}/dev/*.csv"}),
    ],
)
def test_folders_of_splits(tmp_path: Path, path: str, want: dict[str, str]) -> None:
    source = Csv(f"{tmp_path}{path}")
    assert selection.patterns(source, FolderSplit(eval="dev")) == (str(tmp_path), want)
    (pattern,) = selection.patterns(source, HASH)[1].values()
    assert pattern == path[1:] or pattern == "*"


def test_files_of_the_folders_of_splits(put: Put, tmp_path: Path) -> None:
    for name in ("train/1.csv", "train/2.csv", "eval/1.csv", "else/1.csv"):
        put(name)
    found = selection.selected(Csv(str(tmp_path)), FolderSplit())
    assert names(found, tmp_path) == {0: ["eval/1.csv", "train/1.csv", "train/2.csv"]}
    with pytest.raises(UsageError, match=r"has no folder dev and no folder held\. .*expected train, dev, held in it"):
        selection.selected(Csv(str(tmp_path)), FolderSplit(eval="dev", test="held"))
    (tmp_path / "held").mkdir()
    with pytest.raises(UsageError, match=r"no file matches .*held"):
        selection.selected(Csv(str(tmp_path)), FolderSplit(test="held"))
    put("days/7/train/1.csv")
    with pytest.raises(UsageError, match=r"no file matches .*held"):
        selection.selected(Csv(f"{tmp_path}/days/{{SPAN}}/*.csv"), FolderSplit(eval=None, test="held"))
    found = selection.selected(Csv(str(tmp_path)), FolderSplit(eval=None, test="else"))
    assert names(found, tmp_path) == {0: ["else/1.csv", "train/1.csv", "train/2.csv"]}


def test_folders_and_links_to_nothing_among_the_files_are_told(put: Put, tmp_path: Path) -> None:
    """They would be left out in silence."""
    put("days/1.csv")
    put("days/inner/3.csv")
    with pytest.raises(UsageError, match=r"days/inner: expected files only\. Next: move it elsewhere"):
        selection.selected(Csv(str(tmp_path / "days")), HASH)
    assert selection.selected(Csv(f"{tmp_path}/days/*.csv"), HASH)
    (tmp_path / "days" / "4.csv").symlink_to("gone.csv")
    with pytest.raises(UsageError, match=r"4\.csv: expected files only"):
        selection.selected(Csv(f"{tmp_path}/days/*.csv"), HASH)


def test_hidden_folders_are_passed_over(put: Put, tmp_path: Path) -> None:
    first = put("days/1.csv")
    put("days/_temporary/2.csv")
    put("days/.snapshot/3.csv")
    assert selection.selected(Csv(str(tmp_path / "days")), HASH) == {0: [str(first)]}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("trip.csv", r"trip\.csv does not exist\. Expected a Csv file, a folder of them, or a pattern\..*'trips\.csv'"),
        ("no/such/folder", "does not exist"),
        ("*.tsv", r"no file matches .*\*\.tsv"),
        ("{SPAN}/*.csv", "no file matches"),
        ("no/{SPAN}/*.csv", "does not exist"),
    ],
)
def test_nothing_there(put: Put, tmp_path: Path, path: str, message: str) -> None:
    put("trips.csv")
    with pytest.raises(UsageError, match=message):
        selection.check(Csv(f"{tmp_path}/{path}"), HASH, NEEDED)


def test_a_folder_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file matches"):
        selection.selected(Csv(str(tmp_path)), HASH)


def test_an_unreadable_file(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put("trips.csv")
    readable = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file and readable(path, mode))
    with pytest.raises(UsageError, match=r"can't be read by this user\. Next: chmod \+r .*trips\.csv"):
        selection.selected(Csv(str(file)), HASH)


def test_an_empty_file_and_one_without_rows(put: Put) -> None:
    assert "the file is empty. Expected a header and rows." in blocked(put("trips.csv", data=b""))
    assert "no rows. Expected at least one." in blocked(put("trips.csv", HEADER))
    assert "no rows. Expected at least one." in blocked(put("blank.csv", HEADER, "", ""))


def test_a_missing_column_offers_the_nearest(put: Put) -> None:
    text = blocked(put("trips.csv", "mile,fare,tips", "1,2,3"))
    assert "column 'miles', a feature, is missing. Did you mean 'mile'?" in text


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_delimiter(put: Put, delimiter: str) -> None:
    text = blocked(put("trips.csv", HEADER.replace(",", delimiter), "1,2,3"))
    assert f"as if the delimiter were {delimiter!r}. Next: Csv(…, delimiter={delimiter!r})" in text


def test_all_problems_come_at_once(put: Put, tmp_path: Path) -> None:
    put("days/1.csv", "fare", "2")
    put("days/2.csv", data=b"")
    put("days/3.csv")
    lines = blocked(tmp_path / "days").splitlines()
    assert [Path(line.split(":")[0].removeprefix("  - ")).name for line in lines[1:]] == ["1.csv", "1.csv", "2.csv"]


def test_the_files_of_the_span_are_looked_at(put: Put, tmp_path: Path) -> None:
    put("1/bad.csv", "nothing", "1")
    put("2/good.csv")
    source = Csv(f"{tmp_path}/{{SPAN}}/*.csv")
    selection.check(source, HASH, NEEDED)
    with pytest.raises(DataBlocked, match=r"bad\.csv: column 'miles'"):
        selection.check(source, HASH, NEEDED, window=2)


def test_only_the_first_files_are_looked_at(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        put(f"{number}.csv")
    seen: list[str] = []
    real = read.names
    monkeypatch.setattr(selection, "_LOOKED_AT", 3)
    monkeypatch.setattr(read, "names", lambda path, source: seen.append(Path(path).name) or real(path, source))
    selection.check(Csv(str(tmp_path)), HASH, NEEDED)
    assert seen == ["0.csv", "1.csv", "2.csv"]


@pytest.mark.parametrize(("window", "split"), [(1, SpanSplit()), (2, SpanSplit(2)), (3, SpanSplit(2, 1))])
def test_a_window_that_leaves_no_span_to_train(window: int, split: SpanSplit) -> None:
    with pytest.raises(UsageError, match=f"Expected a window of more. Received: --window {window}"):
        selection.check(Csv("{SPAN}.csv"), split, NEEDED, window=window)


def test_a_query_has_no_files() -> None:
    selection.check(BigQuery("SELECT 1"), HASH, NEEDED)


def test_a_file_of_another_format(put: Put) -> None:
    with pytest.raises(DataBlocked, match="not a Parquet file"):
        selection.check(Parquet(str(put("a.parquet"))), HASH, NEEDED)
