"""The next step and its command; where the things of a run are."""

import shlex
from typing import Any

import pytest

from pipeline.config import RunConfig
from pipeline.runners.next_step import next_step, places, run_command


def record(outcome: str, **changes: Any) -> dict[str, Any]:
    return {
        "run_id": "1", "task": "tips", "outcome": outcome, "nodes": {"A": {}}, "rows": None, "pushed": None,
        "config": {"task": "tips", "root": "/srv/my runs", "overrides": ["training.steps=5"]},
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "changes", "command"),
    [
        ("pushed", {}, "millrace serve tips --root '/srv/my runs'"),
        ("failed", {}, "millrace run --task tips --root '/srv/my runs' --resume"),
        ("partial", {}, "millrace run --task tips --root '/srv/my runs' --set training.steps=5"),
        ("data_blocked", {}, "millrace run --task tips --root '/srv/my runs' --set training.steps=5"),
        (
            "not_blessed",
            {"withheld": "withdrawn"},
            "millrace rollback --task tips --root '/srv/my runs' --to VERSION",
        ),
    ],
)
def test_the_next_step_has_a_command(outcome: str, changes: dict[str, Any], command: str) -> None:
    step = next_step(record(outcome, **changes))
    assert step.command == command
    assert command in str(step)
    assert str(step) == str(step).strip()


def test_a_setting_of_another_version_is_passed_over() -> None:
    step = next_step(record("failed", config={"task": "tips", "root": "r", "gone": 1}))
    assert step.command == "millrace run --task tips --root r --resume"


def test_the_command_of_a_run_has_its_flags_and_survives_the_shell() -> None:
    config = RunConfig(
        "tips", root="r", data="my data/*.csv", span=7, window=3, overrides=("a.b=1",), to_nodes=("DataGate",)
    )
    assert shlex.split(run_command(config)) == [
        "millrace", "run", "--task", "tips", "--root", "r", "--data", "my data/*.csv", "--span", "7", "--window", "3",
        "--set", "a.b=1",
    ]  # fmt: skip
    assert run_command(RunConfig("tips", root="r", tune=True, tuned=False)).endswith(" --tune --no-tuned")


def test_places_are_those_that_there_are() -> None:
    full = record(
        "pushed",
        pushed={"version": "17", "path": "/srv/17"},
        rows={"in": 2, "quarantined": 1},
        artifacts={"quarantine": "/q"},
        report="/srv/report/index.html",
    )
    assert places(full) == [
        ("model", "/srv/17 (version 17)"),
        ("bad rows", "/q/rows.csv"),
        ("logs", "/srv/my runs/tips/runs/1/logs"),
        ("report", "/srv/report/index.html"),
    ]
    assert places(record("failed", nodes={})) == []
