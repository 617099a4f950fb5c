import json
import subprocess
import sys

import pytest

FAILED = "Error (exit code 10)"


@pytest.fixture
def outcome(monkeypatch):
    """Sets what the run's record says."""
    from pipeline.kubeflow import outcome as real

    def record(value):
        monkeypatch.setattr(real, "of_job", lambda root, job: value)

    record(None)
    return record


def place(fake):
    return ("--project", "acme", "--region", "europe-west4", "--api-endpoint", fake.url)


def test_submit_prints_the_id_the_link_and_the_next_step(run_cli, fake_kfp, kfp_file):
    ran = run_cli("submit", kfp_file(), "--host", fake_kfp.url, "--parameter", "span=7", "--run-name", "nightly")
    (job_id,) = fake_kfp.runs
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"run      {job_id}",
        "name     nightly",
        "state    pending",
        f"link     {fake_kfp.url}/#/runs/details/{job_id}",
    ]
    assert f"Next: python kubeflow_runner.py wait {job_id} --host {fake_kfp.url}, or" in ran.err
    assert fake_kfp.runs[job_id]["runtime_config"] == {"parameters": {"span": 7}, "pipeline_root": "s3://ml/runs"}


def test_a_run_has_a_name_of_its_own(run_cli, fake_kfp, kfp_file):
    assert run_cli("submit", kfp_file(), "--host", fake_kfp.url).code == 0
    assert [run["display_name"] for run in fake_kfp.runs.values()] == ["taxi-tips-20300101-120000"]


def test_submit_and_wait_to_a_good_end(run_cli, fake_kfp, kfp_file, task_of_kfp, outcome):
    outcome({"exit_code": 0})
    fake_kfp.history = [
        {"state": "RUNNING", "run_details": {"task_details": [task_of_kfp("trainer", "RUNNING")]}},
        {"state": "SUCCEEDED", "run_details": {"task_details": [task_of_kfp("trainer", "SUCCEEDED")]}},
    ]
    ran = run_cli("submit", kfp_file(), "--host", fake_kfp.url, "--wait", "--json")
    assert ran.code == 0
    (job_id,) = fake_kfp.runs
    found = json.loads(ran.out)
    assert found == {
        "target": "kfp",
        "job_id": job_id,
        "name": "taxi-tips-20300101-120000",
        "link": f"{fake_kfp.url}/#/runs/details/{job_id}",
        "state": "SUCCEEDED",
        "exit_code": 0,
        "tasks": {"trainer": "SUCCEEDED"},
        "reason": "",
        "failures": [],
    }
    assert [line.split() for line in ran.err.splitlines() if " s  " in line] == [
        ["0", "s", "trainer", "running"],
        ["0", "s", "run", "running"],
        ["5", "s", "trainer", "succeeded"],
        ["5", "s", "run", "succeeded"],
    ]


def test_a_run_that_the_data_gate_stopped(run_cli, fake_kfp, kfp_file, task_of_kfp, outcome):
    outcome({"exit_code": 10, "reason": "fare: 12 % of the rows are negative"})
    gate = task_of_kfp(
        "data-gate",
        "FAILED",
        child_tasks=[{"pod_name": "t-9"}],
        state_history=[{"state": "FAILED", "error": {"code": 2, "message": FAILED}}],
    )
    fake_kfp.logs = {"t-system-container-impl-9": "start\nfare is negative\n"}
    fake_kfp.history = [{"state": "FAILED", "run_details": {"task_details": [gate]}}]
    ran = run_cli("submit", kfp_file(), "--host", fake_kfp.url, "--wait")
    assert ran.code == 10
    assert "failed   data-gate, exit code 10: Error (exit code 10)" in ran.err
    assert "         | fare is negative" in ran.err
    assert "logs     kubectl -n kubeflow logs -l pipeline/runid=" in ran.err
    assert "reason   fare: 12 % of the rows are negative" in ran.err
    assert "state    failed" in ran.out


