"""Settings of the checks: limits, severities, waivers and the days on which they hold."""

import datetime
import json

import pytest

from pipeline.checks import (
    ALWAYS,
    DEFAULT_LEVELS,
    Checks,
    Limits,
    Severity,
    Waiver,
    in_force,
    read_waivers,
    waivers_today,
)
from pipeline.errors import TaskError, UsageError
from pipeline.overrides import apply
from pipeline.task import Task

FARE = Waiver("drift", reason="Fares went up.", until="2026-05-14", feature="fare")
DAY = datetime.date(2026, 5, 14)


def test_a_limit_of_a_column_goes_before_that_of_its_kind() -> None:
    limits = Limits(categories=0.1, numbers=0.05, features=(("company", 0.2),))
    assert limits.of("company", categorical=True) == 0.2
    assert limits.of("payment_type", categorical=True) == 0.1
    assert limits.of("fare", categorical=False) == 0.05


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.5, float("nan")])
def test_a_limit_is_a_share(limit: float) -> None:
    with pytest.raises(TaskError, match=r"limits: numbers: expected above 0 and at most 1\. Received: "):
        Limits(numbers=limit)
    with pytest.raises(TaskError, match=r"limits: features: 'fare': expected above 0"):
        Limits(features=(("fare", limit),))
    with pytest.raises(TaskError, match=r"checks: volume: expected above 0"):
        Checks(volume=limit)


def test_a_column_has_one_limit() -> None:
    with pytest.raises(TaskError, match=r"each column once\. Received: \['fare', 'fare'\]"):
        Limits(features=(("fare", 0.1), ("fare", 0.2)))


def test_the_leak_and_the_sample_have_bounds() -> None:
    with pytest.raises(TaskError, match=r"checks: leak: expected above 0.5 and at most 1\. Received: 0.5"):
        Checks(leak=0.5)
    with pytest.raises(TaskError, match=r"checks: sample_rows: expected at least 1000\. Received: 10"):
        Checks(sample_rows=10)


def test_an_unknown_check_offers_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"unknown check 'drfit'\. Did you mean 'drift'\?"):
        Severity("drfit", "warn")
    with pytest.raises(TaskError, match=r"unknown check 'skwe'\. Did you mean 'skew'\?"):
        Waiver("skwe", reason="r", until="2026-05-14")


def test_a_level_is_one_of_three() -> None:
    with pytest.raises(TaskError, match=r"level: expected one of fail, warn, ignore\. Received: 'error'"):
        Severity("drift", "error")  # type: ignore[arg-type]


@pytest.mark.parametrize("check", sorted(ALWAYS))
def test_what_always_stops_can_be_neither_waived_nor_ignored(check: str) -> None:
    with pytest.raises(TaskError, match="it always stops the run"):
        Severity(check, "warn")
    with pytest.raises(TaskError, match="it can't be waived"):
        Waiver(check, reason="r", until="2026-05-14")
    assert Checks(severities=(Severity(check, "fail"),)).level(check, None) == "fail"


@pytest.mark.parametrize("until", ["", "2026-5-14", "20260514", "2026-02-30", "14 May 2026", "2026-05-14T00:00:00"])
def test_a_waiver_ends_on_a_day(until: str) -> None:
    with pytest.raises(TaskError, match=r"until: expected a day such as '2027-01-31'"):
        Waiver("drift", reason="r", until=until)


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_waiver_has_a_reason(reason: str) -> None:
    with pytest.raises(TaskError, match="reason: expected why the data is right"):
        Waiver("drift", reason=reason, until="2026-05-14")


def test_a_waiver_holds_on_its_last_day() -> None:
    checks = Checks(waivers=(FARE,))
    assert in_force(checks, DAY) == (FARE,)
    assert in_force(checks, DAY + datetime.timedelta(days=1)) == ()


def test_a_waiver_covers_its_check_and_its_column() -> None:
    assert FARE.covers("drift", "fare")
    assert not FARE.covers("drift", "tips")
    assert not FARE.covers("drift", None)
    assert not FARE.covers("served_drift", "fare")
    assert Waiver("drift", reason="r", until="2026-05-14").covers("drift", "tips")


def test_the_gate_s_parameter_changes_when_a_waiver_ends() -> None:
    checks = Checks(waivers=(FARE,))
    before, last = waivers_today(checks, DAY - datetime.timedelta(days=9)), waivers_today(checks, DAY)
    after = waivers_today(checks, DAY + datetime.timedelta(days=1))
    assert before == last != after
    assert read_waivers(last) == ([FARE], [])
    assert read_waivers(after) == ([], [FARE])
    assert read_waivers("") == ([], [])
    assert json.loads(waivers_today(Checks())) == {"in_force": [], "expired": []}


def test_a_severity_of_a_column_goes_before_one_for_all() -> None:
    checks = Checks(
        severities=(
            Severity("drift", "ignore", feature="month"),
            Severity("drift", "warn"),
            Severity("volume", "ignore"),
            Severity("volume", "fail"),
        )
    )
    assert checks.level("drift", "month") == "ignore"
    assert checks.level("drift", "fare") == "warn"
    assert checks.level("volume", None) == "fail"
    assert checks.level("skew", "fare") == DEFAULT_LEVELS["skew"] == "fail"


def test_settings_of_columns_that_are_not_there_are_told() -> None:
    checks = Checks(
        skew=Limits(features=(("fares", 0.1),)),
        severities=(Severity("drift", "fail", feature="tip"), Severity("drift", "warn")),
        waivers=(FARE,),
    )
    assert checks.unknown_columns(["fare", "tips"]) == [
        "severity of drift: no column 'tip'. Did you mean 'tips'? Known: fare, tips.",
        "checks.skew.features: no column 'fares'. Did you mean 'fare'? Known: fare, tips.",
    ]


def test_settings_from_the_command_line(tiny: Task) -> None:
    waiver = '{"check": "drift", "reason": "r", "until": "2026-05-14", "feature": "fare"}'
    changed = apply(tiny, ["checks.drift.numbers=0.2", "checks.leak=0.9", f"checks.waivers=[{waiver}]"]).checks
    assert (changed.drift, changed.skew, changed.leak) == (Limits(numbers=0.2), Limits(), 0.9)
    assert changed.waivers == (Waiver("drift", reason="r", until="2026-05-14", feature="fare"),)
    with pytest.raises(UsageError, match=r"--set checks\.drift\.numbers=2: limits: numbers: expected above 0"):
        apply(tiny, ["checks.drift.numbers=2"])
    with pytest.raises(UsageError, match=r"Limits has no field 'number'\. Did you mean 'numbers'\?"):
        apply(tiny, ["checks.drift.number=0.2"])
    with pytest.raises(UsageError, match=r"unknown check 'drfit'"):
        apply(tiny, ['checks.severities=[{"check": "drfit", "level": "warn"}]'])
