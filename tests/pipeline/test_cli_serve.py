import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner

from pipeline import cli_serve
from pipeline.errors import UsageError

COMMAND = "import typer; from pipeline.cli_serve import serve; typer.run(serve)"


def push(root: Path, task: str, *versions: int) -> None:
    for version in versions:
        folder = root / task / "serving" / task / str(version)
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"")


class TestSettings:
    def test_a_task_is_a_model_and_its_base_path(self, tmp_path):
        push(tmp_path, "taxi_tips", 7)
        made = cli_serve.settings("taxi_tips", str(tmp_path), rest_port=0, max_rows=5)
        assert [(model.name, model.base_path) for model in made.models] == [
            ("taxi_tips", str(tmp_path / "taxi_tips" / "serving" / "taxi_tips"))
        ]
        assert (made.rest_port, made.limits.rows, made.host) == (0, 5, "127.0.0.1")

    def test_without_a_task_every_pushed_one_is_served(self, tmp_path):
        push(tmp_path, "taxi_tips", 7)
        push(tmp_path, "gone_task", 1, 2)
        (tmp_path / "digits" / "serving" / "digits" / "3").mkdir(parents=True)
        assert [model.name for model in cli_serve.settings(None, str(tmp_path)).models] == ["gone_task", "taxi_tips"]

    def test_a_relative_root(self, tmp_path, monkeypatch):
        push(tmp_path, "taxi_tips", 7)
        monkeypatch.chdir(tmp_path.parent)
        (model,) = cli_serve.settings("taxi_tips", tmp_path.name).models
        assert model.base_path == str(tmp_path / "taxi_tips" / "serving" / "taxi_tips")

    def test_a_config_file(self, tmp_path):
        made = cli_serve.settings(None, str(tmp_path), model_config=tmp_path / "models.config")
        assert (made.models, made.config_file) == ((), tmp_path / "models.config")

    @pytest.mark.parametrize(
        "task, given, expected",
        [
            (None, {}, "no task has pushed a model in ROOT. Next: millrace run --root ROOT"),
            ("taxi_tip", {}, "no task 'taxi_tip'. Did you mean 'taxi_tips'? Known: "),
            ("taxi_tips", {}, "taxi_tips has not pushed a model in ROOT yet. Next: millrace run --task taxi_tips --root ROOT"),
            ("taxi_tips", {"model_config": Path("x")}, "expected a task or --model-config. Received: both"),
        ],
    )  # fmt: skip
    def test_refused(self, tmp_path, task, given, expected):
        with pytest.raises(UsageError) as error:
            cli_serve.settings(task, str(tmp_path), **given)
        assert expected.replace("ROOT", str(tmp_path)) in str(error.value)

    def test_others_that_have_pushed_are_named(self, tmp_path):
        push(tmp_path, "digits", 1)
        with pytest.raises(UsageError, match=r"taxi_tips has not pushed a model in .* yet \(pushed: digits\)"):
            cli_serve.settings("taxi_tips", str(tmp_path))

    def test_flags_that_do_not_go_together(self, tmp_path):
        push(tmp_path, "digits", 1)
        with pytest.raises(UsageError, match="serve: Expected both --tls-cert and --tls-key"):
            cli_serve.settings("digits", str(tmp_path), tls_cert=tmp_path)


class TestCommand:
    def test_help_names_every_flag_of_the_server(self):
        app = typer.Typer()
        app.command()(cli_serve.serve)
        shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
        for flag in ("--root", "--model-config", "--grpc-port", "--token-file", "--request-log-redact", "--ready-file"):
            assert flag in shown

    def test_a_taken_port_is_one_sentence(self, tmp_path):
        push(tmp_path, "digits", 1)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(UsageError, match=f"REST can't listen at 127.0.0.1:{port}: .*Next: other ports"):
                cli_serve.serve("digits", str(tmp_path), rest_port=port, grpc_port=-1)

    def test_a_pushed_model_answers_until_ctrl_c(self, tmp_path):
        import tensorflow as tf

        served = tmp_path / "half" / "serving" / "half"
        half = tf.function(lambda x: {"y": x / 2 + 1}, input_signature=[tf.TensorSpec([None], tf.float32)])
        tf.saved_model.save(tf.Module(), str(served / "7"), signatures=half)
        ready = tmp_path / "ready.json"
        flags = ["half", "--root", str(tmp_path), "--rest-port", "0", "--grpc-port", "0", "--ready-file", str(ready)]
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *flags],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            deadline = time.monotonic() + 90
            while not ready.exists():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            port = json.loads(ready.read_text())["rest_port"]
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/models/half:predict", json={"instances": [2.0]})
            assert answer.json() == {"predictions": [2.0]}
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        assert process.returncode == 0
        assert f"half: {served}" in output
        assert not os.path.exists(ready)
