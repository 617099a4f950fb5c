"""A search, and the runs after it; a training that begins with an earlier model."""

from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_support import PROJECT, copy_project, run

RATE = "training.optimizer.learning_rate"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The product, with a search in the taxi task."""
    made = copy_project(tmp_path)
    text = (PROJECT / "pipeline" / "tasks" / "taxi_tips.py").read_text().rstrip()
    assert text.endswith(")")
    text = text.replace(
        "from pipeline.task import Task\n", "from pipeline.task import Task\nfrom pipeline import tuning\n"
    )
    search = f'{{"{RATE}": tuning.LogUniform(1e-4, 1e-1), "model.hidden_units": tuning.Choice((16,), (32, 16))}}'
    text = text[:-1] + f"    tuning=tuning.Tuning(search={search}, trials=3, steps=20),\n)\n"
    (made / "pipeline" / "tasks" / "taxi_tips.py").write_text(text)
    return made


def test_a_search_is_shown_and_used_by_later_runs_until_told_otherwise(
    project: Path, tmp_path: Path, taxi_rows: list[list[str]], write_csv: Callable[[list[list[str]]], str]
) -> None:
    flags = ("--root", str(tmp_path / "runs"), "--data", write_csv(taxi_rows), "--to", "Trainer")
    flags = (*flags, "--set", "training.steps=40")
    first = run(*flags, "--tune", project=project)
    assert first.code == 0, first.text
    tuning = first.record["tuning"]
    assert len(tuning["trials"]) == 3 and all(trial["state"] == "done" for trial in tuning["trials"])
    assert tuning["value"] == min(trial["value"] for trial in tuning["trials"])
    assert first.record["tuned"] == {
        "run": first.record["run_id"], "values": tuning["best"], "overridden": [], "dropped": [],
    }  # fmt: skip
    assert "3 trials (random)" in first.text

    later = run(*flags, project=project)
    assert later.record["nodes"]["Trainer"]["cached"] and later.record["tuning"] is None
    assert later.record["tuned"] == first.record["tuned"]
    assert f"tuned: values of run {first.record['run_id']}: " in later.text

    start = first.record["run_id"]
    given = run(*flags, "--set", f"{RATE}=0.02", "--warm-start", start, project=project)
    assert given.record["tuned"]["overridden"] == [RATE]
    assert list(given.record["tuned"]["values"]) == ["model.hidden_units"]
    assert given.record["warm_start"]["from"] == start and given.record["warm_start"]["fresh"] == 0

    without = run(*flags, "--no-tuned", "--warm-start", "latest", project=project)
    assert without.record["tuned"] is None and not without.record["nodes"]["Trainer"]["cached"]
    assert without.record["warm_start"]["from"] is None
    assert "the latest blessed model is not there yet: trained from scratch" in without.text


def test_what_can_not_be_is_said_before_anything_starts(tmp_path: Path) -> None:
    flags = ("--root", str(tmp_path / "runs"))
    untuned = run(*flags, "--task", "taxi_fare", "--tune")
    assert untuned.code == 2 and "task 'taxi_fare' has no search" in untuned.text
    unknown = run(*flags, "--warm-start", "20200101T000000")
    assert unknown.code == 2 and "no run '20200101T000000' of 'taxi_tips' trained a model" in unknown.text
    assert not (tmp_path / "runs" / "taxi_tips" / "runs").exists()
