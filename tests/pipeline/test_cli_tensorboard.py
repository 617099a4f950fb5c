"""`millrace tensorboard`: what it shows, where, and what it says when it can't."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli_tensorboard import tensorboard, trainings
from pipeline.config import RunConfig
from pipeline.errors import UsageError

_WITHIN = 120


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two trainings, of which a run's record names one."""
    import tensorflow as tf

    home = tmp_path / "taxi_tips"
    for number, loss in ((3, 0.5), (8, 0.25)):
        with tf.summary.create_file_writer(str(home / "artifacts" / "Trainer" / "model_run" / str(number))).as_default(
            4
        ):
            tf.summary.scalar("val_loss", loss)
    run = home / "runs" / "20260101T000000"
    run.mkdir(parents=True)
    uri = str(home / "artifacts" / "Trainer" / "model_run" / "3")
    (run / "run.json").write_text(json.dumps({"artifacts": {"model_run": uri}}))
    return tmp_path


def test_trainings_have_the_names_of_their_runs(root: Path) -> None:
    config = RunConfig("taxi_tips", root=str(root))
    found = {name: path.name for name, path in trainings(config).items()}
    assert found == {"20260101T000000": "3", "training-8": "8"}


def test_it_serves_every_run_on_this_machine_only_and_ends_with_ctrl_c(root: Path) -> None:
    command = "from pipeline.cli import main; main()"
    flags = ["tensorboard", "--task", "taxi_tips", "--root", str(root), "--port", "0"]
    # A shell that runs this in the background has told it to ignore Ctrl-C.
    process = subprocess.Popen(
        [sys.executable, "-c", command, *flags],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout
        url = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert url
        tags: dict[str, Any] = {}
        began = time.monotonic()
        while len(tags) < 2 and time.monotonic() - began < _WITHIN:
            tags = json.load(urllib.request.urlopen(f"{url[0]}data/plugin/scalars/tags"))
            time.sleep(0.5)
        assert {run: sorted(found) for run, found in tags.items()} == {
            "20260101T000000": ["val_loss"],
            "training-8": ["val_loss"],
        }
        address = f"{url[0]}data/plugin/scalars/scalars?run=training-8&tag=val_loss"
        (_, step, value), *_ = json.load(urllib.request.urlopen(address))
        assert (step, value) == (4, 0.25)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_port_already_taken_is_said(root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} can't be had: Address already in use. Next: --port"):
            tensorboard("taxi_tips", str(root), port)


def test_a_task_without_logs_is_said_with_those_that_have_some(root: Path) -> None:
    with pytest.raises(UsageError, match=r"'taxi_tip' has no training logs in .* Did you mean 'taxi_tips'"):
        tensorboard("taxi_tip", str(root), 0)
