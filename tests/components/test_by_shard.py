"""The same function for every shard, by threads and by Beam's workers."""

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from components import by_shard
from pipeline.errors import DataBlocked, MillraceError


@dataclass(frozen=True)
class Squared:
    """A function that travels."""

    add: int = 0
    bad: int | None = None
    broken: int | None = None

    def __call__(self, item: int) -> list[int]:
        if item == self.bad:
            raise DataBlocked(f"row {item} is bad")
        if item == self.broken:
            raise ValueError(f"no {item}")
        return [item, item * item + self.add]


def _pipeline() -> beam.Pipeline:
    return beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))


def _both(tmp_path: Path) -> list[by_shard.Spread]:
    return [by_shard.Threads(), by_shard.Workers(_pipeline, str(tmp_path / ".spread"))]


def test_results_come_in_the_order_of_the_items(tmp_path: Path) -> None:
    items = [7, 3, 3, 11, 0, 5]
    for spread in _both(tmp_path):
        found = list(spread.each("Square", Squared(add=1), items, by_shard.JSON))
        assert found == [[item, item * item + 1] for item in items]
    assert list(tmp_path.iterdir()) == []


def test_no_items_make_no_job(tmp_path: Path) -> None:
    def never() -> beam.Pipeline:
        raise AssertionError

    assert list(by_shard.Workers(never, str(tmp_path)).each("None", Squared(), [], by_shard.JSON)) == []


@dataclass(frozen=True)
class Total:
    """A function of all results."""

    limit: int = 1000

    def __call__(self, found: Iterator[list[int]]) -> int:
        squares = [square for _, square in found]
        if sum(squares) > self.limit:
            raise DataBlocked(f"{sum(squares)} is too much")
        return squares[0] * 1000 + sum(squares)


def test_one_worker_has_all_results_in_their_order(tmp_path: Path) -> None:
    workers = by_shard.Workers(_pipeline, str(tmp_path / ".spread"))
    assert workers.whole("Square", Squared(), [5, 1, 2], by_shard.JSON, Total(), by_shard.JSON) == 25_030
    with pytest.raises(DataBlocked, match=r"^30 is too much$"):
        workers.whole("Square", Squared(), [5, 1, 2], by_shard.JSON, Total(29), by_shard.JSON)
    with pytest.raises(DataBlocked, match=r"^row 1 is bad$"):
        workers.whole("Square", Squared(bad=1), [5, 1, 2], by_shard.JSON, Total(), by_shard.JSON)
    assert list(tmp_path.rglob("*")) == []


def test_an_error_for_the_user_keeps_its_class_and_text(tmp_path: Path) -> None:
    for spread in _both(tmp_path):
        with pytest.raises(DataBlocked, match=r"^row 3 is bad$"):
            list(spread.each("Square", Squared(bad=3), [1, 2, 3], by_shard.JSON))


def test_any_other_error_names_the_step(tmp_path: Path) -> None:
    workers = _both(tmp_path)[1]
    with pytest.raises((MillraceError, ValueError), match="no 2"):
        list(workers.each("Square", Squared(broken=2), [1, 2, 3], by_shard.JSON))


def test_the_cause_of_a_failed_job_is_the_python_error() -> None:
    message = (
        "java.lang.RuntimeException: x\n Traceback (most recent call last):\n  File a\nKeyError: 'fare'\n\tat org.Flink"
    )
    assert by_shard._cause(message) == "KeyError: 'fare'"
    assert by_shard._cause("Connection refused\nmore") == "Connection refused"


class _Job:
    """A job of a cluster that never ends, until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = False
        self.options = PipelineOptions([])

    def run(self) -> "_Job":
        return self

    def wait_until_finish(self) -> str:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        threading.Event().wait(30)
        return PipelineState.DONE

    def cancel(self) -> None:
        self.cancelled = True


def test_a_stopped_process_cancels_its_job() -> None:
    job = _Job()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        by_shard.run(job, "Count")
    assert job.cancelled
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_failed_job_is_told_with_its_cause() -> None:
    class Failed(_Job):
        def wait_until_finish(self) -> str:
            raise RuntimeError("Pipeline failed in state FAILED: java.io.Exception\nValueError: bad shard\n at java")

    with pytest.raises(MillraceError, match=r"^Count: the Beam job failed: ValueError: bad shard$"):
        by_shard.run(Failed(), "Count")


def test_the_runner_chooses(tmp_path: Path) -> None:
    assert isinstance(by_shard.spread(["--runner=FnApiRunner"], _pipeline, str(tmp_path)), by_shard.Threads)
    assert isinstance(by_shard.spread(["--runner=FlinkRunner"], _pipeline, str(tmp_path)), by_shard.Workers)
