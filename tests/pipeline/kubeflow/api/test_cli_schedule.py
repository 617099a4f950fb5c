import json

import pytest


@pytest.fixture
def kfp(run_cli, fake_kfp):
    return lambda *arguments: run_cli("schedule", *arguments, "--host", fake_kfp.url)


@pytest.fixture
def vertex(run_cli, fake_vertex):
    place = ("--project", "acme", "--region", "europe-west4", "--api-endpoint", fake_vertex.url)
    return lambda *arguments: run_cli("schedule", *arguments, *place)


def test_create_shows_the_next_three_times(kfp, fake_kfp, kfp_file):
    ran = kfp("create", kfp_file(), "--cron", "0 3 * * 1-5", "--parameter", "span=7", "--max-concurrency", "2")
    assert ran.code == 0
    (made,) = fake_kfp.recurring.values()
    assert made["trigger"]["cron_schedule"] == {"cron": "0 0 3 * * 1-5"}
    assert (made["display_name"], made["max_concurrency"], made["no_catchup"]) == ("taxi-tips", "2", True)
    assert made["runtime_config"] == {"parameters": {"span": 7}, "pipeline_root": "s3://ml/runs"}
    assert [line for line in ran.err.splitlines() if line.startswith("next")] == [
        "next     Wed 2030-01-02 03:00:00 UTC",
        "next     Thu 2030-01-03 03:00:00 UTC",
        "next     Fri 2030-01-04 03:00:00 UTC",
    ]
    assert f"link     {fake_kfp.url}/#/recurringrun/details/{made['recurring_run_id']}" in ran.err


def test_a_name_that_is_taken_is_refused_unless_replaced(kfp, fake_kfp, kfp_file):
    kfp("create", kfp_file(), "--cron", "0 3 * * *")
    (old,) = fake_kfp.recurring
    ran = kfp("create", kfp_file(), "--cron", "0 4 * * *")
    assert ran.code == 2
    assert f"a schedule 'taxi-tips' is there: {old} (ENABLED, 0 0 3 * * *)" in ran.err
    assert list(fake_kfp.recurring) == [old]
    ran = kfp("create", kfp_file(), "--cron", "0 4 * * *", "--replace")
    assert ran.code == 0
    assert f"removed {old}, which was 0 0 3 * * *" in ran.err
    (new,) = fake_kfp.recurring.values()
    assert new["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    # The new one first, and the old one's runs go on.
    made, removed = [(verb, path) for verb, path, _ in fake_kfp.requests if verb != "GET"][-2:]
    assert made == ("POST", "/apis/v2beta1/recurringruns")
    assert removed == ("DELETE", f"/apis/v2beta1/recurringruns/{old}")
    assert fake_kfp.deleted == {old: "ORPHAN"}


def test_an_old_one_that_can_not_be_removed_is_told(kfp, fake_kfp, kfp_file):
    kfp("create", kfp_file(), "--cron", "0 3 * * *")
    (old,) = fake_kfp.recurring
    fake_kfp.faults = [None, None, None, (403, {}, {"message": "no right to delete"})]
    ran = kfp("create", kfp_file(), "--cron", "0 4 * * *", "--replace")
    assert ran.code == 1
    assert f"the old {old} is still there, and both run" in ran.err
    assert f"Then: python kubeflow_runner.py schedule delete {old}" in ran.err
    assert len(fake_kfp.recurring) == 2


def test_list_pause_resume_delete_by_name_and_id(kfp, fake_kfp, kfp_file):
    kfp("create", kfp_file(), "--cron", "0 3 * * *", "--name", "nightly")
    (schedule_id,) = fake_kfp.recurring
    (row,) = json.loads(kfp("list", "--json").out)
    assert (row["name"], row["cron"], row["state"], row["next_run"]) == (
        "nightly",
        "0 0 3 * * *",
        "ENABLED",
        "2030-01-02T03:00:00+00:00",
    )
    assert kfp("pause", "nightly").code == 0
    assert fake_kfp.recurring[schedule_id]["status"] == "DISABLED"
    assert "paused" in kfp("list").out
    assert kfp("resume", schedule_id).code == 0
    assert fake_kfp.recurring[schedule_id]["status"] == "ENABLED"
    ran = kfp("delete", "nightlly")
    assert ran.code == 2
    assert "no schedule 'nightlly'. Did you mean 'nightly'? Known: nightly." in ran.err
    assert kfp("delete", "nightly").code == 0
    assert fake_kfp.recurring == {}
    assert kfp("list").out.strip() == "none"


def test_several_of_a_name_need_an_id(kfp, fake_kfp, kfp_file):
    kfp("create", kfp_file(), "--cron", "0 3 * * *")
    (first,) = list(fake_kfp.recurring)
    twin = {**fake_kfp.recurring[first], "recurring_run_id": "twin"}
    fake_kfp.recurring["twin"] = twin
    ran = kfp("delete", "taxi-tips")
    assert ran.code == 2
    assert f"2 are named 'taxi-tips'. Expected: an id. Received: 'taxi-tips'. Next: {first}, twin" in ran.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--cron", "61 3 * * *"), "- minute. Expected: 0-59"),
        (("--cron", "0 3 * *"), "Expected: 5 fields"),
        (("--cron", "0 3 * * *", "--timezone", "Mars"), "no time zone 'Mars'"),
        (("--cron", "0 3 * * *", "--timezone", "Europe/Berlin"), "one time zone for the whole cluster (UTC"),
        (("--cron", "0 3 * * *", "--max-concurrency", "11"), "has 1 to 10. Received: 11"),
        (("--cron", "0 3 * * *", "--start", "tomorrow"), "--start: Expected: a date and time"),
        (("--cron", "0 3 * * *", "--end", "2030-01-01T13:00"), "never comes between 2030-01-01 12:00 and"),
        (("--cron", "0 3 * * *", "--network", "n"), "--network is for --target vertex"),
        (("--cron", "0 3 * * *", "--parameter", "spam=1"), "Did you mean 'span'?"),
    ],
)
def test_usage_is_checked_before_anything_is_made(kfp, fake_kfp, kfp_file, flags, said):
    ran = kfp("create", kfp_file(), *flags)
    assert ran.code == 2
    assert said in ran.err
    assert fake_kfp.recurring == {}


