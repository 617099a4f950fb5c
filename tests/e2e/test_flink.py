"""The taxi task on a real Flink of this machine: what it makes is what a local run makes.

The large set, 1.5 million rows with a TaskManager killed in the middle, takes minutes: `make slow` asks for it.
"""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_support import PROJECT, Run, command, run
from stored import content

from benchmarks.rows import taxi_folder
from pipeline.flink import running, state

FLAGS = ("--beam-runner", "flink", "--beam-node", "all=cluster")
ON_WORKERS = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator")
SLOW = pytest.mark.skipif(not os.environ.get("MILLRACE_SLOW"), reason="takes minutes: make slow")

pytestmark = pytest.mark.usefixtures("flink_cluster")


def _artifacts(record: Any, root: Path) -> dict[str, dict[str, bytes]]:
    """What the nodes that read all rows left, without what tells the run or the time."""
    found = {}
    for node in ON_WORKERS:
        for output in sorted((root / record["task"] / "artifacts" / node).iterdir()):
            if output.name.startswith("."):
                continue
            (execution,) = output.iterdir()
            found |= {
                f"{node}/{output.name}/{path.relative_to(execution)}": content(path)
                for path in execution.rglob("*")
                if path.is_file()
            }
    return found


def _same(there: Run, root: Path, here: Run, own_root: Path) -> None:
    """Two runs made the same rows, statistics, vocabularies and transformed rows, and models of the same worth."""
    assert (there.code, there.record["outcome"]) == (here.code, here.record["outcome"]) == (0, "pushed"), there.text
    assert there.record["rows"] == here.record["rows"]
    on_flink, local = _artifacts(there.record, root), _artifacts(here.record, own_root)
    assert sorted(on_flink) == sorted(local)
    exact = [
        name for name in local
        if name.startswith(("ExampleGen/examples/", "ExampleGen/quarantine/", "StatisticsGen/", "Transform/transformed"))
        or "/assets/" in name
    ]  # fmt: skip
    assert len(exact) >= 12
    assert [name for name in exact if on_flink[name] != local[name]] == []
    assert there.record["metrics"] == pytest.approx(here.record["metrics"], abs=1e-6)
    assert [gate["passed"] for gate in there.record["gates"]] == [gate["passed"] for gate in here.record["gates"]]


def _jobs(pause: float = 0.1) -> list[dict[str, Any]]:
    """What Flink says of its jobs; asked again and again until something is so, it leaves the cores to others."""
    time.sleep(pause)
    cluster = state.read()
    assert cluster
    with urllib.request.urlopen(f"{cluster.rest}/jobs/overview", timeout=10) as answer:
        jobs: list[dict[str, Any]] = json.load(answer)["jobs"]
    return jobs


def _killed_in(node: str, flags: tuple[str, ...]) -> Run:
    """A run whose TaskManager is killed, by SIGKILL, while a job of this node computes."""
    process = subprocess.Popen(
        command(*flags, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT
    )
    killed = False
    while process.poll() is None and not killed:
        for job in _jobs():
            if node.lower() in job["name"].lower() and job["state"] == "RUNNING" and job["tasks"]["running"]:
                os.kill(_task_manager(), signal.SIGKILL)
                killed = True
                break
    out, text = process.communicate(timeout=3000)
    assert killed, text
    return Run(process.returncode, json.loads(out) if out else None, text)


def _task_manager() -> int:
    """The process that computes; the older of the two of this name starts another where it dies."""
    cluster = state.read()
    assert cluster
    _, java = running.found(Path(cluster.folder))["taskmanager"]
    return java


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """The taxi task without a cluster."""
    root = tmp_path_factory.mktemp("local")
    return run("--root", str(root)), root


def test_the_taxi_task_on_flink_is_that_of_a_local_run(here: tuple[Run, Path], tmp_path: Path) -> None:
    there = run("--root", str(tmp_path), *FLAGS)
    _same(there, tmp_path, *here)
    names = {job["name"] for job in _jobs()}
    for node in ON_WORKERS:
        assert any(name.startswith(f"millrace-taxi-tips-{node.lower()}") for name in names), names

    again = run("--root", str(tmp_path))
    assert again.code == 0, again.text
    assert all(again.record["nodes"][node]["cached"] for node in ON_WORKERS), "a local run finds what Flink made"


def test_a_bad_row_in_a_far_shard_is_kept_out_and_too_many_stop_the_run(
    tmp_path: Path, taxi_rows: list[list[str]], write_csv: Callable[[list[list[str]]], str]
) -> None:
    rows = [list(row) for row in taxi_rows]
    place = rows[0].index("payment_type")
    for row in rows[-90:]:
        row[place] = "Bitcoin"
    data = write_csv(rows)
    there = run("--root", str(tmp_path / "flink"), "--data", data, *FLAGS)
    local = run("--root", str(tmp_path / "local"), "--data", data)
    assert (there.code, local.code) == (10, 10), there.text
    assert there.record["rows"] == local.record["rows"]
    assert there.record["rows"]["quarantined"] == 90
    told = [
        found.record["reason"].replace(str(tmp_path / name), "") for found, name in ((there, "flink"), (local, "local"))
    ]
    assert told[0].partition("[bad_rows]")[0] == told[1].partition("[bad_rows]")[0]
    assert "'Bitcoin'" in told[0]


def test_a_task_manager_that_dies_changes_nothing(here: tuple[Run, Path], tmp_path: Path) -> None:
    _same(_killed_in("Transform", ("--root", str(tmp_path), *FLAGS)), tmp_path, *here)


def test_a_run_that_is_stopped_cancels_its_job(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("--root", str(tmp_path), *FLAGS),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=PROJECT,
        # A background shell makes children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    before = {job["jid"] for job in _jobs()}
    started: list[str] = []
    while process.poll() is None and not started:
        started = [job["jid"] for job in _jobs() if job["jid"] not in before and job["state"] == "RUNNING"]
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 1, text
    assert "interrupted" in text
    assert started
    while any(job["state"] == "CANCELLING" for job in _jobs()):
        pass
    assert {job["state"] for job in _jobs() if job["jid"] in started} <= {"CANCELED", "FINISHED"}
    resumed = run("--root", str(tmp_path), "--resume")
    assert resumed.code == 0, resumed.text


@SLOW
def test_one_and_a_half_million_rows_with_a_task_manager_that_dies(tmp_path: Path) -> None:
    data = str(taxi_folder(1_500_200, tmp_path / "data", 0) / "data.csv")
    local = run("--root", str(tmp_path / "local"), "--data", data)
    flags = ("--root", str(tmp_path / "flink"), "--data", data, *FLAGS)
    _same(_killed_in("ExampleGen", flags), tmp_path / "flink", local, tmp_path / "local")
