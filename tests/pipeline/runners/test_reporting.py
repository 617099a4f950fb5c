"""The report of a run: whatever becomes of it, the record is there and the exit code is the same."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import tasks
from pipeline.config import RunConfig
from pipeline.errors import MillraceError
from pipeline.runners import account, local, processes, records, reporting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path


def test_the_record_names_the_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "call", lambda function, run, log, seconds: Path("/srv/index.html"))
    record: dict[str, Any] = {"run_id": "1", "exit_code": 11, "report": None}
    reporting.add(folder, record)
    assert json.loads((folder / "run.json").read_text()) == {
        "run_id": "1",
        "exit_code": 11,
        "report": "/srv/index.html",
    }


@pytest.mark.parametrize("error", [MillraceError("KeyError: x"), OSError(28, "No space left"), KeyboardInterrupt()])
def test_without_a_report_the_record_stays_and_the_log_says_why(
    error: BaseException, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(processes, "call", fail)
    record: dict[str, Any] = {"run_id": "1", "exit_code": 0, "report": None}
    reporting.add(folder, record)
    assert record == {"run_id": "1", "exit_code": 0, "report": None}
    assert (folder / "logs" / "report.log").read_text() == f"no report: {str(error) or 'interrupted'}\n"


def test_a_call_that_takes_too_long_is_ended(fork_server: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(MillraceError, match="not done after 0 s"):
        processes.call(time.sleep, 600, log=tmp_path / "sleep.log", seconds=0.1)
    assert time.monotonic() - began < 120


def test_a_run_that_never_began_is_reported_once_its_record_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    told: list[Any] = []

    class Watcher:
        def phase(self, text: str) -> None:
            told.append(text)

        def nodes(self, states: Any) -> None:
            raise AssertionError(states)

    def add(folder: Path, record: dict[str, Any], maker: reporting.Maker) -> None:
        told.append(json.loads((folder / "run.json").read_text())["outcome"])
        record["report"] = "/srv/index.html"

    monkeypatch.setattr(reporting, "add", add)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    record = local.run(RunConfig("taxi_tips", root=str(tmp_path), data=str(tmp_path / "data.csv")), Watcher())
    assert told == ["writing the report", "data_blocked"]
    assert (record["exit_code"], record["report"]) == (10, "/srv/index.html")


def test_a_maker_that_waits_reports_what_the_record_then_says(fork_server: Path, tmp_path: Path) -> None:
    config = RunConfig("taxi_tips", root=str(tmp_path))
    run = config.home / "runs" / "20260101T000000"
    run.mkdir(parents=True)
    maker = reporting.Maker(run)
    maker.start()
    record = account.begun(config, tasks.load("taxi_tips"), run.name)
    records.write(run, record | {"outcome": "data_blocked", "reason": "fare: a reason of its own"})
    page = maker.make()
    assert page == config.home / "reports" / run.name / "index.html"
    assert "fare: a reason of its own" in page.read_text("utf-8")


def test_a_maker_whose_process_is_gone_is_told_of(fork_server: Path, folder: Path) -> None:
    maker = reporting.Maker(folder)
    maker.start()
    maker.stop()
    with pytest.raises(MillraceError, match="its process was ended by SIGTERM"):
        maker.make()


def test_without_a_place_for_its_log_no_process_is_begun(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    maker = reporting.Maker(tmp_path)
    maker.start()
    maker.stop()
    with pytest.raises(MillraceError, match=r"logs can't be written"):
        maker.make()
