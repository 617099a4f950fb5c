from datetime import UTC, datetime

import pytest

from pipeline.errors import UsageError
from pipeline.kubeflow.api import cron

NOW = datetime(2030, 3, 29, 12, tzinfo=UTC)


def of_kfp(text: str, zone: str = "UTC", cluster: str = "UTC") -> str:
    return cron.parse(text, zone).for_kfp(cluster, NOW)


@pytest.mark.parametrize(
    ("text", "kfp", "vertex"),
    [
        ("0 3 * * *", "0 0 3 * * *", "TZ=UTC 0 3 * * *"),
        ("@daily", "0 0 0 * * *", "TZ=UTC 0 0 * * *"),
        ("*/15 9-17 1,15 jan-mar MON", "0 */15 9-17 1,15 jan-mar MON", "TZ=UTC */15 9-17 1,15 jan-mar MON"),
        ("0 5 3 ? * *", "0 5 3 ? * *", "TZ=UTC 5 3 * * *"),
        ("0 3 * * 7", "0 0 3 * * 0", "TZ=UTC 0 3 * * 7"),
        ("0 3 * * 5-7", "0 0 3 * * 0,5,6", "TZ=UTC 0 3 * * 5-7"),
    ],
)
def test_each_server_gets_its_own_form(text, kfp, vertex):
    assert of_kfp(text) == kfp
    assert cron.parse(text).for_vertex() == vertex


def test_six_fields_pass_and_vertex_has_no_seconds():
    assert of_kfp("30 0 3 * * *") == "30 0 3 * * *"
    with pytest.raises(UsageError, match=r"no seconds.*Received: second=30.*Next: --cron '0 3 \* \* \*'"):
        cron.parse("30 0 3 * * *").for_vertex()


@pytest.mark.parametrize(
    ("text", "wrong", "rule"),
    [
        ("61 3 * * *", "minute", "0-59"),
        ("0 24 * * *", "hour", "0-23"),
        ("0 3 0 * *", "day-of-month", "1-31"),
        ("0 3 * 13 *", "month", "1-12, JAN-DEC"),
        ("0 3 * * 8", "day-of-week", "0-7, SUN-SAT"),
        ("0 3 * * FOO", "day-of-week", "0-7, SUN-SAT"),
        ("60 0 3 * * *", "second", "0-59"),
        ("5-1 * * * *", "minute", "0-59"),
        ("*/0 * * * *", "minute", "0-59"),
        ("1,,2 * * * *", "minute", "0-59"),
        ("-1 * * * *", "minute", "0-59"),
        ("*-3 * * * *", "minute", "0-59"),
        ("0 3 L * *", "day-of-month", "1-31"),
        ("0 3 * * 5#2", "day-of-week", "0-7"),
        ("٣ 3 * * *", "minute", "0-59"),
    ],
)
def test_a_wrong_field_is_named(text, wrong, rule):
    with pytest.raises(UsageError) as caught:
        cron.parse(text)
    assert f"- {wrong}. Expected: {rule}" in str(caught.value)
    assert "Received: " in str(caught.value)
    assert "Next: " in str(caught.value)


def test_all_wrong_fields_are_named_at_once():
    with pytest.raises(UsageError) as caught:
        cron.parse("61 25 * * *")
    assert "minute. " in str(caught.value)
    assert "hour. " in str(caught.value)


@pytest.mark.parametrize("text", ["", "* * *", "* * * * * * *", "daily"])
def test_the_number_of_fields(text):
    with pytest.raises(UsageError, match=r"Expected: 5 fields .*Received: \d in .*Next: --cron '0 3 \* \* \*'"):
        cron.parse(text)


def test_a_day_that_never_comes():
    with pytest.raises(UsageError, match="'0 0 31 2 *' never comes".replace("*", r"\*")):
        cron.parse("0 0 31 2 *")


def test_zones_are_checked_and_not_part_of_the_expression():
    with pytest.raises(UsageError, match=r"no time zone 'Europe/Berln'.*Did you mean 'Europe/Berlin'\?"):
        cron.parse("0 3 * * *", "Europe/Berln")
    with pytest.raises(UsageError, match=r"Next: --cron '0 3 \* \* \*' --timezone Europe/Berlin"):
        cron.parse("TZ=Europe/Berlin 0 3 * * *")


def test_next_times_follow_the_zone_through_a_change_of_clocks():
    # Clocks go forward on 31 March 2030: 03:00 is then 01:00 in UTC, before that 02:00.
    times = cron.parse("0 3 * * *", "Europe/Berlin").next_times(NOW)
    assert [at.astimezone(UTC).isoformat() for at in times] == [
        "2030-03-30T02:00:00+00:00",
        "2030-03-31T01:00:00+00:00",
        "2030-04-01T01:00:00+00:00",
    ]
    seconds = cron.parse("30 0 3 * * *").next_times(NOW, 2)
    assert [at.isoformat() for at in seconds] == ["2030-03-30T03:00:30+00:00", "2030-03-31T03:00:30+00:00"]


@pytest.mark.parametrize(
    ("text", "zone", "cluster", "moved"),
    [
        ("0 3 * * *", "Asia/Tokyo", "UTC", "0 0 18 * * *"),
        ("0 3 * * 1", "Asia/Tokyo", "UTC", "0 0 18 * * 0"),
        ("0 12 1 * *", "Asia/Tokyo", "UTC", "0 0 3 1 * *"),
        ("15 4 * * *", "Asia/Kolkata", "UTC", "0 45 22 * * *"),
        ("0 3 * * *", "UTC", "Asia/Tokyo", "0 0 12 * * *"),
        ("*/20 * * * *", "Europe/Berlin", "UTC", "0 */20 * * * *"),
        ("0 3 * * *", "Europe/Berlin", "Europe/Berlin", "0 0 3 * * *"),
    ],
)
def test_kfp_gets_the_clusters_zone_where_one_expression_can_say_it(text, zone, cluster, moved):
    assert of_kfp(text, zone, cluster) == moved
    ours = cron.parse(text, zone).next_times(NOW, 50)
    theirs = cron.parse(moved, cluster).next_times(NOW, 50)
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "zone"), [("0 3 * * *", "Europe/Berlin"), ("0 3 1 * *", "Asia/Tokyo"), ("0 0,9 * * 1", "Asia/Tokyo")]
)
def test_kfp_refuses_by_name_what_it_has_not(text, zone):
    with pytest.raises(UsageError) as caught:
        of_kfp(text, zone)
    assert "one time zone for the whole cluster (UTC" in str(caught.value)
    assert f"or set cronScheduleTimezone of pipeline-install-config to {zone}" in str(caught.value)
    assert ("changes its clocks" in str(caught.value)) == (zone == "Europe/Berlin")
