"""What a container makes of its arguments, and what it says to the cluster."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline import image
from pipeline.errors import MillraceError, UsageError
from pipeline.kubeflow import container, finish, node, outcome, secrets
from pipeline.remote.mirror import Mirror


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MILLRACE_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.delenv("MILLRACE_ROOT_IS", raising=False)
    return tmp_path / "scratch"


def test_parameters_of_the_job_are_above_what_was_compiled(scratch: Path) -> None:
    found = container.configured(
        {"task": "taxi_tips", "root": "s3://bucket/runs", "overrides": ["training.batch_size=100"]},
        {
            **{"data": "s3://bucket/d.csv", "span": 7.0, "window": 2.0, "steps": 50.0, "cache": False},
            **{"overrides": ["model.dropout=0.2"], "serving_log": "", "force": "because"},
        },
    )
    assert (found.data, found.span, found.window, found.cache) == ("s3://bucket/d.csv", 7, 2, False)
    assert found.overrides == ("training.batch_size=100", "training.steps=50", "model.dropout=0.2")
    assert (found.serving_log, found.force, found.mirror) == (None, "because", str(scratch))


def test_defaults_change_nothing_of_what_a_cache_key_holds() -> None:
    given = {"data": "", "span": -1, "window": 1, "steps": 1000, "overrides": [], "cache": True, "force": ""}
    found = container.configured({"task": "taxi_tips", "root": "s3://bucket/runs"}, given)
    assert (found.data, found.span, found.window, found.overrides, found.force) == (None, None, 1, (), None)


def test_a_folder_stands_for_the_bucket_where_execute_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_ROOT_IS", "s3://bucket/runs=/trial")
    assert container.configured({"task": "taxi_tips", "root": "s3://bucket/runs"}, {}).root == "/trial"


def test_a_setting_of_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match="does not know: \\['colour'\\]"):
        container.configured({"task": "taxi_tips", "colour": 1}, {})


def test_what_was_asked_for_is_answered(tmp_path: Path) -> None:
    given = {
        "outputs": {
            "outputFile": str(tmp_path / "out" / "executor_output.json"),
            "artifacts": {"model": {"artifacts": [{"name": "n7", "uri": "x"}]}, "gone": {"artifacts": [{"uri": "y"}]}},
            "parameters": {"run_id": {"outputFile": str(tmp_path / "p" / "run_id")}},
        }
    }
    container.answer(
        given, {"model": {"uri": "s3://b/m", "properties": {"a": 1}}, "other": {"uri": "z"}}, {"run_id": "r"}
    )
    told = json.loads((tmp_path / "out" / "executor_output.json").read_text())
    assert told["artifacts"] == {"model": {"artifacts": [{"name": "n7", "metadata": {"a": 1, "place": "s3://b/m"}}]}}
    assert told["parameterValues"] == {"run_id": "r"}
    assert (tmp_path / "p" / "run_id").read_text() == "r"


def _main(**flags: str) -> int:
    with pytest.raises(typer.Exit) as ended:
        container.main(**{"name": "start", **flags})
    return int(ended.value.exit_code)


def test_other_code_than_was_compiled_is_told_before_anything_is_done(caplog: pytest.LogCaptureFixture) -> None:
    assert _main(code="0123456789abcdef") == 2
    assert "Expected code 0123456789abcdef" in caplog.text
    assert image.fingerprint() in caplog.text


def test_an_executor_input_without_a_job_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert _main(code=image.fingerprint(), config='{"task": "taxi_tips"}') == 2
    assert "no job_id" in caplog.text


def test_a_job_makes_one_run_and_a_wrong_path_ends_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given: dict[str, Any] = {"inputs": {"parameterValues": {"job_id": "job-1", "data": str(tmp_path / "none.csv")}}}
    flags = {
        "code": image.fingerprint(),
        "config": json.dumps({"task": "taxi_tips", "root": str(tmp_path / "root")}),
        "executor_input": json.dumps(given),
    }
    assert [_main(**flags), _main(**flags)] == [2, 2]
    assert "none.csv" in caplog.text
    (made,) = (path for path in (tmp_path / "root/taxi_tips/runs").iterdir() if path.name != "by_job")
    record = outcome.of_job(str(tmp_path / "root"), "projects/p/locations/l/pipelineJobs/job-1")
    assert record is not None
    assert (record["run_id"], record["outcome"], record["job"]["id"]) == (made.name, "failed", "job-1")
    state = json.loads((made / "nodes" / "start.json").read_text())
    assert (state["state"], state["exit_code"]) == ("failed", 2)
    assert outcome.of_job(str(tmp_path / "root"), "job-2") is None


def test_a_setting_that_can_t_be_leaves_a_run_that_says_so(tmp_path: Path) -> None:
    values = {"job_id": "job-9", "steps": -5}
    flags = {
        "code": image.fingerprint(),
        "config": json.dumps({"task": "taxi_tips", "root": str(tmp_path / "root")}),
        "executor_input": json.dumps({"inputs": {"parameterValues": values}}),
    }
    assert _main(**flags) == 2
    record = outcome.of_job(str(tmp_path / "root"), "job-9")
    assert record is not None
    (state,) = (tmp_path / "root/taxi_tips/runs" / record["run_id"] / "nodes").glob("start.json")
    assert "training.steps=-5" in json.loads(state.read_text())["error"]


NODES = ("ExampleGen", "DataGate", "Trainer")


def _judged(tmp_path: Path, **states: dict[str, Any]) -> tuple[int, str, str]:
    found = {name: {"node": name, "error": None, "exit_code": 0, **state} for name, state in states.items()}
    config = container.configured({"task": "taxi_tips", "root": str(tmp_path)}, {})
    code, name, reason = finish._judged(config, {}, NODES, found, tmp_path)
    return int(code), name, str(reason)


def test_the_gate_comes_before_what_failed_behind_it(tmp_path: Path) -> None:
    blocked = {"state": "blocked", "exit_code": 10, "error": "too many bad rows"}
    failed = {"state": "failed", "exit_code": 1, "error": "lost"}
    assert _judged(tmp_path, ExampleGen=failed, DataGate=blocked) == (10, "data_blocked", "too many bad rows")


def test_a_step_that_was_killed_is_one_that_never_ended(tmp_path: Path) -> None:
    done, running = {"state": "done"}, {"state": "running", "exit_code": None}
    code, name, reason = _judged(tmp_path, ExampleGen=done, DataGate=done, Trainer=running)
    assert (code, name) == (1, "failed")
    assert reason.startswith("Trainer failed: its container was ended before it could say why")
    assert finish._node(running)["state"] == "failed"


def test_steps_that_never_began_are_named(tmp_path: Path) -> None:
    code, _, reason = _judged(tmp_path, ExampleGen={"state": "done"})
    assert code == 1
    assert reason.startswith("DataGate, Trainer: never began.")


def test_rows_that_nothing_was_there_to_answer_change_no_verdict(tmp_path: Path) -> None:
    nodes = (*NODES, "BulkInferrer")
    states = {name: {"node": name, "state": "done", "error": None, "exit_code": 0} for name in NODES}
    config = container.configured({"task": "taxi_tips", "root": str(tmp_path)}, {})
    record = {"blessed": False, "gates": [{"passed": False, "reason": "too low"}], "pushed": None}
    code, name, reason = finish._judged(config, record, nodes, states, tmp_path)
    assert (int(code), name, reason) == (11, "not_blessed", "too low")
    assert finish._judged(config, {"pushed": {"version": "1"}}, nodes, states, tmp_path)[0] == 1


RECORD = {
    **{"task": "tips", "run_id": "20261120T010203", "outcome": "not_blessed", "exit_code": 11, "reason": "too low"},
    **{"metrics": {"auc": 0.5}, "pushed": None, "report": "s3://b/r.html", "job": {"id": "j"}},
}


def test_the_outcome_is_posted(monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{server.server_port}/hook")
        finish._tell("HOOK", RECORD)
        server.shutdown()
    assert [(body["outcome"], body["exit_code"], body["metrics"]) for body in posted] == [
        ("not_blessed", 11, {"auc": 0.5})
    ]
    assert posted[0]["text"] == "tips: not_blessed (exit code 11), run 20261120T010203\ntoo low"


@pytest.mark.parametrize("address", ["", "ftp://x", "http://[bad/secret-path", "http://127.0.0.1:1/secret-path"])
def test_who_can_t_be_told_is_no_failure_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    monkeypatch.setenv("HOOK", address)
    monkeypatch.setattr(finish.time, "sleep", lambda seconds: None)
    finish._tell("HOOK", RECORD)
    assert "notify:" in caplog.text
    assert "secret-path" not in caplog.text


def test_a_secret_is_read_with_the_machine_s_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        status_code = 200

        @staticmethod
        def json() -> dict[str, Any]:
            return {"payload": {"data": "aHVudGVyMg=="}}

    class Session:
        asked: list[str] = []  # noqa: RUF012

        def get(self, url: str, timeout: float) -> Answer:
            self.asked.append(url)
            return Answer()

    monkeypatch.setenv(secrets.VARIABLE, json.dumps({"HOOK": "projects/p/secrets/s/versions/1"}))
    monkeypatch.delenv("HOOK", raising=False)
    secrets.resolve(Session())
    assert Session.asked[0].endswith("/projects/p/secrets/s/versions/1:access")
    import os

    assert os.environ.pop("HOOK") == "hunter2"


def test_a_secret_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        @staticmethod
        def get(url: str, timeout: float) -> Any:
            return type("Answer", (), {"status_code": 403})()

    monkeypatch.setenv(secrets.VARIABLE, json.dumps({"HOOK": "projects/p/secrets/s/versions/1"}))
    with pytest.raises(MillraceError, match=r"projects/p/secrets/s/versions/1 can't be read \(HTTP 403\)"):
        secrets.resolve(Session())


def test_a_step_that_was_done_is_not_done_again(tmp_path: Path) -> None:
    """A record is what makes it done: one that is there is answered from, whatever else the step would do."""
    home = tmp_path / "scratch" / "tips"
    home.mkdir(parents=True)
    mirror = Mirror(str(tmp_path / "root" / "tips"), home)
    assert mirror.committed("run", "Gen") is None
    mirror.commit("run", "Gen", {"execution": {"id": "3"}})
    assert mirror.committed("run", "Gen") == {"execution": {"id": "3"}}
    assert node.state_of("run", "Gen") == "runs/run/nodes/Gen.json"
