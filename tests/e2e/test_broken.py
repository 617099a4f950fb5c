"""What goes wrong: bad data, a killed run, a full disk, two runs at once. One message, the right code, nothing lost."""

import csv
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_support import command, run, served, wait_for

Rows = list[list[str]]


def test_data_that_the_schema_forbids_is_blocked(
    tmp_path: Path, taxi_rows: Rows, write_csv: Callable[[Rows], str]
) -> None:
    miles, payment = taxi_rows[0].index("trip_miles"), taxi_rows[0].index("payment_type")
    broken = [list(row) for row in taxi_rows]
    for row in broken[1::7]:
        row[miles] = "far"
    for row in broken[1::50]:
        row[payment] = "Bitcoin"
    blocked = run("--root", str(tmp_path / "runs"), "--data", write_csv(broken))
    assert (blocked.code, blocked.record["outcome"]) == (10, "data_blocked"), blocked.text
    reason = blocked.record["reason"]
    assert "trip_miles (429 of 3,000 rows): expected a number" in reason
    assert "'far' (data.csv:2)" in reason
    assert "Bitcoin" in reason
    assert "millrace schema propose --task taxi_tips" in reason
    rows = blocked.record["rows"]
    assert rows["in"] == 3000 == rows["train"] + rows["eval"] + rows["quarantined"]
    kept_out = list(csv.DictReader((Path(blocked.record["artifacts"]["quarantine"]) / "rows.csv").open(newline="")))
    assert len(kept_out) == rows["quarantined"]
    assert all(
        broken[int(row["line"]) - 1][miles if row["column"] == "trip_miles" else payment] == row["value"]
        for row in kept_out
    )
    assert blocked.record["nodes"]["DataGate"]["state"] == "blocked"
    assert blocked.record["nodes"]["Trainer"]["state"] == "not_run"
    assert "Traceback" not in blocked.text
    assert served(tmp_path / "runs", "taxi_tips") == []


def test_a_broken_header_is_blocked_at_once(tmp_path: Path, taxi_rows: Rows, write_csv: Callable[[Rows], str]) -> None:
    label = taxi_rows[0].index("tips")
    without = [row[:label] + row[label + 1 :] for row in taxi_rows]
    blocked = run("--root", str(tmp_path / "runs"), "--data", write_csv(without))
    assert (blocked.code, blocked.record["outcome"]) == (10, "data_blocked")
    assert "column 'tips', the label, is missing" in blocked.record["reason"]
    assert blocked.record["nodes"] == {}


def test_a_killed_run_is_resumed_and_a_second_one_is_refused(
    tmp_path: Path, taxi_rows: Rows, write_csv: Callable[[Rows], str]
) -> None:
    root, flags = tmp_path / "runs", ["--set", "training.steps=100"]
    data = ["--data", write_csv(taxi_rows)]
    with subprocess.Popen(
        command("--root", str(root), *flags, *data), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        wait_for(running, "Transform: running")
        second = run("--root", str(root), *flags, *data)
        running.send_signal(signal.SIGKILL)
    assert second.code == 1
    assert f"another run is at work in {root / 'taxi_tips'} (process {running.pid})" in second.text
    assert running.returncode == -signal.SIGKILL
    (killed,) = (root / "taxi_tips" / "runs").iterdir()

    with subprocess.Popen(
        command("--root", str(root), "--resume"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Where the tests run in the background, a shell has told them to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        wait_for(running, "Trainer: running")
        running.send_signal(signal.SIGINT)
        text = running.stdout.read() if running.stdout else ""
    assert running.returncode == 1
    assert "interrupted" in text
    assert "Traceback" not in text

    resumed = run("--root", str(root), "--resume")
    assert resumed.code in (0, 11), resumed.text
    assert resumed.record["resumed_from"] != killed.name
    assert resumed.record["config"]["overrides"] == ["training.steps=100"]
    cached = {name for name, node in resumed.record["nodes"].items() if node["cached"]}
    assert cached >= {
        "ExampleGen",
        "SchemaGen",
        "StatisticsGen",
        "Transform",
        "ExampleValidator",
        "DataChecks",
        "DataGate",
    }
    for output in ("model", "model_run"):
        assert len(list((root / "taxi_tips" / "artifacts" / "Trainer" / output).iterdir())) == 1
    over = run("--root", str(root), "--resume")
    assert over.code == 2
    assert "ended" in over.text


_NAMESPACE = ["unshare", "--map-root-user", "--mount"]


def _can_mount() -> bool:
    try:
        return subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not _can_mount(), reason="needs a mount namespace for a small disk")
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A disk of 3.5 MB is full before the push; what ran before that is kept."""
    line = " ".join(shlex.quote(word) for word in command("--root", str(tmp_path / "runs"), "--json"))
    script = f"mount -t tmpfs -o size=3500k tmpfs {tmp_path} && {{ {line}; echo $? >&2; ls -A {tmp_path}/runs/*/serving/*; }}"
    done = subprocess.run([*_NAMESPACE, "sh", "-c", script], capture_output=True, text=True, timeout=600, check=False)
    record, _ = json.JSONDecoder().raw_decode(done.stdout)
    assert (record["outcome"], record["exit_code"]) == ("failed", 1)
    assert "the disk is full" in record["reason"]
    assert record["nodes"]["ExampleGen"]["state"] == "done"
    assert "Traceback" not in done.stderr
    assert done.stdout.rstrip().endswith("}"), "a version is in the served folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_read_only_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    refused = run("--root", str(tmp_path / "runs"))
    assert refused.code == 2
    assert "can't be written" in refused.text
