"""Where answers go: what is refused, and that a name appears whole."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.predict.place import Place


@pytest.mark.parametrize(
    ("out", "folder", "format_"),
    [
        ("a.parquet", False, "parquet"),
        ("a.PQ", False, "parquet"),
        ("a.csv", False, "csv"),
        ("a", True, "csv"),
        ("a.csv/", True, "csv"),
        ("there.parquet", True, "csv"),
    ],
)
def test_the_suffix_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, folder: bool, format_: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.parquet").mkdir()
    place = Place.of(out, "csv")
    assert (place.folder, place.format) == (folder, format_)
    assert place.path == tmp_path / out.rstrip("/")


def test_a_bucket_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a local path"):
        Place.of("s3://bucket/out.csv", "csv")


@pytest.mark.parametrize("out", ["a.csv.gz", "a.jsonl"])
def test_other_formats_are_refused(out: str) -> None:
    with pytest.raises(UsageError, match=r"expected \.parquet, \.csv, or a folder"):
        Place.of(out, "csv")


@pytest.mark.parametrize(
    ("data", "out"),
    [("days", "days/out.csv"), ("days/*.csv", "days/out.csv"), ("days/1.csv", "days/1.csv"), ("days", "days/")],
)
def test_a_place_among_the_data_is_refused(tmp_path: Path, data: str, out: str) -> None:
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "1.csv").write_text("")
    with pytest.raises(UsageError, match="is among the data"):
        Place.of(f"{tmp_path}/{out}", "csv").check(
            f"{tmp_path}/{data}", [str(tmp_path / "days" / "1.csv")], overwrite=True
        )


def test_only_predictions_are_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    place = Place.of(f"{tmp_path}/out", "csv")
    place.check("data.csv", [], overwrite=False)  # an empty folder is as good as none
    (tmp_path / "out" / "part-00000-of-00001.csv").write_text("")
    place.check("data.csv", [], overwrite=True)
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"Received: thesis\.tex"):
        place.check("data.csv", [], overwrite=True)
    file = Place.of(f"{tmp_path}/out/thesis.tex/", "csv")
    with pytest.raises(UsageError, match="expected a folder"):
        file.check("data.csv", [], overwrite=True)


def test_one_at_a_time(tmp_path: Path) -> None:
    place = Place.of(f"{tmp_path}/new/out.csv", "csv")
    with place.partial() as folder:
        (folder / "part").write_text("")
        with pytest.raises(UsageError, match="another prediction is writing"), place.partial():
            pass
        assert (folder / "part").exists()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_can_t_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be written"), Place.of(f"{tmp_path}/file/out.csv", "csv").partial():
        pass
