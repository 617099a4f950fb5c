from dataclasses import replace

import pytest

from pipeline.errors import MillraceError
from pipeline.kubeflow.api import waiting
from pipeline.kubeflow.api.backend import Job, TaskRun
from pipeline.kubeflow.api.retrying import while_waiting

RUN = Job("j1", "nightly", "http://h/j1", "RUNNING", "s3://ml/runs", {"trainer": TaskRun("trainer", "RUNNING")})
DONE = replace(RUN, state="SUCCEEDED", tasks={"trainer": TaskRun("trainer", "SUCCEEDED")})


class Server:
    """Looks, one after another; the last stays."""

    target = "kfp"

    def __init__(self, *looks):
        self.looks = list(looks)
        self.within = []

    def job(self, job_id, *, within=None):
        self.within.append(within)
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, BaseException):
            raise look
        return look

    def log(self, job, task):
        return "\n".join(map(str, range(40)))


def failed(name, message=""):
    tasks = {name: TaskRun(name, "FAILED", message), "finish": TaskRun("finish", "FAILED")}
    return replace(RUN, state="FAILED", tasks=tasks)


def test_a_run_is_watched_until_it_ends(clock):
    seen = []
    result = waiting.wait(Server(RUN, RUN, DONE), "j1", clock, seen=lambda *what: seen.append(what))
    assert (result.exit_code, result.reason, result.failures) == (0, "", [])
    assert seen == [
        (0.0, "trainer", "RUNNING"),
        (0.0, "", "RUNNING"),
        (12.5, "trainer", "SUCCEEDED"),
        (12.5, "", "SUCCEEDED"),
    ]
    assert clock.sleeps == [5.0, 7.5]


def test_looks_come_less_often_but_never_rarely(clock):
    waiting.wait(Server(*[RUN] * 12, DONE), "j1", clock)
    assert clock.sleeps[-1] == 30.0


@pytest.mark.parametrize("code", [10, 11, 12, 1])
def test_the_exit_code_is_the_runs_own(clock, code):
    asked = []

    def outcome(root, job_id):
        asked.append((root, job_id))
        return {"exit_code": code, "reason": "rows are missing"}

    result = waiting.wait(Server(failed("data-gate")), "j1", clock, outcome=outcome)
    assert (result.exit_code, result.reason) == (code, "rows are missing")
    assert asked == [("s3://ml/runs", "j1")]


def test_a_record_without_a_reason_gets_one_by_its_code(clock):
    result = waiting.wait(Server(failed("data-gate")), "j1", clock, outcome=lambda *_: {"exit_code": 10})
    assert result.reason.startswith("the data gate stopped the run")


def test_a_run_that_failed_after_its_record_is_no_success(clock):
    result = waiting.wait(Server(failed("finish")), "j1", clock, outcome=lambda *_: {"exit_code": 0})
    assert result.exit_code == 1


def test_without_a_record_a_task_name_is_only_a_hint(clock):
    result = waiting.wait(Server(failed("data-gate", "Error (exit code 10)")), "j1", clock, outcome=lambda *_: None)
    assert result.exit_code == 1
    assert "perhaps the data gate stopped the run" in result.reason
    assert "it left no record in s3://ml/runs" in result.reason
    failure = result.failures[0]
    assert (failure.task, failure.exit_code, failure.message) == ("data-gate", 10, "Error (exit code 10)")
    assert failure.log.splitlines() == [str(number) for number in range(20, 40)]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Error (exit code 137): OOMKilled", 137),
        ("The replica workerpool0-0 exited with a non-zero status of 11. More", 11),
        ("main: Error (exit code 1)", 1),
        ("Pod was evicted", None),
    ],
)
def test_the_exit_code_of_a_container_is_read_from_the_message(clock, message, code):
    result = waiting.wait(Server(failed("trainer", message)), "j1", clock)
    assert result.failures[0].exit_code == code
    assert result.reason == "failed: trainer"


def test_storage_that_is_away_is_told_and_the_servers_word_counts(clock):
    def away(root, job_id):
        raise OSError("bucket is away\nlong story")

    result = waiting.wait(Server(DONE), "j1", clock, outcome=away)
    assert (result.exit_code, result.reason) == (
        0,
        "its record in s3://ml/runs can't be read (OSError: bucket is away)",
    )


def test_a_canceled_run_failed(clock):
    result = waiting.wait(Server(replace(RUN, state="CANCELED")), "j1", clock)
    assert (result.exit_code, result.reason) == (1, "it was canceled")


def test_a_server_that_is_away_is_not_waited_for_longer_than_asked(clock):
    server = Server(RUN, DONE)
    waiting.wait(server, "j1", clock, timeout=60)
    assert server.within == [60.0, 55.0]
    unbounded = Server(DONE)
    waiting.wait(unbounded, "j1", clock)
    assert while_waiting(unbounded.within[0]).total == 1800.0
    assert while_waiting(55.0).total == 55.0


def test_the_time_out_leaves_the_run_going(clock):
    with pytest.raises(
        waiting.Interrupted, match=r"run j1 is RUNNING after .* \(--timeout 60\); it goes on. Next: wait"
    ):
        waiting.wait(Server(RUN), "j1", clock, timeout=60, hints="Next: wait")
    assert clock.seconds <= 60


def test_ctrl_c_leaves_the_run_going(clock):
    def interrupt():
        raise KeyboardInterrupt

    clock.on_sleep = interrupt
    with pytest.raises(waiting.Interrupted, match=r"ended from here; run j1 goes on. Next: wait"):
        waiting.wait(Server(RUN), "j1", clock, hints="Next: wait")


def test_a_server_that_is_lost_leaves_the_run_going(clock):
    with pytest.raises(MillraceError, match=r"away. The run goes on, as far as is known. Next: wait"):
        waiting.wait(Server(RUN, MillraceError("away")), "j1", clock, hints="Next: wait")