def test_wait_again_runs_and_cancel(run_cli, fake_kfp, kfp_file, outcome):
    run_cli("submit", kfp_file(), "--host", fake_kfp.url)
    (job_id,) = fake_kfp.runs
    ran = run_cli("wait", job_id, "--host", fake_kfp.url, "--timeout", "30")
    assert ran.code == 1
    assert "(--timeout 30); it goes on. Next: python kubeflow_runner.py wait" in ran.err
    assert run_cli("cancel", job_id, "--host", fake_kfp.url).code == 0
    rows = json.loads(run_cli("runs", "--host", fake_kfp.url, "--json").out)
    assert [(row["job"], row["state"]) for row in rows] == [(job_id, "CANCELING")]
    fake_kfp.history = [{"state": "CANCELED"}]
    ran = run_cli("wait", job_id, "--host", fake_kfp.url)
    assert ran.code == 1
    assert "reason   it was canceled" in ran.err


def test_vertex_from_the_file(run_cli, fake_vertex, vertex_file, outcome):
    ran = run_cli(
        "submit", vertex_file(), *place(fake_vertex), "--labels", "cost=a", "--service-account", "me@x", "--json"
    )
    found = json.loads(ran.out)
    (job_id,) = fake_vertex.jobs
    assert (ran.code, found["target"], found["job_id"], found["exit_code"]) == (0, "vertex", job_id, None)
    assert fake_vertex.jobs[job_id]["serviceAccount"] == "me@x"
    error = {"code": 9, "message": "The replica workerpool0-0 exited with a non-zero status of 137."}
    fake_vertex.history = [
        {"state": "PIPELINE_STATE_RUNNING"},
        {
            "state": "PIPELINE_STATE_FAILED",
            "jobDetail": {"taskDetails": [{"taskName": "trainer", "state": "FAILED", "error": error}]},
        },
    ]
    ran = run_cli("wait", job_id, *place(fake_vertex), "--json")
    found = json.loads(ran.out)
    assert ran.code == found["exit_code"] == 1
    assert found["failures"] == [{"task": "trainer", "exit_code": 137, "message": error["message"], "log": ""}]
    assert found["reason"] == "failed: trainer; it left no record in gs://ml/runs"


