"""Processes that carry the cluster's folder, and their end."""

import os
import subprocess
import sys
import time
from pathlib import Path

from pipeline.flink import running


def _start(name: str, folder: Path, code: str) -> "subprocess.Popen[bytes]":
    (folder / "logs").mkdir(exist_ok=True)
    return running.start(name, [sys.executable, "-c", code], folder)


def _until_logged(folder: Path, name: str) -> None:
    while not running.last_lines(folder, name):
        time.sleep(0.01)


_CHILD = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE); "


def test_found_by_folder_with_children_and_stopped(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir(), other.mkdir()
    process = _start("a", mine, _CHILD + "print('up', flush=True); p.wait()")
    stubborn = _start(
        "b", mine, "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    )
    foreign = _start("a", other, "print('up', flush=True); import signal; signal.pause()")
    for folder, name in ((mine, "a"), (mine, "b"), (other, "a")):
        _until_logged(folder, name)
    assert running.found(mine)["a"][0] == process.pid
    assert len(running.found(mine)["a"]) == 2
    running._GRACE_SECONDS, before = 0.5, running._GRACE_SECONDS
    try:
        assert running.stop(mine, first=["a"]).keys() == {"a", "b"}
    finally:
        running._GRACE_SECONDS = before
    assert running.found(mine) == {}
    assert (process.wait(), stubborn.wait()) == (-15, -9)
    assert foreign.poll() is None
    running.stop(other)
    assert foreign.wait() == -15


def test_an_id_that_is_now_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    assert os.getpid() not in [pid for pids in running.found(tmp_path).values() for pid in pids]
    assert running.stop(tmp_path) == {}


def test_the_last_lines_are_without_stacks(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    running.log_path(tmp_path, "x").write_text("one\nCaused by: no\n\tat a.B.c(B.java:1)\n\t... 3 more\n")
    assert running.last_lines(tmp_path, "x") == "  one\n  Caused by: no"
    assert running.last_lines(tmp_path, "none") == ""
