"""What runs in each container: which part it takes, by TF_CONFIG as each cluster writes it; and what a failure does."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import image
from pipeline.errors import UsageError
from pipeline.kubeflow.manifests import member
from pipeline.train import cluster, published, remote
from pipeline.train.cluster import Member

OPERATOR = {
    "cluster": {
        "chief": ["taxi-tips-training-chief-0.team.svc:2222"],
        "ps": ["taxi-tips-training-ps-0.team.svc:2222"],
        "worker": ["taxi-tips-training-worker-0.team.svc:2222", "taxi-tips-training-worker-1.team.svc:2222"],
    },
    "task": {"type": "worker", "index": 1},
    "environment": "cloud",
}
"""As Training Operator writes it for a TFJob: genTFConfigJSONStr of pkg/controller.v1/tensorflow."""
VERTEX = {
    "cluster": {
        "chief": ["training-workerpool0-ab-0:2222"],
        "ps": ["training-workerpool2-ab-0:2222"],
        "worker": ["training-workerpool1-ab-0:2222", "training-workerpool1-ab-1:2222"],
    },
    "environment": "cloud",
    "job": {"worker_pool_specs": []},
    "task": {"cloud": "cd", "index": 0, "trial": "1", "type": "ps"},
}
"""As Vertex AI's page on distributed training shows it."""


def told(*more: str, strategy: str = "parameter_server") -> list[str]:
    root = ["--task", "taxi_tips", "--root", "s3://bucket/runs", "--strategy", strategy]
    return [*root, "--code", image.fingerprint(), *more]


@pytest.fixture(autouse=True)
def handlers() -> Any:
    previous = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, previous)


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Member, str, bool]]:
    """Who helped, and where."""
    found: list[tuple[Member, str, bool]] = []
    monkeypatch.setattr(remote, "take_part_by", lambda home, stay: found.append((cluster.helping()[1], home, stay)))
    return found


@pytest.mark.parametrize(
    ("config", "part"), [(OPERATOR, Member("worker", 1)), (VERTEX, Member("ps", 0))], ids=["operator", "vertex"]
)
def test_who_is_no_chief_helps_it_by_the_root_to_the_end(
    config: dict[str, Any], part: Member, helped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert member.main(told()) == 0
    assert helped == [(part, "s3://bucket/runs/taxi_tips", True)]


def test_a_pod_of_a_jobset_makes_its_own_config(helped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MILLRACE_JOB": "tips", "MILLRACE_ROLE": "worker", "JOB_COMPLETION_INDEX": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TF_CONFIG", "")
    assert member.main(["--cluster", "chief=1,worker=2,ps=1", *told()]) == 0
    assert helped[0][0] == Member("worker", 1)
    assert json.loads(os.environ["TF_CONFIG"]) == {
        "cluster": {
            "chief": ["tips-chief-0-0.tips:2222"],
            "worker": ["tips-worker-0-0.tips:2222", "tips-worker-0-1.tips:2222"],
            "ps": ["tips-ps-0-0.tips:2222"],
        },
        "task": {"type": "worker", "index": 1},
    }


def test_what_a_pod_does_not_know_of_itself_is_named() -> None:
    with pytest.raises(UsageError, match=r"Received none of MILLRACE_ROLE, JOB_COMPLETION_INDEX"):
        member.config_of_jobset("chief=1", {"MILLRACE_JOB": "tips"})


@pytest.fixture
def chief(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function: runs the chief, whose pipeline is a script that is told where to count; gives exit code and count."""
    closed: list[str] = []
    monkeypatch.setenv("TF_CONFIG", json.dumps({**OPERATOR, "task": {"type": "chief", "index": 0}}))
    monkeypatch.setattr(published, "close", closed.append)
    log = tmp_path / "log"

    def run(script: str) -> tuple[int, list[list[str]], list[str]]:
        counting = f"import json, os, signal, sys; open({str(log)!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
        monkeypatch.setattr(member, "_RUN", [sys.executable, "-c", counting + script, "run"])
        code = member.main(told("--attempts", "3", "--", "--set", "training.steps=5"))
        return code, [json.loads(line) for line in log.read_text().splitlines()], closed

    return run


def test_the_chief_runs_the_pipeline_and_says_that_all_is_over(chief: Any) -> None:
    code, runs, closed = chief("sys.exit(0)")
    assert code == 0
    assert runs == [
        [
            *("run", "--task", "taxi_tips", "--root", "s3://bucket/runs", "--strategy", "parameter_server"),
            *("--set", "training.steps=5"),
        ]
    ]
    assert closed == ["s3://bucket/runs/taxi_tips"]


def test_a_run_that_failed_is_begun_again_and_a_gate_is_not_asked_twice(chief: Any, tmp_path: Path) -> None:
    code, runs, closed = chief("sys.exit(1)")
    assert (code, len(runs), len(closed)) == (1, 3, 1)
    (tmp_path / "log").unlink()
    code, runs, closed = chief("sys.exit(11)")
    assert (code, len(runs), len(closed)) == (11, 1, 2)


def test_a_run_that_was_killed_is_begun_again_and_ends_as_a_failure(chief: Any) -> None:
    code, runs, _ = chief("os.kill(os.getpid(), signal.SIGKILL)")
    assert (code, len(runs)) == (1, 3)


def test_a_chief_that_is_to_go_ends_the_run_and_is_to_be_started_anew(chief: Any) -> None:
    # The run tells its parent to end, as a drained node would, and waits to be told so itself.
    code, runs, closed = chief("os.kill(os.getppid(), signal.SIGTERM); signal.pause()")
    assert (code, len(runs), closed) == (143, 1, [])


def test_an_image_of_other_code_and_a_missing_config_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert member.main(["--task", "taxi_tips", "--root", "s3://b", "--strategy", "multi_worker", "--code", "0"]) == 2
    assert "image: the code in it is not that" in capsys.readouterr().err
    assert member.main(told()) == 2
    assert "there is no TF_CONFIG. Expected: that of the operator of a TFJob" in capsys.readouterr().err
