"""The command line: exit codes, the nearest name, JSON, and that it starts without loading TensorFlow."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli, tasks
from pipeline.config import RunConfig
from pipeline.errors import ExitCode, MillraceError, UsageError
from pipeline.runners import local, records

REPOSITORY = Path(__file__).parents[2]
HEAVY = (
    *("tensorflow", "tfx", "keras", "apache_beam", "tensorflow_model_analysis", "ml_metadata", "tensorflow_metadata"),
    *("numpy", "pandas", "pyarrow", "kfp", "kubernetes", "jinja2", "altair", "absl", "google.protobuf"),
)
"""What takes tenths of a second, or seconds, to import."""


@pytest.fixture
def millrace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function: arguments of `millrace` to exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["millrace", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        streams = capsys.readouterr()
        return int(ended.value.code or 0), streams.out, streams.err

    return run


def record(root: Path, task: str, run: str, **changes: Any) -> None:
    folder = root / task / "runs" / run
    folder.mkdir(parents=True)
    records.write(
        folder,
        {
            "run_id": run,
            "task": task,
            "outcome": "pushed",
            "exit_code": 0,
            "started": f"2026-01-{run[6:8]}T00:00:00+00:00",
            "seconds": 12.345,
            "nodes": {"Gen": {"cached": True}, "End": {"cached": False}},
            "metrics": {"auc": 0.94321},
            "gates": [{"name": "auc at least 0.9", "passed": True, "reason": "auc 0.9432"}],
            "pushed": {"version": "17", "path": "/x/17"},
            "config": {"task": task, "root": str(root)},
        }
        | changes,
    )


def loaded_by(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after this code."""
    script = f"import sys\n{code}\nprint([name for name in {HEAVY} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(eval(ended.stdout.splitlines()[-1]))


def test_importing_the_command_loads_nothing_heavy() -> None:
    assert loaded_by("import pipeline.cli") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["tasks"], ["runs", "--root", "none"]])
def test_light_commands_load_nothing_heavy(arguments: Sequence[str]) -> None:
    code = f"sys.argv = ['millrace', *{list(arguments)!r}]\nfrom pipeline import cli\ncli.guarded(cli.app)"
    assert loaded_by(code) == set()


@pytest.mark.parametrize(
    "code",
    [
        "sys.argv = ['local_runner.py', '--help']\nfrom pipeline import cli\ncli.run_main()",
        "sys.argv = ['kubeflow_runner.py', '--help']\nfrom pipeline import cli_kubeflow\ncli_kubeflow.main()",
        "sys.argv = ['kubeflow_runner.py', 'compile', '--help']\nfrom pipeline import cli_kubeflow\ncli_kubeflow.main()",
    ],
)
def test_the_runners_help_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code) == set()


def test_tasks_are_listed_with_their_questions(millrace: Any) -> None:
    code, out, _ = millrace("tasks")
    assert code == 0
    for name in tasks.names():
        assert name in out
        assert tasks.load(name).question in out


def test_tasks_as_json(millrace: Any) -> None:
    code, out, _ = millrace("tasks", "--json")
    assert code == 0
    listed = {row["task"]: row for row in json.loads(out)}
    assert sorted(listed) == tasks.names()
    assert listed["taxi_tips"]["model"] == "WideDeep"


def test_runs_oldest_first(millrace: Any, tmp_path: Path) -> None:
    record(tmp_path, "tips", "20260102T000000")
    record(tmp_path, "fare", "20260101T000000", outcome="failed", exit_code=1, pushed=None, metrics={}, gates=[])
    code, out, _ = millrace("runs", "--root", str(tmp_path), "--json")
    assert code == 0
    first, second = json.loads(out)
    assert (first["task"], first["outcome"], first["exit"], first["version"]) == ("fare", "failed", 1, "")
    assert (second["run"], second["seconds"], second["cached"], second["version"]) == ("20260102T000000", 12.3, 1, "17")
    assert (first["gates"], second["gates"]) == ("", "1 passed")
    code, out, _ = millrace("runs", "--root", str(tmp_path), "--task", "tips")
    assert "20260102T000000" in out
    assert "20260101T000000" not in out


def test_no_runs_is_an_empty_list(millrace: Any, tmp_path: Path) -> None:
    code, out, _ = millrace("runs", "--root", str(tmp_path), "--json")
    assert (code, json.loads(out)) == (0, [])
    assert millrace("runs", "--root", str(tmp_path))[:2] == (0, "none\n")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--task", "taxi_tip"], "Unknown task 'taxi_tip'. Did you mean 'taxi_tips'?"),
        (["--set", "trainig.steps=5"], "no section 'trainig'. Did you mean 'training'?"),
        (["--set", "training.stepz=5"], "Did you mean 'steps'?"),
        (["--set", "training.steps=0"], "expected at least 1. Received: steps=0"),
        (["--set", "training"], "expected section.field=value"),
        (["--strategy", "mirrord"], "'mirrored'"),
        (["--beam-runner", "locl"], "no runner 'locl'. Did you mean 'local'?"),
        (["--lite", "float61"], "--lite: no format 'float61'. Did you mean 'float16'?"),
        (["--lite", "int8", "--lite", "int8"], "formats: expected each once"),
        (["--data", "/no/such/file.csv"], "/no/such/file.csv does not exist"),
        (["--serving-log", "/no/such.jsonl"], "--serving-log: "),
        (["--resume"], "--resume: no run of 'taxi_tips'"),
        (["--stepz", "5"], "No such option"),
        (["--span", "many"], "need {SPAN} or a date in the path"),
    ],
)
def test_errors_of_use_exit_2_and_write_nothing(millrace: Any, tmp_path: Path, arguments: list[str], part: str) -> None:
    code, _, err = millrace("run", "--root", str(tmp_path / "runs"), *arguments)
    assert code == ExitCode.USAGE == 2
    assert part in err
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