def test_a_full_name_says_that_it_is_vertex(run_cli, fake_vertex, vertex_file, monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme")
    monkeypatch.setenv("CLOUD_ML_REGION", "europe-west4")
    run_cli("submit", vertex_file(), "--api-endpoint", fake_vertex.url)
    (job_id,) = fake_vertex.jobs
    full = f"{fake_vertex.parent}/pipelineJobs/{job_id}"
    assert run_cli("cancel", full, "--api-endpoint", fake_vertex.url).code == 0
    assert fake_vertex.jobs[job_id]["state"] == "PIPELINE_STATE_CANCELLING"


def test_a_token_on_the_command_line_is_refused_and_not_told(run_cli, fake_kfp, kfp_file):
    ran = run_cli("submit", kfp_file(), "--host", fake_kfp.url, "--token", "hush")
    assert ran.code == 2
    assert "everybody on this machine would see it in the list of processes (ps)" in ran.err
    assert "Next: --token-file FILE, or the variable KFP_TOKEN" in ran.err
    assert "hush" not in ran.err + ran.out
    assert fake_kfp.requests == []


def test_a_token_in_the_middle_of_a_wait(run_cli, fake_kfp, kfp_file, clock, tmp_path, outcome):
    token = tmp_path / "token"
    token.write_text("one", encoding="utf-8")
    fake_kfp.token = "one"
    flags = ("--host", fake_kfp.url, "--token-file", str(token))

    def expire():
        fake_kfp.token = "two"
        token.write_text("two", encoding="utf-8")
        fake_kfp.history = [{"state": "SUCCEEDED"}]

    clock.on_sleep = expire
    ran = run_cli("submit", kfp_file(), *flags, "--wait")
    assert ran.code == 0
    assert fake_kfp.headers[-1]["authorization"] == "Bearer two"
    fake_kfp.token = "three"
    clock.on_sleep = lambda: None
    (job_id,) = fake_kfp.runs
    ran = run_cli("wait", job_id, *flags)
    assert ran.code == 1
    assert "the token is missing, wrong or expired (401) (tried 5 times)" in ran.err
    assert f"The run goes on, as far as is known. Next: python kubeflow_runner.py wait {job_id}" in ran.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "--host: where is Kubeflow Pipelines? Expected: --host https://…"),
        (("--host", "h", "--project", "p"), "--project is for --target vertex"),
        (("--host", "http://h", "--labels", "a=b"), "--labels is for --target vertex"),
        (("--target", "vertx"), "no target 'vertx'. Did you mean 'vertex'?"),
        (("--target", "vertex"), "Next: python kubeflow_runner.py compile --task taxi_tips --target vertex"),
        (("--host", "http://h", "--timeout", "9"), "--timeout: there is nothing to wait for"),
        (("--host", "http://h", "--parameter", "spam=7"), "Did you mean 'span'?"),
        (("--host", "http://h", "--parameter", "span=x"), "span is NUMBER_INTEGER"),
    ],
)
def test_usage_is_checked_before_anything_is_sent(run_cli, kfp_file, flags, said):
    ran = run_cli("submit", kfp_file(), *flags)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "Expected: --project or the variable GOOGLE_CLOUD_PROJECT"),
        (("--project", "acme"), "Expected: --region or the variable CLOUD_ML_REGION"),
        (("--project", "acme", "--region", "europe-west4", "--experiment", "e"), "--experiment is for --target kfp"),
        (("--project", "acme", "--region", "europe-west4", "--labels", "a"), "Expected: KEY=VALUE. Received: 'a'"),
    ],
)
def test_usage_of_vertex(run_cli, vertex_file, flags, said):
    ran = run_cli("submit", vertex_file(), *flags)
    assert ran.code == 2
    assert said in ran.err


def test_which_server_must_be_said_where_no_file_does(run_cli):
    ran = run_cli("runs")
    assert ran.code == 2
    assert "--target: which server?" in ran.err
    assert "flags of both" in run_cli("runs", "--host", "http://h", "--project", "p").err


def test_the_environment_says_where_kfp_is(run_cli, fake_kfp, monkeypatch):
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", fake_kfp.url)
    ran = run_cli("runs")
    assert (ran.code, ran.out.strip()) == (0, "none")


def test_links_lead_to_the_user_interface(run_cli, fake_kfp, kfp_file, monkeypatch):
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", "https://ui.example/pipeline/")
    assert (
        "link     https://ui.example/pipeline/#/runs/details/"
        in run_cli("submit", kfp_file(), "--host", fake_kfp.url).out
    )


def test_warnings_are_told(run_cli, kfp_file):
    ran = run_cli("submit", kfp_file(sdk="millrace-0.0.1"), "--host", "http://kfp.invalid")
    assert "was compiled by millrace-0.0.1" in ran.err
    assert "is plain http: a token would cross the network in clear" in ran.err
    assert (ran.code, "kfp.invalid is not a name that this machine can resolve" in ran.err) == (1, True)


def test_help_does_not_import_the_clients_of_the_servers():
    code = (
        "import sys, types, pathlib, pipeline\n"
        # Without the other commands, which have imports of their own.
        "package = types.ModuleType('pipeline.cli_kubeflow')\n"
        "package.__path__ = [str(pathlib.Path(pipeline.__file__).parent / 'cli_kubeflow')]\n"
        "sys.modules[package.__name__] = package\n"
        "import pipeline.cli_kubeflow.submit, pipeline.cli_kubeflow.schedule\n"
        "found = [m for m in ('kfp', 'kfp_server_api', 'google.cloud.aiplatform_v1', 'tensorflow') if m in sys.modules]\n"
        "sys.exit(' '.join(found) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