def test_the_zone_of_the_cluster(kfp, fake_kfp, kfp_file):
    zones = ("--timezone", "Europe/Berlin", "--cluster-timezone", "Europe/Berlin")
    assert kfp("create", kfp_file(), "--cron", "0 3 * * *", *zones).code == 0
    ran = kfp("create", kfp_file(), "--cron", "0 3 * * *", "--timezone", "Asia/Tokyo", "--name", "tokyo")
    assert "next     Wed 2030-01-02 03:00:00 Asia/Tokyo" in ran.err
    crons = [one["trigger"]["cron_schedule"]["cron"] for one in fake_kfp.recurring.values()]
    assert crons == ["0 0 3 * * *", "0 0 18 * * *"]


def test_start_and_end_are_meant_in_the_zone(vertex, fake_vertex, vertex_file):
    ran = vertex(
        *("create", vertex_file(), "--cron", "0 3 * * *", "--timezone", "Europe/Berlin"),
        *("--start", "2030-06-01T00:00", "--end", "2030-06-02T12:00", "--json"),
    )
    assert ran.code == 0
    (made,) = fake_vertex.schedules.values()
    assert (made["startTime"], made["endTime"]) == ("2030-05-31T22:00:00Z", "2030-06-02T10:00:00Z")
    assert made["cron"] == "TZ=Europe/Berlin 0 3 * * *"
    found = json.loads(ran.out)
    assert found["target"] == "vertex"
    assert found["next_times"] == ["2030-06-01T03:00:00+02:00", "2030-06-02T03:00:00+02:00"]


def test_vertex_schedules(vertex, fake_vertex, vertex_file):
    assert vertex("create", vertex_file(), "--cron", "0 3 * * *", "--name", "nightly").code == 0
    assert vertex("create", vertex_file(), "--cron", "0 4 * * *", "--name", "nightly").code == 2
    (old,) = fake_vertex.schedules
    assert vertex("pause", "nightly").code == 0
    assert fake_vertex.schedules[old]["state"] == "PAUSED"
    assert vertex("resume", "nightly", "--catch-up").code == 0
    assert fake_vertex.schedules[old]["catchUp"] is True
    assert vertex("create", vertex_file(), "--cron", "0 4 * * *", "--name", "nightly", "--replace").code == 0
    (new,) = fake_vertex.schedules.values()
    assert new["cron"] == "TZ=UTC 0 4 * * *"
    ran = vertex("create", vertex_file(), "--cron", "0 4 * * *", "--cluster-timezone", "UTC")
    assert (ran.code, "--cluster-timezone is for --target kfp" in ran.err) == (2, True)
    ran = vertex("create", vertex_file(), "--cron", "30 0 4 * * *", "--name", "other")
    assert (ran.code, "Vertex AI has no seconds" in ran.err) == (2, True)
    assert vertex("delete", "nightly").code == 0
    assert fake_vertex.schedules == {}
