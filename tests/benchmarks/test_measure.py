"""What is measured of a process: its exit code, its time, its memory and that of its children."""

import sys
from pathlib import Path

import pytest

from benchmarks.measure import Measured, machine, measure

HOLD = "data = bytearray(200_000_000); import time; time.sleep(0.7)"


def run(code: str, folder: Path) -> Measured:
    return measure([sys.executable, "-c", code], cwd=folder, stdout=folder / "out", log=folder / "log")


def test_exit_code_and_streams(tmp_path: Path) -> None:
    measured = run("import sys; print('rows'); sys.exit('no rows')", tmp_path)
    assert measured.exit_code == 1
    assert (tmp_path / "out").read_text() == "rows\n"
    assert (tmp_path / "log").read_text() == "no rows\n"


def test_sleeping_takes_seconds_but_no_processor(tmp_path: Path) -> None:
    measured = run("import time; time.sleep(1)", tmp_path)
    assert measured.seconds >= 1.0
    assert measured.cpu_seconds < 0.9


def test_memory_of_children_counts(tmp_path: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}])"
    assert 190 < run(HOLD, tmp_path).peak_mb < 300
    assert 190 < run(child, tmp_path).peak_mb < 300


def test_forked_memory_counts_once(tmp_path: Path) -> None:
    forks = f"import os; {HOLD.replace(';', '; os.fork();', 1)}"
    measured = run(forks.replace("0.7", "1.5"), tmp_path)
    assert 380 < measured.peak_mb < 500
    assert 180 < measured.peak_pss_mb < 280


def test_a_server_left_behind_is_counted_and_gone(tmp_path: Path) -> None:
    work = "import time; end = time.process_time() + 0.6\nwhile time.process_time() < end: pass"
    left = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {work!r}]); time.sleep(0.4)"
    assert run(left, tmp_path).cpu_seconds > 0.6


def test_bytecode_is_always_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    run("import sys; print(sys.dont_write_bytecode)", tmp_path)
    assert (tmp_path / "out").read_text() == "False\n"


def test_machine_is_described_without_its_name() -> None:
    described = machine()
    assert described["cores"] >= 1
    assert described["memory_gb"] > 0
    assert described["tfx"].count(".") >= 1
    assert not {"host", "hostname", "node", "user"} & set(described)
