"""A root in a bucket: a whole run, then one from another machine, whose folder is empty."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_support import PROJECT, TIMEOUT, run

from pipeline.remote import transfer

ROOT = "s3://millrace-tests/runs"
STEPS = ("--set", "training.steps=60")
LOOKUPS = {"PreviousData", "ServedData", "Baseline", "Pusher"}
"""They look at what is there, and have no cache."""


@pytest.fixture
def amazon(bucket_servers: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.ingest import files

    for name, value in bucket_servers["s3"].items():
        monkeypatch.setenv(name, value)
    files.filesystem("s3").makedirs("millrace-tests", exist_ok=True)


def _millrace(*words: str) -> "subprocess.CompletedProcess[str]":
    code = "from pipeline.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=PROJECT, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


@pytest.mark.usefixtures("amazon")
def test_a_run_is_taken_up_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_CACHE", str(tmp_path / "one"))
    first = run("--task", "taxi_tips", "--root", ROOT, *STEPS)
    assert (first.code, first.record["outcome"]) == (0, "pushed"), first.text
    task = transfer.join(ROOT, "taxi_tips")
    version = first.record["pushed"]["version"]
    assert transfer.names(f"{task}/serving/taxi_tips") == [version]
    assert "saved_model.pb" in transfer.names(f"{task}/serving/taxi_tips/{version}")
    stored = (transfer.read(f"{task}/runs/{first.record['run_id']}/run.json") or b"").decode()
    assert json.loads(stored)["metrics"] == first.record["metrics"]
    assert json.loads(stored)["pushed"]["path"] == f"{task}/serving/taxi_tips/{version}"
    assert transfer.read(f"{task}/reports/{first.record['run_id']}/index.html")
    assert transfer.names(task).count("serving.lock") == 0
    shutil.rmtree(tmp_path / "one")

    monkeypatch.setenv("MILLRACE_CACHE", str(tmp_path / "two"))
    second = run("--task", "taxi_tips", "--root", ROOT, *STEPS)
    states = {name: node["state"] for name, node in second.record["nodes"].items()}
    assert {name for name, state in states.items() if state != "cached"} == LOOKUPS, states
    assert second.record["metrics"] == first.record["metrics"]
    assert transfer.names(f"{task}/serving/taxi_tips") == [version]

    monkeypatch.setenv("MILLRACE_CACHE", str(tmp_path / "three"))
    listed = _millrace("runs", "--root", ROOT, "--json")
    assert [row["outcome"] for row in json.loads(listed.stdout)] == ["pushed", second.record["outcome"]]
    made = _millrace("report", first.record["run_id"], "--root", ROOT, "--json")
    assert made.returncode == 0, made.stderr
    assert os.path.getsize(json.loads(made.stdout)["report"]) > 100_000
    changed = _millrace("diff", "previous", "last", "--root", ROOT, "--json")
    assert changed.returncode == 0, changed.stderr
    shown = _millrace("history", "--task", "taxi_tips", "--root", ROOT, "--json")
    assert json.loads(shown.stdout)["served"] == version
