"""The server's process: a fork that waits, or a new Python."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from components.serving_check import embedded

PROJECT = Path(__file__).parents[3]
SCRIPT = """
import json, multiprocessing, os, sys
from pathlib import Path
import tensorflow as tf
from components.serving_check import embedded, server
from pipeline.serving_check import ServingCheck

work = Path(sys.argv[1])

def check():
    with embedded.waiting():
        module = tf.Module()
        half = tf.function(lambda x: {"y": x / 2}, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        module.half = half
        tf.saved_model.save(module, str(work / "half" / "1"), signatures=half)
        with server.running(ServingCheck(), "half", work / "half", work / "server.log") as running:
            import http.client
            asking = http.client.HTTPConnection("127.0.0.1", running.rest_port)
            asking.request("POST", "/v1/models/half:predict", json.dumps({"instances": [3.0]}))
            answered = json.loads(asking.getresponse().read())
            place = Path(f"/proc/{running.pid}")
            parent = int((place / "status").read_text().split("PPid:")[1].split()[0])
            same = (place / "cmdline").read_text() == Path("/proc/self/cmdline").read_text()
            found = {"answered": answered, "child": parent == os.getpid(), "forked": same}
            found["peak_mb"] = running.peak_mb()
        found["gone"] = not place.exists()
    print(json.dumps(found), flush=True)

# As a node is: a fork of a process that has imported TensorFlow, without that one's threads.
node = multiprocessing.get_context("fork").Process(target=check)
node.start()
node.join()
sys.exit(node.exitcode)
"""
DYING = """
import multiprocessing, os
from components.serving_check import embedded

def check():
    with embedded.waiting():
        print(embedded._fork.pid, flush=True)
        os._exit(0)

node = multiprocessing.get_context("fork").Process(target=check)
node.start()
node.join()
"""


def test_a_fork_serves_over_real_sockets_and_ends_with_the_check(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found.pop("peak_mb") > 50
    assert found == {"answered": {"predictions": [1.5]}, "child": True, "forked": True, "gone": True}
    log = (tmp_path / "server.log").read_text("utf-8")
    assert "half version 1 is available" in log
    assert log.rstrip().endswith("serving.server: ended")


def test_a_fork_does_not_outlive_the_process_that_made_it() -> None:
    ended = subprocess.run([sys.executable, "-c", DYING], cwd=PROJECT, capture_output=True, text=True, check=True)
    status = Path(f"/proc/{int(ended.stdout)}/stat")
    for _ in range(100):
        if not status.exists() or status.read_text().rpartition(") ")[2].startswith("Z"):
            return
        threading.Event().wait(0.1)
    raise AssertionError(status.read_text())


def test_no_fork_beside_threads_that_python_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(embedded, "Fork", lambda: made.append(1))
    monkeypatch.setattr("os.listdir", lambda path: ["1"] * (threading.active_count() + 1))
    with embedded.waiting():
        pass
    assert made == []


def test_without_a_fork_a_new_python_says_what_is_wrong(tmp_path: Path) -> None:
    process = embedded.started(["--model-base-path", str(tmp_path)], tmp_path / "server.log")
    try:
        for _ in range(600):
            if process.poll() is not None:
                break
            threading.Event().wait(0.1)
        assert process.poll() == 2
    finally:
        process.stop()
    assert "model" in (tmp_path / "server.log").read_text("utf-8")
