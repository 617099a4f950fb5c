import json
import socket
from datetime import UTC, datetime

import pytest
import yaml

from pipeline.errors import MillraceError, UsageError
from pipeline.kubeflow.api import cron, kfp_http
from pipeline.kubeflow.api import package as packages
from pipeline.kubeflow.api.backend import Order, TaskRun, Timetable
from pipeline.kubeflow.api.kfp import Kfp, pipeline_spec
from pipeline.kubeflow.api.kfp_http import Server, read_token


@pytest.fixture
def order(kfp_file):
    return Order(packages.read(kfp_file()), {"span": 7}, "nightly", service_account="runner")


@pytest.fixture
def server(fake_kfp, clock):
    return Kfp(Server(fake_kfp.url), clock)


def daily(**more):
    return Timetable(cron.parse("0 3 * * *"), **more)


def test_a_run_is_submitted_with_all_that_was_asked(server, fake_kfp, order):
    job = server.submit(order)
    (sent,) = fake_kfp.sent("POST", "/runs")
    assert sent["display_name"] == "nightly"
    assert sent["service_account"] == "runner"
    assert sent["runtime_config"] == {"parameters": {"span": 7}, "pipeline_root": "s3://ml/runs"}
    assert sent["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    (experiment,) = fake_kfp.experiments.values()
    assert (experiment["display_name"], sent["experiment_id"]) == ("Default", experiment["experiment_id"])
    assert (job.state, job.root) == ("PENDING", "s3://ml/runs")
    assert job.link == f"{fake_kfp.url}/#/runs/details/{job.job_id}"
    assert server.job(job.job_id) == job


def test_the_spec_is_the_one_that_kfps_own_client_sends(kfp_file):
    from kfp.client import client

    path = kfp_file()
    assert pipeline_spec(packages.read(path)) == client._extract_pipeline_yaml(path).to_dict()
    (spec, _) = yaml.safe_load_all(open(path, encoding="utf-8"))
    with open(path, "w", encoding="utf-8") as stream:
        yaml.safe_dump(spec, stream)
    assert pipeline_spec(packages.read(path)) == client._extract_pipeline_yaml(path).to_dict()
    spec["root"]["dag"]["tusks"] = {}
    with open(path, "w", encoding="utf-8") as stream:
        yaml.safe_dump(spec, stream)
    with pytest.raises(UsageError, match=r'no field named "tusks".*Next: compile it again'):
        pipeline_spec(packages.read(path))


def test_an_experiment_is_found_by_its_name_or_made(fake_kfp, clock, order):
    for _ in range(2):
        Kfp(Server(fake_kfp.url), clock, experiment="50% + more").submit(order)
    assert [one["display_name"] for one in fake_kfp.experiments.values()] == ["50% + more"]
    next(iter(fake_kfp.experiments.values()))["storage_state"] = "ARCHIVED"
    with pytest.raises(MillraceError, match=r"'50% \+ more' is archived"):
        Kfp(Server(fake_kfp.url), clock, experiment="50% + more").submit(order)


def test_a_namespace_goes_with_what_needs_it(fake_kfp, clock, order):
    fake_kfp.multi_user = True
    server = Kfp(Server(fake_kfp.url, namespace="team-a"), clock)
    server.submit(order)
    assert next(iter(fake_kfp.experiments.values()))["namespace"] == "team-a"
    assert [job.name for job in server.recent(5)] == ["nightly"]
    with pytest.raises(
        UsageError, match=r"does not take the request \(400\).*in multi-user mode --namespace is needed"
    ):
        Kfp(Server(fake_kfp.url), clock).submit(order)


def test_429_is_waited_out_as_the_server_asks(server, fake_kfp, clock, order):
    server.submit(order)
    fake_kfp.faults = [(429, {"retry-after": "7"}, {"message": "slow down"})]
    assert server.job(next(iter(fake_kfp.runs))).name == "nightly"
    assert clock.sleeps == [7.0]


def test_503_thrice_then_ok_makes_one_run(server, fake_kfp, clock, order):
    server.schedules()
    fake_kfp.faults = [None, None, *[(503, {}, "<html>no healthy upstream</html>")] * 3]
    server.submit(order)
    assert len(fake_kfp.runs) == 1
    # The second and the third 503 met the look for what the first attempt made.
    assert clock.sleeps == [1.0, 2.0, 4.0]


def test_503_for_ever_ends(server, fake_kfp, clock):
    fake_kfp.faults = [(503, {}, "<html>no healthy upstream</html>")] * 50
    with pytest.raises(MillraceError) as caught:
        server.job("x")
    assert "is out of order (503) (tried 6 times)." in str(caught.value)
    assert "html" not in str(caught.value)
    assert sum(clock.sleeps) <= 90


def test_a_run_whose_answer_was_lost_is_not_made_twice(server, fake_kfp, order):
    server.submit(order)
    fake_kfp.faults = [None, "lost"]
    job = server.submit(order)
    assert len(fake_kfp.sent("POST", "/runs")) == 2
    # Of the same name, it is told from the first one by its mark.
    assert list(fake_kfp.runs)[1] == job.job_id


def test_what_the_user_is_told_of_401_403_and_404(fake_kfp, clock, order):
    fake_kfp.token = "good"
    with pytest.raises(
        MillraceError, match=r"the token is missing, wrong or expired \(401\).*Next: a new token: kubectl"
    ):
        Kfp(Server(fake_kfp.url), clock).submit(order)
    fake_kfp.token, fake_kfp.right = None, False
    with pytest.raises(MillraceError, match=r"not allowed \(403\).*User 'jo'.*ask for the role kubeflow-edit .*team-a"):
        Kfp(Server(fake_kfp.url, namespace="team-a"), clock).submit(order)
    fake_kfp.right = True
    with pytest.raises(MillraceError, match=r"has no such thing \(404\).*runs x not found.*check --host"):
        Kfp(Server(fake_kfp.url), clock).job("x")
    assert clock.sleeps == []


def test_a_token_that_was_renewed_is_read_again(fake_kfp, clock, order, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n", encoding="utf-8")
    fake_kfp.token = "first"
    server = Kfp(Server(fake_kfp.url, token_file=str(token)), clock)
    job = server.submit(order)
    fake_kfp.token = "second"
    token.write_text("second\n", encoding="utf-8")
    assert server.job(job.job_id) == job
    assert clock.sleeps == []
    fake_kfp.token = "third"
    clock.on_sleep = lambda: token.write_text("third\n", encoding="utf-8")
    assert server.job(job.job_id, within=60.0) == job
    assert clock.sleeps == [2.0]
    fake_kfp.token = "fourth"
    with pytest.raises(MillraceError, match="401") as caught:
        server.job(job.job_id, within=60.0)
    assert "third" not in str(caught.value)


def test_where_the_token_comes_from(tmp_path, monkeypatch):
    server = Server("https://kfp.example")
    assert read_token(server) is None
    (tmp_path / "pod").write_text("of-pod", encoding="utf-8")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "pod"))
    assert read_token(server) == "of-pod"
    monkeypatch.setenv("KFP_TOKEN", "of-variable\n")
    assert read_token(server) == "of-variable"
    (tmp_path / "file").write_text("of-file", encoding="utf-8")
    assert read_token(Server("https://kfp.example", token_file=str(tmp_path / "file"))) == "of-file"
    with pytest.raises(UsageError, match="can't be read: No such file"):
        read_token(Server("https://kfp.example", token_file=str(tmp_path / "none")))
    (tmp_path / "file").write_text("secret two", encoding="utf-8")
    with pytest.raises(UsageError, match=r"Expected: one token. Received: 2 words") as caught:
        read_token(Server("https://kfp.example", token_file=str(tmp_path / "file")))
    assert "secret" not in str(caught.value)


