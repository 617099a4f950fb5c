"""The command `execute`: what it prints and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline.cli import guarded
from pipeline.cli_kubeflow.execute import execute


@pytest.fixture
def command(root: Path, capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs it; exit code, standard output, standard error."""

    def call(spec: Path, *arguments: str) -> tuple[int, str, str]:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(execute)
        given = [str(spec), "--root", str(root), *arguments]
        code = guarded(lambda: app(given))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def _two(specs, code: str) -> Any:
    return specs.pipeline(
        {"one": specs.task("one", code), "two": specs.task("two", dependentTasks=["one"])},
        {"rows": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1}},
    )


def test_a_run_that_succeeds(specs, write, command, root) -> None:
    code, out, _ = command(write(_two(specs, "")), "--profile", "kfp", "--job-id", "mine")
    assert code == 0
    assert "one: done" in out and "two: done" in out
    assert f"succeeded  job mine in {root / 'trial' / 'mine'}" in out


def test_a_failure_is_named_with_its_code_and_the_end_of_its_log(specs, write, command) -> None:
    program = "for i in range(40): print('line', i, flush=True)\nimport sys; sys.exit('out of rows')"
    code, out, _ = command(write(_two(specs, program)), "--profile", "vertex")
    assert code == 1
    assert "one failed with exit code 1: it ended with exit code 1" in out
    assert "  out of rows\n" in out and "  line 39\n" in out and "line 20\n" not in out
    assert "log.txt" in out and "two: not_run" in out


def test_json_is_alone_on_standard_output(specs, write, command) -> None:
    code, out, err = command(write(_two(specs, "raise SystemExit(10)")), "--profile", "kfp", "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == 10
    assert found["tasks"]["one"]["exit_code"] == 10
    assert found["tasks"]["two"] == {
        "state": "not_run",
        "exit_code": None,
        "seconds": 0.0,
        "attempts": 0,
        "log": None,
        "outputs": {"parameters": {}, "artifacts": {}},
        "error": None,
        "exit_handler": False,
    }
    assert "one failed with exit code 10" in err


def test_the_screen_does_not_show_a_secret_that_a_task_printed(specs, write, command, monkeypatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2-xyzzy")
    secret = [{"secretName": "w", "keyToEnv": [{"secretKey": "p", "envVar": "DB_PASSWORD"}]}]
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-one": {"secretAsEnv": secret}}}}}}
    program = "import os; print('with', os.environ['DB_PASSWORD']); raise SystemExit(1)"
    _, out, err = command(write(_two(specs, program), platform), "--profile", "kfp")
    assert "with ***" in out
    assert "hunter2" not in out + err


def test_an_exit_handler_that_fails_alone_is_explained_for_kfp(specs, write, command) -> None:
    end = specs.task(
        "end",
        "raise SystemExit(11)",
        dependentTasks=["one"],
        triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    )
    path = write(specs.pipeline({"one": specs.task("one"), "end": end}))
    code, out, _ = command(path, "--profile", "kfp")
    assert code == 11
    assert "open-source Kubeflow Pipelines would show this run as succeeded" in out
    code, out, _ = command(path, "--profile", "vertex")
    assert code == 11 and "would show" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "vertx"], "--profile: no profile 'vertx'. Did you mean 'vertex'?"),
        (["--profile", "kfp", "--parameter", "row=1"], "no parameter 'row'. Did you mean 'rows'?"),
        (["--profile", "kfp", "--parameter", "rows"], "--parameter:\n  - expected NAME=VALUE. Received: 'rows'"),
        (["--profile", "kfp", "--parameter", "rows=x"], "--parameter rows: expected an integer. Received: 'x'"),
        (["--profile", "kfp", "--job-id", "../up"], "--job-id: expected a name fit for a folder"),
    ],
)
def test_a_mistake_is_exit_code_2(specs, write, command, root, arguments, said) -> None:
    code, _, err = command(write(_two(specs, "")), *arguments)
    assert code == 2
    assert said in err and "Traceback" not in err
    assert not root.exists()


def test_a_root_that_cannot_be_made(specs, write, command, root) -> None:
    root.write_text("a file")
    code, _, err = command(write(_two(specs, "")), "--profile", "kfp")
    assert code == 2
    assert "--root:" in err and "can't be made: Not a directory" in err
