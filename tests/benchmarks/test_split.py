"""Each line of the bundled trips lands in one split, as it is; and as many as a run has."""

from pathlib import Path

from benchmarks.split import split_lines
from pipeline.sources import bundled_taxi_trips
from pipeline.tasks import load


def test_every_line_is_in_one_split(tmp_path: Path) -> None:
    file = Path(bundled_taxi_trips()) / "data.csv"
    assert split_lines(load("taxi_tips"), file, tmp_path) == {"train": 10_022, "eval": 4_980}
    header, *lines = file.read_bytes().splitlines()
    written = {split: (tmp_path / split / "data.csv").read_bytes().splitlines() for split in ("train", "eval")}
    assert {found[0] for found in written.values()} == {header}
    assert sorted(written["train"][1:] + written["eval"][1:]) == sorted(lines)
