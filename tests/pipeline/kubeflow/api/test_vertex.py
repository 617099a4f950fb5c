import socket
from datetime import UTC, datetime

import pytest

from pipeline.errors import MillraceError, UsageError
from pipeline.kubeflow.api import cron, vertex
from pipeline.kubeflow.api import package as packages
from pipeline.kubeflow.api.backend import Order, Timetable
from pipeline.kubeflow.api.vertex import Place, Vertex


@pytest.fixture
def order(vertex_file):
    package = packages.read(vertex_file())
    return Order(package, {"span": 7}, "nightly", labels={"cost": "a"}, network="projects/1/global/networks/n")


@pytest.fixture
def server(fake_vertex, clock):
    return Vertex(Place("acme", "europe-west4", fake_vertex.url), clock)


def daily(zone="UTC", **more):
    return Timetable(cron.parse("0 3 * * *", zone), **more)


def test_a_run_is_submitted_with_the_files_and_the_commands_values(server, fake_vertex, order):
    job = server.submit(order)
    assert job.job_id.startswith("nightly-")
    sent = fake_vertex.jobs[job.job_id]
    assert sent["displayName"] == "nightly"
    assert sent["labels"] == {"team": "ml", "cost": "a"}
    assert sent["serviceAccount"] == "file@acme.iam.gserviceaccount.com"
    assert sent["network"] == "projects/1/global/networks/n"
    assert sent["runtimeConfig"] == {
        "gcsOutputDirectory": "gs://ml/runs",
        "parameterValues": {"span": 7.0, "window": 1.0},
    }
    assert sent["pipelineSpec"] == order.package.spec
    assert (job.state, job.root) == ("PENDING", "gs://ml/runs")
    assert job.link == (
        f"https://console.cloud.google.com/vertex-ai/locations/europe-west4/pipelines/runs/{job.job_id}?project=acme"
    )
    full = f"projects/acme/locations/europe-west4/pipelineJobs/{job.job_id}"
    assert server.job(job.job_id) == server.job(full) == job
    # Whatever is asked of a server on this machine, no credentials go with it.
    assert all("authorization" not in headers for headers in fake_vertex.headers)


def test_the_file_itself_is_not_changed(server, order):
    server.submit(order)
    assert order.package.job["runtimeConfig"]["parameterValues"] == {"span": -1, "window": 1}
    assert order.package.job["labels"] == {"team": "ml"}


def test_a_field_that_the_api_has_not_is_told(server, order):
    order.package.job["displayNmae"] = "x"
    with pytest.raises(UsageError, match=r'no field named "displayNmae".*Next: compile it again'):
        server.submit(order)


def test_429_503_and_a_lost_answer(server, fake_vertex, clock, order):
    fake_vertex.faults = [(429, {"retry-after": "9"}, {"error": {"code": 429, "message": "quota"}})]
    server.submit(order)
    assert clock.sleeps == [9.0]
    fake_vertex.faults = [(503, {}, {"error": {"code": 503, "message": "away"}})] * 3
    server.submit(order)
    assert clock.sleeps[1:] == [1.0, 2.0, 4.0]
    fake_vertex.faults = ["lost"]
    job = server.submit(order)
    assert list(fake_vertex.jobs)[2:] == [job.job_id]


def test_what_the_user_is_told(server, fake_vertex, clock, order):
    fake_vertex.faults = [(503, {}, "<html>away</html>")] * 50
    with pytest.raises(
        MillraceError, match=r"Vertex AI \(acme, europe-west4\) is out of order \(503\) \(tried 6 times\)"
    ):
        server.job("x")
    fake_vertex.faults = [(401, {}, {"error": {"code": 401, "message": "Request had invalid credentials."}})]
    with pytest.raises(
        MillraceError, match=r"missing, wrong or expired \(401\).*Next: gcloud auth application-default login"
    ):
        server.job("x")
    with pytest.raises(MillraceError, match=r"\(404\).*x is not found. Next: check --project, --region"):
        server.job("x")
    fake_vertex.right = False
    with pytest.raises(MillraceError, match=r"\(403\).*Permission 'aiplatform.*ask for roles/aiplatform.user"):
        server.submit(order)
    fake_vertex.right = True
    fake_vertex.faults = [(200, {}, "<html>log in</html>")]
    with pytest.raises(MillraceError, match="something else than this API"):
        server.job("x")


