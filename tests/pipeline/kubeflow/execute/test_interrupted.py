"""A run that is interrupted: by a signal to the command itself."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

_COMMAND = """
import sys, typer
from pipeline.cli import guarded
from pipeline.cli_kubeflow.execute import execute
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(execute)
sys.exit(guarded(app))
"""
_HANG = "import pathlib,sys,time; print('begun'); pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"


def _spec(specs, tmp_path: Path, finish: str) -> Any:
    main = specs.graph(
        "main",
        {
            "work": specs.task("work", _HANG, str(tmp_path / "begun"), retryPolicy={"maxRetryCount": 3}),
            "after": specs.task("after", dependentTasks=["work"]),
        },
    )
    status = {"parameters": {"status": {"parameterType": "TASK_FINAL_STATUS"}}}
    end = specs.task(
        "finish",
        finish,
        str(tmp_path / "finishing"),
        "{{$.inputs.parameters['status']}}",
        inputs=status,
        given={"parameters": {"status": {"taskFinalStatus": {"producerTask": "main"}}}},
        dependentTasks=["main"],
        triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    )
    return specs.pipeline({"main": main, "finish": end})


def _until(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


def _start(path: Path, root: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", _COMMAND, str(path), "--profile", "kfp", "--root", str(root), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(arguments, text=True, start_new_session=True, env={**os.environ}, **pipes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_exit_handler_runs_after_an_interruption(specs, write, root, tmp_path, number) -> None:
    process = _start(write(_spec(specs, tmp_path, "import sys; print(sys.argv[2])")), root)
    _until(tmp_path / "begun", process)
    process.send_signal(number)
    written, said = process.communicate(timeout=60)
    result = json.loads(written)
    assert {name: task["state"] for name, task in result["tasks"].items()} == {
        "main": "stopped",
        "work": "stopped",
        "after": "not_run",
        "finish": "done",
    }
    assert (result["tasks"]["work"]["exit_code"], result["tasks"]["work"]["attempts"]) == (143, 1)
    assert (result["state"], result["shown_as"], process.returncode) == ("interrupted", "CANCELLED", 1)
    assert json.loads(Path(result["tasks"]["finish"]["log"]).read_text())["state"] == "CANCELED"
    assert "interrupted: ending the tasks; exit handlers still run" in said
    assert "Traceback" not in said


def test_a_second_interruption_ends_the_exit_handler_too(specs, write, root, tmp_path) -> None:
    process = _start(write(_spec(specs, tmp_path, _HANG)), root)
    _until(tmp_path / "begun", process)
    process.send_signal(signal.SIGINT)
    _until(tmp_path / "finishing", process)
    process.send_signal(signal.SIGINT)
    written, _ = process.communicate(timeout=60)
    assert json.loads(written)["tasks"]["finish"]["state"] == "stopped"
    assert process.returncode == 1
