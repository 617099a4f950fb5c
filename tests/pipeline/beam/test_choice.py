"""Small data stays in the node's process, large data goes to the cluster."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pipeline import tasks
from pipeline.beam.choice import choices, text
from pipeline.config import RunConfig
from pipeline.sources import BigQuery


def _choices(folder: Path, **changes: Any) -> dict[str, str]:
    config = RunConfig("taxi_tips", data=str(folder), **({"beam_runner": "flink"} | changes))
    return {node: str(choice) for node, choice in choices(tasks.load("taxi_tips"), config).items()}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Two files of 1,000 bytes."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for name in ("a.csv", "b.csv"):
        (folder / name).write_bytes(b"x" * 1000)
    return folder


def test_by_the_size_of_what_example_gen_reads(rows: Path) -> None:
    nodes = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator")
    assert _choices(rows) == dict.fromkeys(nodes, "local: 2 files, 2 kB < 2 GB")
    below = ("local_below=2000",)
    assert _choices(rows, beam_options=below) == dict.fromkeys(nodes, "flink: 2 files, 2 kB or more")
    assert _choices(rows / "a.csv", beam_options=below)["Transform"] == "local: a.csv, 1 kB < 2 kB"


def test_spans_count_alone_that_are_read(tmp_path: Path) -> None:
    for span, size in ((1, 5000), (2, 10)):
        (tmp_path / f"{span}").mkdir()
        (tmp_path / f"{span}" / "a.csv").write_bytes(b"x" * size)
    data, below = tmp_path / "{SPAN}" / "*.csv", ("local_below=1000",)
    assert _choices(data, beam_options=below)["ExampleGen"] == "local: a.csv, 10 bytes < 1 kB"
    assert _choices(data, beam_options=below, window=2)["ExampleGen"].startswith("flink: 2 files")


def test_what_the_user_says_counts_most(rows: Path) -> None:
    found = _choices(rows, beam_nodes=("all=cluster", "Evaluator=local"))
    assert found["Transform"] == "flink: as asked"
    assert found["Evaluator"] == "local: as asked"


def test_predictions_have_a_size_of_their_own(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.csv").write_bytes(b"x" * 5000)
    found = _choices(rows, predict=str(tmp_path / "asked.csv"), beam_options=("local_below=4000",))
    assert found["BulkInferrer"] == "flink: asked.csv, 4 kB or more"
    assert found["ExampleGen"] == "local: 2 files, 2 kB < 4 kB"


@pytest.mark.parametrize("runner", ["local", "direct"])
def test_without_a_cluster_there_is_nothing_to_choose(rows: Path, runner: str) -> None:
    assert set(_choices(rows, beam_runner=runner, beam_options=("local_below=0",)).values()) == {runner}


def test_a_query_and_a_missing_file_have_no_size(tmp_path: Path) -> None:
    assert _choices(tmp_path / "nothing.csv")["ExampleGen"] == "flink: data of unknown size"
    task = dataclasses.replace(tasks.load("taxi_tips"), source=BigQuery("SELECT 1"))
    found = choices(task, RunConfig("taxi_tips", beam_runner="dataflow"))
    assert str(found["Transform"]) == "dataflow: data of unknown size"


def test_sizes_as_people_say_them() -> None:
    assert [text(size) for size in (0, 999, 1000, 1_923_000, 2 * 10**9, 3 * 10**12)] == [
        *("0 bytes", "999 bytes", "1 kB", "1.92 MB", "2 GB", "3 TB"),
    ]
