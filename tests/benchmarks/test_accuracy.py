"""The comparison of the tasks on images and text: its splits, its baseline, and when it says that a figure is reached."""

import csv
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from benchmarks.accuracy import REQUIRED, baseline, baselines, reached, respaced
from benchmarks.sides import Run
from pipeline import tasks
from pipeline.ingest import hashing
from pipeline.ingest.partition import Partition
from pipeline.sources import bundled_movie_reviews


def run(accuracy: float) -> Run:
    return Run("ours", 1.0, None, 1.0, 1.0, 0.0, 1.0, 1.0, {}, {"accuracy": accuracy})


def test_blanks_make_another_split_of_the_same_words(tmp_path: Path) -> None:
    sides = []
    for blanks in (0, 1):
        file = tmp_path / str(blanks) / "reviews.csv"
        respaced(Path(bundled_movie_reviews()), file, blanks)
        with file.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == 100
        assert all(row["text"].endswith(" " * blanks) for row in rows)
        columns = {
            "label": pa.array([int(row["label"]) for row in rows]),
            "text": pa.array([row["text"].encode() for row in rows], pa.binary()),
        }
        sides.append(Partition(tasks.load("movie_reviews").split).of(columns, hashing.rows(columns), None))
    assert (sides[0] != sides[1]).sum() > 20
    words = [Path(tmp_path / str(n) / "reviews.csv").read_text().split() for n in (0, 1)]
    assert " ".join(words[0]).replace('"', "").split() == " ".join(words[1]).replace('"', "").split()


def test_the_baseline_learns_from_one_split_and_is_measured_on_the_other() -> None:
    train = pd.DataFrame({"text": ["good fun", "bad bore"] * 5, "label": [1, 0] * 5})
    held_out = pd.DataFrame({"text": ["good", "bad", "fun", "good bore fun"], "label": [1, 0, 0, 1]})
    assert list(baselines()) == ["TF-IDF + LR", "the same, tuned"]
    assert baseline(baselines()["TF-IDF + LR"], train, held_out) == {
        "accuracy": 0.75,
        "auc": 0.625,
    }


@pytest.mark.parametrize(
    ("accuracies", "ours", "want"),
    [
        ([0.98, 0.98], {}, True),
        ([0.99, 0.969], {}, False),
        ([0.99], {"accuracy": 0.7, "auc": 0.7}, True),
        ([0.99], {"accuracy": 0.7, "auc": 0.6}, False),
        ([0.99], {"accuracy": 0.6, "auc": 0.7}, False),
    ],
)
def test_when_a_figure_is_reached(accuracies: list[float], ours: dict[str, float], want: bool) -> None:
    reviews: dict[str, Any] = {"ours": [ours], "TF-IDF + LR": [{"accuracy": 0.6, "auc": 0.6}]} if ours else {}
    assert reached({"digits": [run(accuracy) for accuracy in accuracies]}, reviews) is want


def test_each_figure_is_of_a_task_with_a_test_split_and_above_its_gate() -> None:
    for name, figure in REQUIRED.items():
        task = tasks.load(name)
        assert "test" in task.split.names
        assert any(gate.metric == "accuracy" and (gate.at_least or 1) < figure for gate in task.evaluation.gates)