def test_a_refused_connection_and_an_unknown_name_are_one_line(clock):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(MillraceError) as caught:
            Kfp(Server(f"http://127.0.0.1:{port}"), clock).job("x")
    assert f"Kubeflow Pipelines at 127.0.0.1:{port} refuses connections" in str(caught.value)
    assert "object at" not in str(caught.value)
    assert len(clock.sleeps) == 5
    with pytest.raises(MillraceError, match=r"kfp.invalid is not a name that this machine can resolve"):
        Kfp(Server("http://kfp.invalid"), clock).job("x")
    assert len(clock.sleeps) == 5


def test_a_server_that_does_not_answer(server, fake_kfp, monkeypatch):
    monkeypatch.setattr(kfp_http, "_READ_SECONDS", 0.1)
    fake_kfp.faults = ["hang"] * 6
    with pytest.raises(MillraceError, match=r"did not answer in time.*\(tried 6 times\)"):
        server.job("x")


def test_a_login_page_is_told_from_the_api(server, fake_kfp):
    fake_kfp.faults = [(200, {"content-type": "text/html"}, "<html>log in</html>")]
    with pytest.raises(MillraceError, match=r"something else than this API.*behind a login page it needs a token"):
        server.job("x")
    fake_kfp.faults = [(302, {"location": "https://dex.example/auth?state=secret"}, "")]
    with pytest.raises(MillraceError, match=r"a redirect to dex.example") as caught:
        server.job("x")
    assert "secret" not in str(caught.value)