def test_an_unknown_command_exits_2(millrace: Any) -> None:
    assert millrace("rum")[0] == 2


@pytest.mark.parametrize("code", [0, 1, 10, 11, 12])
def test_a_runs_exit_code_is_the_commands_and_its_record_is_the_json(
    millrace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    outcome = {0: "pushed", 1: "failed", 10: "data_blocked", 11: "not_blessed", 12: "serving_blocked"}[code]
    record(tmp_path, "taxi_tips", "20260101T000000", outcome=outcome, exit_code=code, report=None)
    (ended,) = records.read_all(str(tmp_path))
    asked: list[RunConfig] = []
    monkeypatch.setattr(local, "run", lambda config, *rest: asked.append(config) or ended)
    received, out, _ = millrace("run", "--root", str(tmp_path), "--json", "--set", "training.steps=3", "--no-cache")
    assert received == code
    assert json.loads(out) == ended
    assert asked == [RunConfig("taxi_tips", root=str(tmp_path), overrides=("training.steps=3",), cache=False)]


def test_every_flag_reaches_the_configuration(millrace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[RunConfig] = []
    monkeypatch.setattr(local, "plan", lambda config: asked.append(config) or [("Gen", "cached"), ("End", "run")])
    code, out, _ = millrace(
        *("run", "--plan", "--json", "--task", "taxi_fare", "--root", "r", "--data", "d/{SPAN}", "--span", "3"),
        *("--window", "7", "--serving-log", "log"),
        *("--from", "Transform", "--to", "Trainer", "--to", "Evaluator", "--beam-runner", "direct", "--beam", "a=b"),
        *("--set", "model.l2=0", "--strategy", "one_device", "--lite", "float16", "--lite", "int8"),
    )
    assert (code, json.loads(out)) == (0, [{"node": "Gen", "plan": "cached"}, {"node": "End", "plan": "run"}])
    assert asked == [
        RunConfig(
            task="taxi_fare",
            root=os.path.abspath("r"),
            data=os.path.abspath("d/{SPAN}"),
            span=3,
            window=7,
            serving_log=os.path.abspath("log"),
            beam_runner="direct",
            beam_options=("a=b",),
            overrides=("model.l2=0", "training.strategy=one_device", 'lite.formats=["float16", "int8"]'),
            from_nodes=("Transform",),
            to_nodes=("Trainer", "Evaluator"),
        )
    ]


def test_a_plan_says_which_engine_runs_a_node(millrace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "plan", lambda config: [("ExampleGen", "run"), ("Trainer", "run")])
    code, out, _ = millrace("run", "--plan", "--json", "--beam-runner", "flink", "--beam-node", "Transform=cluster")
    assert (code, json.loads(out)) == (
        0,
        [
            {"node": "ExampleGen", "plan": "run", "engine": "local: data.csv, 1.92 MB < 2 GB"},
            {"node": "Trainer", "plan": "run", "engine": ""},
        ],
    )


def test_resume_takes_up_the_last_run_that_failed_with_its_own_settings(
    millrace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = {"task": "taxi_tips", "root": "elsewhere", "overrides": ["training.steps=3"], "cache": False}
    saved |= {"beam_runner": "direct", "beam_nodes": ["Transform.parallelism=2"]}
    record(tmp_path, "taxi_tips", "20260101T000000", outcome="failed", exit_code=1, config=saved)
    asked: list[RunConfig] = []
    monkeypatch.setattr(local, "plan", lambda config: asked.append(config) or [])
    assert millrace("run", "--root", str(tmp_path), "--resume", "--plan")[0] == 0
    config = RunConfig("taxi_tips", root=str(tmp_path), overrides=("training.steps=3",), cache=True)
    assert asked == [replace(config, beam_runner="direct", beam_nodes=("Transform.parallelism=2",))]
    monkeypatch.chdir(tmp_path.parent)
    assert millrace("run", "--root", tmp_path.name, "--resume", "--plan")[0] == 0
    assert asked[1] == asked[0]
    code, _, err = millrace("run", "--root", str(tmp_path), "--resume", "--no-cache")
    assert code == 2 and "Received one that sets cache" in err


def test_resume_of_a_run_that_ended_is_refused(millrace: Any, tmp_path: Path) -> None:
    record(tmp_path, "taxi_tips", "20260101T000000")
    code, _, err = millrace("run", "--root", str(tmp_path), "--resume")
    assert code == 2
    assert "--resume: the last run, 20260101T000000, ended: pushed" in err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UsageError("no [red] flag"), 2, "error no [red] flag\n"),
        (MillraceError("[/] broke"), 1, "error [/] broke\n"),
        (KeyboardInterrupt(), 1, ""),
        (SystemExit(11), 11, ""),
    ],
)
def test_guarded(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    def fails() -> None:
        raise error

    assert cli.guarded(fails) == code
    assert capsys.readouterr().err == text
    assert cli.guarded(lambda: None) == 0


def test_local_runner_is_run_without_the_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["local_runner.py", "--task", "taxi_tip"])
    assert cli.run_main() == 2
    assert "Did you mean 'taxi_tips'?" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["local_runner.py", "--help"])
    assert cli.run_main() == 0
    help_text = capsys.readouterr().out
    for flag in ("--task", "--data", "--root", "--span", "--from", "--to", "--resume", "--no-cache", "--beam-runner",
                 "--strategy", "--set", "--plan", "--json"):  # fmt: skip
        assert flag in help_text
