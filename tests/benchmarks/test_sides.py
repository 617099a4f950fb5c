"""Running a side: the command line, the contract of run.json, what is refused. A small script stands in for ours."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sides import SideError, Training, run_ours

FAKE = """
import json, sys, time
data = bytearray(80_000_000)
time.sleep(0.6)
print(json.dumps({run} | {{"metrics": {{"auc": 0.9, "arguments": sys.argv[1:]}}}}))
sys.exit({run}["exit_code"])
"""


def fake(folder: Path, **changes: Any) -> Path:
    nodes = {
        "ExampleGen": {"state": "done", "seconds": 1.5, "cached": False},
        "Pusher": {"state": "skipped", "seconds": None, "cached": False},
    }
    run = {"outcome": "pushed", "exit_code": 0, "seconds": 2.5, "nodes": nodes} | changes
    script = folder / "fake_runner.py"
    script.write_text(FAKE.format(run=run))
    return script


def test_reads_the_contract(tmp_path: Path) -> None:
    run = run_ours("taxi_tips", None, tmp_path / "work", Training(), runner=fake(tmp_path))
    assert (run.side, run.run_seconds, run.nodes, run.metrics) == ("ours", 2.5, {"ExampleGen": 1.5}, {"auc": 0.9})
    assert run.process_seconds > 0.6
    assert 70 < run.peak_mb < 400


def test_command_line(tmp_path: Path) -> None:
    run_ours("taxi_tips", Path("rows"), tmp_path / "work", Training(100, 40, 3), runner=fake(tmp_path))
    arguments = json.loads((tmp_path / "work" / "stdout").read_text())["metrics"]["arguments"]
    root = str(tmp_path / "work" / "root")
    settings = ["--set", "training.steps=100", "--set", "training.batch_size=40", "--set", "training.seed=3"]
    settings += ["--set", "training.early_stopping=null"]
    command = ["--task", "taxi_tips", "--root", root, "--json", "--data", "rows", *settings]
    assert arguments == command


def test_flags_of_the_other_sides_leave_out_what_is_not_given() -> None:
    assert Training(100, None, 0).flags() == ["--steps", "100", "--seed", "0"]


def test_a_run_that_stopped_early_is_refused(tmp_path: Path) -> None:
    runner = fake(tmp_path, outcome="data_blocked", exit_code=10)
    with pytest.raises(SideError, match=r"Expected outcome: pushed\. Received: outcome=data_blocked, exit code 10"):
        run_ours("taxi_tips", None, tmp_path / "work", Training(), runner=runner)


def test_a_cached_node_is_refused(tmp_path: Path) -> None:
    runner = fake(tmp_path, nodes={"Transform": {"state": "done", "seconds": 0.1, "cached": True}})
    with pytest.raises(SideError, match="Received: cached=Transform"):
        run_ours("taxi_tips", None, tmp_path / "work", Training(), runner=runner)


def test_a_crash_shows_the_log(tmp_path: Path) -> None:
    runner = tmp_path / "crash.py"
    runner.write_text("raise SystemExit('the disk is full')")
    with pytest.raises(SideError, match=r"exit code 1:\nthe disk is full"):
        run_ours("taxi_tips", None, tmp_path / "work", Training(), runner=runner)