def test_a_certificate_that_is_not_trusted(clock, tmp_path, tls_server):
    url, authority = tls_server
    with pytest.raises(MillraceError, match=r"a certificate that is not trusted here. Next: --ca-cert FILE"):
        Kfp(Server(url), clock).job("x")
    with pytest.raises(MillraceError, match="404"):
        Kfp(Server(url, ca_cert=authority), clock).job("x")
    (tmp_path / "no.pem").write_text("nothing", encoding="utf-8")
    with pytest.raises(UsageError, match=r"Expected: a file with certificates in PEM.*no\.pem"):
        Server(url, ca_cert=str(tmp_path / "no.pem"))
    with pytest.raises(UsageError, match=r"none\.pem \(No such file or directory\)"):
        Server(url, ca_cert=str(tmp_path / "none.pem"))


@pytest.mark.parametrize("host", ["kfp.example", "ftp://kfp", "http://", ""])
def test_a_host_that_is_none(host):
    with pytest.raises(UsageError, match=r"Expected: https://HOST.*Next: kubectl -n kubeflow port-forward"):
        Server(host)


def test_hosts():
    with pytest.raises(UsageError, match="has a password in it") as caught:
        Server("https://jo:hunter2@kfp.example")
    assert "hunter2" not in str(caught.value)
    assert Server("https://kfp.example/pipeline/#/runs").url == "https://kfp.example/pipeline"
    clear = ["http://kfp.example", "http://10.0.0.1:8888"]
    inside = [
        "http://localhost:8888",
        "http://127.0.0.1",
        "http://ml-pipeline.kubeflow.svc:8888",
        "https://kfp.example",
    ]
    assert [Server(host).clear_text for host in clear + inside] == [True] * 2 + [False] * 4


def test_tasks_are_those_of_the_spec(server, fake_kfp, order, task_of_kfp):
    job = server.submit(order)
    error = {"error": {"code": 2, "message": "Error (exit code 10)"}, "state": "FAILED"}
    nodes = [
        task_of_kfp("taxi-tips-x1", "FAILED"),
        task_of_kfp("root-driver", "SUCCEEDED"),
        task_of_kfp("pipeline", "FAILED"),
        task_of_kfp("example-gen", "SUCCEEDED"),
        task_of_kfp("example-gen-driver", "SUCCEEDED"),
        task_of_kfp("data-gate", "FAILED", child_tasks=[{"pod_name": "taxi-tips-x1-77"}], state_history=[error]),
        task_of_kfp("executor", "FAILED"),
        task_of_kfp("trainer-driver", "FAILED"),
        task_of_kfp("finish-driver", "RUNNING"),
    ]
    fake_kfp.history = [{"state": "FAILED", "run_details": {"task_details": nodes}}]
    tasks = server.job(job.job_id).tasks
    assert {name: task.state for name, task in tasks.items()} == {
        "example-gen": "SUCCEEDED",
        "data-gate": "FAILED",
        "trainer": "FAILED",
        "finish": "PENDING",
    }
    assert tasks["data-gate"].message == "Error (exit code 10)"
    fake_kfp.logs = {"taxi-tips-x1-system-container-impl-77": "\n".join(map(str, range(50)))}
    assert server.log(job, tasks["data-gate"]).splitlines() == [str(number) for number in range(30, 50)]
    assert server.log(job, tasks["trainer"]) == server.log(job, TaskRun("x", "FAILED", pods=("none",))) == ""
    assert server.log_command(job, None) == (
        f"kubectl -n kubeflow logs -l pipeline/runid={job.job_id} -c main --prefix --tail=50"
    )


