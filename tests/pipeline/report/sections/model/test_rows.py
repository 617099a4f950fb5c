"""The candidate asked again: its answers are those that are served, and its columns those of the rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.evaluator import comparison
from pipeline.features.base import INT_MISSING
from pipeline.report.sections.model import influence, rows
from pipeline.task import Task
from serving.session import SessionModel


def test_answers_and_targets_are_the_evaluators(tiny: Task, tiny_data: Any, exported: str) -> None:
    path = f"{exported}/Format-Serving"
    asked = rows.of_files(path, tiny.label, tiny_data.raw_files)
    assert asked is not None
    raw = np.array(tiny_data.raw, object)
    assert asked.answers == pytest.approx(comparison.answers(SessionModel(path), raw, tiny.label), abs=1e-6)
    assert asked.target.ravel().tolist() == tiny_data.columns["tips_label"].ravel().tolist()
    assert (asked.rows, asked.seconds_a_row < 1) == (300, True)
    assert asked.answer(asked.columns) == pytest.approx(asked.answers, abs=1e-6)
    asked.close()


def test_columns_hold_what_the_rows_hold(tiny: Task, tiny_data: Any, tiny_rows: Any, exported: str) -> None:
    asked = rows.of_files(f"{exported}/Format-Serving", tiny.label, tiny_data.raw_files, most=100)
    assert asked is not None
    assert asked.rows == 100
    for name, values in asked.columns.items():
        expected = [row[name] for row in tiny_rows[:100]]
        for value, wanted in zip((rows.told(value) for value in values), expected, strict=True):
            assert value == (None if wanted in (None, "") or wanted != wanted else pytest.approx(wanted))
    asked.close()


def test_no_rows_are_nothing(tiny: Task, exported: str) -> None:
    assert rows.of_files(f"{exported}/Format-Serving", tiny.label, []) is None


def test_what_is_not_there_any_more(tiny: Task, run_of: Callable[..., Any], tmp_path: Path) -> None:
    gone = {("Trainer", "model"): str(tmp_path / "none"), ("ExampleGen", "examples"): str(tmp_path)}
    assert rows.ask(run_of(tiny, gone), tiny.label, "eval") is None


def test_the_first_of_several_values_and_columns_of_nothing() -> None:
    column = pa.array([[1, 2], None, [3], []], pa.list_(pa.int64()))
    assert rows.dense(column, INT_MISSING, np.dtype(np.int64)).tolist() == [1, INT_MISSING, 3, INT_MISSING]
    assert rows.dense(pa.nulls(2), b"", np.dtype(object)).tolist() == [b"", b""]
    assert [rows.told(value) for value in (np.int64(INT_MISSING), np.float32("nan"), b"", b"\xff")] == [
        None,
        None,
        None,
        "\ufffd",
    ]


def test_importance_of_the_features_of_a_model(tiny: Task, tiny_data: Any, exported: str) -> None:
    asked = rows.of_files(f"{exported}/Format-Serving", tiny.label, tiny_data.raw_files)
    assert asked is not None
    found = influence.collect(tiny, asked, budget=20)
    assert (found["metric"], found["rows"], found["repeats"], found["reason"]) == ("auc", 300, 5, None)
    assert {own["name"] for own in found["features"]} == {feature.name for feature in tiny.features}
    assert all(own["low"] <= own["mean"] <= own["high"] for own in found["features"])
    none = influence.collect(tiny, asked, budget=0)
    assert none["features"] == []
    assert "more than 0 seconds" in none["reason"]
    asked.close()
