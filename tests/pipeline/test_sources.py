"""CSV sources: which files they read, and every fault of a header, found before anything heavy starts."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import DataBlocked, TaskError, UsageError
from pipeline.sources import Csv, HashSplit, bundled_taxi_trips

HEADER = "miles,fare,tips"
REQUIRED = {"miles": "a feature", "tips": "the label"}
Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes lines, or bytes, to a file below the test's folder."""

    def write(name: str, *lines: str, data: bytes | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(("\n".join(lines) + "\n").encode() if data is None else data)
        return path

    return write


def blocked(path: Path) -> str:
    with pytest.raises(DataBlocked) as caught:
        Csv(str(path)).check(REQUIRED)
    assert caught.value.exit_code == 10
    return str(caught.value)


def test_the_bundled_data_is_there_and_has_the_columns() -> None:
    source = Csv(bundled_taxi_trips())
    assert [file.name for file in source.files()] == ["data.csv"]
    source.check(dict.fromkeys(["trip_miles", "fare", "tips", "payment_type"], "a feature"))


def test_at_replaces_the_path() -> None:
    assert Csv("a").at("b") == Csv("b")
    assert Csv("a").at(None) == Csv("a")


def test_files_of_a_file_and_of_a_folder(put: Put, tmp_path: Path) -> None:
    second, first = put("days/2.csv", HEADER, "1,2,3"), put("days/1.csv", HEADER, "1,2,3")
    assert Csv(str(second)).files() == [second]
    assert Csv(str(tmp_path / "days")).files() == [first, second]


@pytest.mark.parametrize("odd", [".hidden.csv", "inner/3.csv"])
def test_what_tfx_would_read_besides_is_refused(put: Put, tmp_path: Path, odd: str) -> None:
    """TFX takes hidden files and folders for data; so a run stops before it starts."""
    put("days/1.csv", HEADER, "1,2,3")
    put(f"days/{odd}", "x")
    with pytest.raises(UsageError, match="expected CSV files only in the folder"):
        Csv(str(tmp_path / "days")).files()


def test_a_path_that_tfx_would_take_for_a_pattern_is_refused(put: Put) -> None:
    with pytest.raises(UsageError, match=r"expected no \*, \? or \[ in the path"):
        Csv(str(put("a[1].csv", HEADER, "1,2,3"))).files()


def test_layout_is_absolute(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put("days/1.csv", HEADER, "1,2,3")
    assert Csv(str(file)).layout() == (str(tmp_path / "days"), "1.csv")
    assert Csv(str(tmp_path / "days")).layout() == (str(tmp_path / "days"), "*")
    monkeypatch.chdir(tmp_path)
    assert Csv("days").layout() == (str(tmp_path / "days"), "*")
    assert Csv("days/1.csv").layout() == (str(tmp_path / "days"), "1.csv")


@pytest.mark.parametrize(
    ("path", "base", "pattern"),
    [
        ("/data/days/{SPAN}/*.csv", "/data/days", "{SPAN}/*.csv"),
        ("/data/day-{SPAN:3}/v{VERSION}/x.csv", "/data", "day-{SPAN:3}/v{VERSION}/x.csv"),
        ("/data/{YYYY}-{MM}-{DD}/*", "/data", "{YYYY}-{MM}-{DD}/*"),
        ("/{SPAN}/x.csv", "/", "{SPAN}/x.csv"),
    ],
)
def test_layout_of_a_pattern_starts_at_the_first_placeholder(path: str, base: str, pattern: str) -> None:
    assert Csv(path).layout() == (base, pattern)


def test_files_of_a_pattern(put: Put, tmp_path: Path) -> None:
    second, first = put("days/2/b.csv", HEADER, "1,2,3"), put("days/1/a.csv", HEADER, "1,2,3")
    put("days/2/b.txt", "x")
    source = Csv(f"{tmp_path}/days/{{SPAN}}/*.csv")
    third = put("days/10/c.csv", HEADER, "1,2,3")
    assert source.files() == [third], "spans are numbers: 10 is after 2"
    assert (source.files(1), source.files(2)) == ([first], [second])
    put("days/1/bad.csv", "nothing")
    source.check(REQUIRED)
    source.check(REQUIRED, 2)
    with pytest.raises(UsageError, match=r"span 7\. Spans found: 1, 2, 10"):
        source.files(7)
    with pytest.raises(UsageError, match=r"--span 2 needs a \{SPAN\} in the path"):
        Csv(str(first)).files(2)


def test_a_pattern_that_nothing_matches(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file matches .*\{SPAN\}"):
        Csv(f"{tmp_path}/days/{{SPAN}}/*.csv").files()


def test_a_missing_path_offers_a_near_one(put: Put, tmp_path: Path) -> None:
    put("trips.csv", HEADER)
    with pytest.raises(UsageError, match=r"trip\.csv does not exist\..* Did you mean 'trips\.csv'\?"):
        Csv(str(tmp_path / "trip.csv")).check(REQUIRED)


def test_a_missing_folder_has_no_near_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        Csv(str(tmp_path / "no" / "such" / "folder")).files()


def test_a_folder_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no file"):
        Csv(str(tmp_path)).files()


def test_an_unreadable_file(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put("trips.csv", HEADER, "1,2,3")
    readable = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file and readable(path, mode))
    with pytest.raises(UsageError, match=r"can't be read by this user\. Next: chmod \+r .*trips\.csv"):
        Csv(str(file)).files()


def test_a_good_file_passes(put: Put) -> None:
    Csv(str(put("plain.csv", HEADER, "1,2,3"))).check(REQUIRED)
    Csv(str(put("windows.csv", data=f"{HEADER}\r\n1,2,3\r\n".encode()))).check(REQUIRED)
    Csv(str(put("quoted.csv", '"miles","fare, in $","tips"', '1,"2\n",3'))).check(
        REQUIRED | {"fare, in $": "a feature"}
    )


def test_a_byte_order_mark_would_be_part_of_the_first_name(put: Put) -> None:
    marked = put("marked.csv", data=b"\xef\xbb\xbf" + f"{HEADER}\n1,2,3\n".encode())
    with pytest.raises(DataBlocked, match=r"starts with a byte order mark\. Next: save it as UTF-8 without BOM"):
        Csv(str(marked)).check(REQUIRED)


def test_an_empty_file(put: Put) -> None:
    assert "the file is empty. Expected a header and rows." in blocked(put("trips.csv", data=b""))


def test_a_header_without_rows(put: Put) -> None:
    assert "only a header, no rows." in blocked(put("trips.csv", HEADER))
    assert "only a header, no rows." in blocked(put("blank.csv", HEADER, "", ""))


def test_a_missing_column_offers_the_nearest(put: Put) -> None:
    text = blocked(put("trips.csv", "mile,fare,tips", "1,2,3"))
    assert "column 'miles', a feature, is missing. Did you mean 'mile'?" in text


def test_a_column_without_a_name(put: Put) -> None:
    assert "column 2 of the header has no name." in blocked(put("trips.csv", "miles,,tips", "1,2,3"))


def test_a_column_named_twice(put: Put) -> None:
    assert "the header names fare, tips more than once." in blocked(
        put("trips.csv", "miles,tips,tips,fare,fare", "1,2,3,4,5")
    )


@pytest.mark.parametrize("where", ["header", "row"])
def test_not_utf8(put: Put, where: str) -> None:
    data = b"miles,tips,caf\xe9\n1,2,3\n" if where == "header" else b"miles,tips\n1,caf\xe9\n"
    text = blocked(put("trips.csv", data=data))
    assert "not UTF-8" in text
    assert "iconv" in text


def test_a_nul_byte_is_not_a_traceback(put: Put) -> None:
    assert "trips.csv" in blocked(put("trips.csv", data=b"mi\x00les,tips\n1,2\n"))


def test_headers_that_differ(put: Put, tmp_path: Path) -> None:
    put("days/1.csv", HEADER, "1,2,3")
    put("days/2.csv", "fare,miles,tips", "1,2,3")
    text = blocked(tmp_path / "days")
    assert f"{tmp_path}/days/2.csv: its header differs from that of {tmp_path}/days/1.csv." in text


def test_headers_that_differ_are_compared_with_the_first_that_there_is(put: Put, tmp_path: Path) -> None:
    put("days/1.csv", data=b"")
    put("days/2.csv", HEADER, "1,2,3")
    put("days/3.csv", "fare,miles,tips", "1,2,3")
    text = blocked(tmp_path / "days")
    assert f"{tmp_path}/days/3.csv: its header differs from that of {tmp_path}/days/2.csv." in text


def test_all_problems_come_at_once(put: Put, tmp_path: Path) -> None:
    put("days/1.csv", "fare", "2")
    put("days/2.csv", data=b"")
    lines = blocked(tmp_path / "days").splitlines()
    assert [line.rpartition("/")[2].split(".")[0] for line in lines[1:]] == ["1", "1", "2"]


@pytest.mark.parametrize(("train", "evaluation"), [(0, 1), (1, 0), (-2, 1)])
def test_a_split_needs_a_part_of_each(train: int, evaluation: int) -> None:
    with pytest.raises(TaskError, match=f"train={train}, eval={evaluation}"):
        HashSplit(train=train, eval=evaluation)