def test_refused_unknown_and_silent_hosts(fake_vertex, clock, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = Vertex(Place("acme", "europe-west4", f"http://127.0.0.1:{free.getsockname()[1]}"), clock)
        with pytest.raises(MillraceError, match="refuses connections") as caught:
            closed.job("x")
    assert "object at" not in str(caught.value)
    assert len(clock.sleeps) == 5
    monkeypatch.setattr(vertex, "_SECONDS", 0.1)
    fake_vertex.faults = ["hang"] * 6
    with pytest.raises(MillraceError, match=r"did not answer in time.*\(tried 6 times\)"):
        Vertex(Place("acme", "europe-west4", fake_vertex.url), clock).job("x")


def test_no_credentials_is_one_line(clock, monkeypatch):
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def none(**options):
        raise DefaultCredentialsError("Your default credentials were not found. To set up …")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(MillraceError, match=r"were not found. Next: gcloud auth application-default login"):
        Vertex(Place("acme", "europe-west4"), clock)


@pytest.mark.parametrize(("project", "region"), [("", "europe-west4"), ("acme", "europe"), ("a b", "europe-west4")])
def test_places(project, region):
    with pytest.raises(UsageError, match=r"e.g. my-project and europe-west4"):
        Place(project, region)


def test_credentials_do_not_go_over_plain_http():
    with pytest.raises(UsageError, match="credentials are not sent over plain http"):
        Place("acme", "europe-west4", "http://vertex.example")
    assert Place("acme", "europe-west4").host == "europe-west4-aiplatform.googleapis.com"


def test_tasks_have_their_states_and_errors(server, fake_vertex, order):
    job = server.submit(order)
    error = {"code": 9, "message": "The replica workerpool0-0 exited with a non-zero status of 10."}
    details = [
        {"taskName": "pipeline", "state": "FAILED"},
        {"taskName": "example-gen", "state": "SUCCEEDED"},
        {"taskName": "data-gate", "state": "FAILED", "error": error},
        {"taskName": "trainer", "state": "NOT_TRIGGERED"},
    ]
    fake_vertex.history = [{"state": "PIPELINE_STATE_CANCELLED", "jobDetail": {"taskDetails": details}}]
    seen = server.job(job.job_id)
    assert {name: task.state for name, task in seen.tasks.items()} == {
        "example-gen": "SUCCEEDED",
        "data-gate": "FAILED",
        "trainer": "SKIPPED",
    }
    assert seen.tasks["data-gate"].message == error["message"]
    assert (seen.state, seen.ended) == ("CANCELED", True)
    assert f"gcloud logging read '\"{job.job_id}\"' --project acme" in server.log_command(job, None)


def test_recent_and_cancel(server, order):
    job = server.submit(order)
    assert [one.job_id for one in server.recent(5)] == [job.job_id]
    server.cancel(job.job_id)
    assert server.job(job.job_id).state == "CANCELING"


def test_a_schedule_has_its_zone_and_all_that_was_asked(server, fake_vertex, order):
    start, end = datetime(2030, 2, 1, tzinfo=UTC), datetime(2031, 2, 1, tzinfo=UTC)
    made = server.create_schedule(order, daily("Europe/Berlin", max_concurrency=2, start=start, end=end))
    (sent,) = fake_vertex.schedules.values()
    assert sent["cron"] == "TZ=Europe/Berlin 0 3 * * *"
    assert (sent["maxConcurrentRunCount"], sent["maxConcurrentActiveRunCount"]) == ("2", "2")
    assert (sent["startTime"], sent["endTime"]) == ("2030-02-01T00:00:00Z", "2031-02-01T00:00:00Z")
    job = sent["createPipelineJobRequest"]["pipelineJob"]
    assert job["labels"] == {"team": "ml", "cost": "a"}
    assert job["runtimeConfig"]["parameterValues"] == {"span": 7.0, "window": 1.0}
    assert (made.name, made.cron, made.state) == ("nightly", "TZ=Europe/Berlin 0 3 * * *", "ENABLED")
    assert made.next_run == "2030-01-02T02:00:00+00:00"


def test_schedules_are_listed_paused_resumed_and_deleted(server, fake_vertex, order):
    made = [server.create_schedule(order, daily()) for _ in range(3)]
    assert server.schedules() == server.schedules("nightly") == made
    first = made[0].schedule_id
    server.pause(first)
    assert [one.state for one in server.schedules()] == ["PAUSED", "ENABLED", "ENABLED"]
    server.resume(first, catch_up=True)
    assert fake_vertex.schedules[first]["state"] == "ACTIVE"
    assert fake_vertex.schedules[first]["catchUp"] is True
    server.delete(first)
    assert [one.schedule_id for one in server.schedules()] == [one.schedule_id for one in made[1:]]
    with pytest.raises(MillraceError, match="404"):
        server.delete(first)


def test_a_schedule_whose_answer_was_lost_is_made_once(server, fake_vertex, order):
    server.create_schedule(order, daily())
    fake_vertex.faults = [None, "lost"]
    made = server.create_schedule(order, daily())
    assert list(fake_vertex.schedules)[1:] == [made.schedule_id]


def test_catching_up_is_said_at_resume(server, order):
    with pytest.raises(UsageError, match="later schedule resume NAME --catch-up"):
        server.create_schedule(order, daily(catch_up=True))
