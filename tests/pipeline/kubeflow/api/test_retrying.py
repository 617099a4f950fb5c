from datetime import UTC, datetime

import pytest

from pipeline.errors import MillraceError, UsageError
from pipeline.kubeflow.api import faults
from pipeline.kubeflow.api.retrying import WHILE_WAITING, Fault, Patience, patiently, seconds_of


def failing(*found):
    answers = list(found)

    def send():
        answer = answers.pop(0)
        if isinstance(answer, Fault):
            raise answer
        return answer

    return send


def status(code, **more):
    return Fault("status", "no", status=code, **more)


def test_waits_grow_until_it_is_answered(clock):
    assert patiently(failing(status(503), Fault("refused"), status(429), "yes"), clock) == "yes"
    assert clock.sleeps == [1.0, 2.0, 4.0]


def test_the_servers_own_wait_counts_and_is_bounded(clock):
    assert patiently(failing(status(429, retry_after=17.0), "yes"), clock) == "yes"
    assert clock.sleeps == [17.0]
    with pytest.raises(Fault) as caught:
        patiently(failing(status(429, retry_after=3600.0)), clock)
    assert (caught.value.attempts, clock.sleeps) == (1, [17.0])


def test_it_ends(clock):
    with pytest.raises(Fault) as caught:
        patiently(lambda: failing(status(503))(), clock, Patience(attempts=4, longest=3.0))
    assert clock.sleeps == [1.0, 2.0, 3.0]
    assert caught.value.attempts == 4
    with pytest.raises(Fault):
        patiently(lambda: failing(status(503))(), clock, Patience(attempts=100, first=10, longest=10, total=35))
    assert clock.sleeps[3:] == [10, 10, 10]


@pytest.mark.parametrize("fault", [status(400), status(401), status(403), status(404), Fault("name"), Fault("tls")])
def test_what_would_be_answered_the_same_is_sent_once(clock, fault):
    with pytest.raises(Fault):
        patiently(failing(fault), clock)
    assert clock.sleeps == []


def test_a_token_that_ran_out_is_waited_for_only_in_a_wait(clock):
    assert patiently(failing(status(401), status(401), "yes"), clock, WHILE_WAITING) == "yes"
    with pytest.raises(Fault):
        patiently(lambda: failing(status(401))(), clock, WHILE_WAITING)
    assert len(clock.sleeps) == 2 + WHILE_WAITING.renewals


def test_what_makes_something_looks_first(clock):
    looks = iter([None, "made before"])
    sent = failing(Fault("timeout"), status(502))
    assert patiently(sent, clock, made=lambda: next(looks)) == "made before"


def test_it_does_not_look_where_nothing_was_delivered(clock):
    def look():
        raise AssertionError("not needed")

    assert patiently(failing(Fault("refused"), status(429), "yes"), clock, made=look) == "yes"


def test_what_makes_something_is_not_repeated_after_a_500(clock):
    with pytest.raises(Fault):
        patiently(failing(status(500)), clock, made=lambda: None)
    assert patiently(failing(status(500), "yes"), clock) == "yes"


def test_retry_after_is_seconds_or_a_date():
    now = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert seconds_of("7", now) == 7.0
    assert seconds_of("Tue, 01 Jan 2030 12:01:00 GMT", now) == 60.0
    assert seconds_of("Tue, 01 Jan 2030 11:01:00 GMT", now) == 0.0
    assert seconds_of("soon", now) is None
    assert seconds_of(None, now) is None


def test_errors_say_where_what_and_the_next_step():
    error = faults.to_error(status(403), "KFP at h", "submit", {403: "ask"})
    assert str(error) == "submit: KFP at h knows who asks, and that is not allowed (403). It says: no. Next: ask"
    assert type(error) is MillraceError
    assert type(faults.to_error(status(400), "KFP at h", "submit", {})) is UsageError
    fault = Fault("refused")
    fault.attempts = 6
    assert "KFP at h refuses connections" in str(faults.to_error(fault, "KFP at h", "submit", {}))
    assert "(tried 6 times)" in str(faults.to_error(fault, "KFP at h", "submit", {}))