def test_a_state_that_is_new_does_not_end_the_look(server, fake_kfp, order):
    job = server.submit(order)
    fake_kfp.faults = [(200, {}, {"run_id": job.job_id, "state": "SLEEPING", "novelty": 1})]
    assert server.job(job.job_id).state == "SLEEPING"


def test_cancel(server, fake_kfp, order):
    job = server.submit(order)
    server.cancel(job.job_id)
    assert server.job(job.job_id).state == "CANCELING"


def test_a_schedule_has_six_fields_and_all_that_was_asked(server, fake_kfp, order):
    start, end = datetime(2030, 2, 1, tzinfo=UTC), datetime(2031, 2, 1, tzinfo=UTC)
    made = server.create_schedule(order, daily(max_concurrency=2, start=start, end=end))
    (sent,) = fake_kfp.sent("POST", "/recurringruns")
    assert sent["trigger"] == {
        "cron_schedule": {
            "cron": "0 0 3 * * *",
            "start_time": "2030-02-01T00:00:00+00:00",
            "end_time": "2031-02-01T00:00:00+00:00",
        }
    }
    assert (sent["max_concurrency"], sent["no_catchup"], sent["mode"]) == ("2", True, "ENABLE")
    assert sent["runtime_config"] == {"parameters": {"span": 7}, "pipeline_root": "s3://ml/runs"}
    assert (made.name, made.cron, made.state, made.max_concurrency) == ("nightly", "0 0 3 * * *", "ENABLED", 2)
    assert made.next_run == "2030-02-01T03:00:00+00:00"
    assert made.link == f"{fake_kfp.url}/#/recurringrun/details/{made.schedule_id}"
    server.create_schedule(order, daily(catch_up=True))
    assert fake_kfp.sent("POST", "/recurringruns")[1]["no_catchup"] is False


def test_schedules_are_listed_paused_resumed_and_deleted_without_their_runs(server, fake_kfp, order):
    made = [server.create_schedule(order, daily()) for _ in range(3)]
    assert server.schedules() == server.schedules("nightly") == made
    assert server.schedules("other") == []
    first = made[0].schedule_id
    server.pause(first)
    assert [(one.state, one.next_run != "") for one in server.schedules()] == [
        ("PAUSED", False),
        ("ENABLED", True),
        ("ENABLED", True),
    ]
    server.resume(first)
    assert server.schedules()[0].state == "ENABLED"
    with pytest.raises(UsageError, match="has it for the whole schedule"):
        server.resume(first, catch_up=True)
    server.delete(first)
    assert fake_kfp.deleted == {first: "ORPHAN"}
    with pytest.raises(MillraceError, match="404"):
        server.delete(first)


def test_a_schedule_or_delete_whose_answer_was_lost_is_done_once(server, fake_kfp, order):
    fake_kfp.faults = [None, None, "lost"]
    made = server.create_schedule(order, daily())
    assert list(fake_kfp.recurring) == [made.schedule_id]
    fake_kfp.faults = ["lost"]
    server.delete(made.schedule_id)
    assert fake_kfp.recurring == {}


def test_kfp_has_ten_runs_at_a_time_at_most(server, order):
    with pytest.raises(UsageError, match=r"has 1 to 10. Received: 11"):
        server.create_schedule(order, daily(max_concurrency=11))


def test_the_token_is_sent_and_never_told(fake_kfp, clock, monkeypatch, caplog):
    monkeypatch.setenv("KFP_TOKEN", "hush")
    fake_kfp.token = "other"
    with caplog.at_level("DEBUG"), pytest.raises(MillraceError) as caught:
        Kfp(Server(fake_kfp.url), clock).job("x")
    assert fake_kfp.headers[-1]["authorization"] == "Bearer hush"
    assert "hush" not in str(caught.value) + caplog.text + json.dumps([str(one) for one in caught.value.args])
