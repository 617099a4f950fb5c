"""The folder of a run and its record: ids, the lock, whole files only."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import RunConfig
from pipeline.errors import ExitCode, MillraceError, UsageError
from pipeline.runners import records

HOLDER = """
import sys
from pipeline.config import RunConfig
from pipeline.runners import records
with records.locked(RunConfig("tips", root=sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return RunConfig("tips", root=str(tmp_path))


def save(root: Path, task: str, run: str, **fields: Any) -> None:
    folder = root / task / "runs" / run
    folder.mkdir(parents=True)
    empty = {
        "outcome": "pushed",
        "exit_code": 0,
        "seconds": 1.0,
        "nodes": {},
        "gates": [],
        "pushed": None,
        "config": {},
    }
    records.write(folder, {"task": task, "run_id": run, "started": "2026-01-01T00:00:00+00:00", **empty, **fields})


def test_a_runs_id_is_its_start_in_utc(config: RunConfig) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    folder = records.new_run(config)
    started = datetime.strptime(folder.name, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    assert before <= started <= datetime.now(UTC)
    assert folder.parent == config.home / "runs"
    assert (folder / "logs").is_dir()


def test_runs_of_one_second_have_ids_of_their_own(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        @staticmethod
        def now(zone: Any) -> datetime:
            return datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone)

    monkeypatch.setattr(records, "datetime", Clock)
    names = [records.new_run(config).name for _ in range(3)]
    assert names == ["20260102T030405", "20260102T030405-1", "20260102T030405-2"]


def test_a_root_that_is_a_file_is_an_error_of_use(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file can't be written: .*choose another --root"):
        records.new_run(RunConfig("tips", root=str(tmp_path / "file")))


def test_a_full_disk_is_not_an_error_of_use(config: RunConfig) -> None:
    error = records.unwritable(config, OSError(28, "No space left on device"))
    assert (type(error), error.exit_code) == (MillraceError, ExitCode.FAILED)
    assert "is full" in str(error)


def test_a_lock_held_by_another_process_is_said_with_its_id(config: RunConfig, tmp_path: Path) -> None:
    config.home.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(MillraceError, match=rf"another run is at work in .*tips \(process {holder.pid}\)"):
            with records.locked(config):
                pass
        holder.kill()
    with records.locked(config):
        assert (config.home / ".lock").read_text() == str(os.getpid())


def test_a_lock_is_free_after_an_error(config: RunConfig) -> None:
    config.home.mkdir()
    with pytest.raises(RuntimeError), records.locked(config):
        raise RuntimeError
    with records.locked(config):
        pass


def test_a_record_is_written_whole_and_readable_by_others(tmp_path: Path) -> None:
    records.write(tmp_path, {"outcome": "failed"})
    records.write(tmp_path, {"outcome": "pushed", "name": "ü"})
    file = tmp_path / "run.json"
    assert json.loads(file.read_text(encoding="utf-8")) == {"outcome": "pushed", "name": "ü"}
    assert file.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["run.json"]


@pytest.mark.parametrize("fault", ["unserialisable", "disk"])
def test_a_write_that_fails_leaves_the_old_record_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    records.write(tmp_path, {"outcome": "old"})

    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    if fault == "disk":
        monkeypatch.setattr(os, "replace", full)
    with pytest.raises((TypeError, OSError)):
        records.write(tmp_path, {"outcome": "new", "odd": object() if fault == "unserialisable" else 1})
    assert os.listdir(tmp_path) == ["run.json"]
    assert json.loads((tmp_path / "run.json").read_text()) == {"outcome": "old"}


def test_all_records_oldest_first(tmp_path: Path) -> None:
    save(tmp_path, "tips", "20260103T000000", started="2026-01-03T00:00:00+00:00")
    save(tmp_path, "fare", "20260102T000000", started="2026-01-02T00:00:00+00:00")
    save(tmp_path, "tips", "20260101T000000", started="2026-01-01T00:00:00+00:00")
    save(tmp_path, "tips", "20260101T000000-1", started="2026-01-01T00:00:00+00:00")
    assert [record["run_id"] for record in records.read_all(str(tmp_path))] == [
        "20260101T000000",
        "20260101T000000-1",
        "20260102T000000",
        "20260103T000000",
    ]
    assert [record["task"] for record in records.read_all(str(tmp_path), "fare")] == ["fare"]


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path, "tips", "20260101T000000")
    save(tmp_path, "tips", "backup-of-20260101T000000")
    for name in ("20260102T000000", "20260103T000000", "20260104T000000"):
        (tmp_path / "tips" / "runs" / name).mkdir()
    (tmp_path / "tips" / "runs" / "20260102T000000" / "run.json").write_text('{"half":')
    (tmp_path / "tips" / "runs" / "20260104T000000" / "run.json").write_text("{}")
    assert [record["run_id"] for record in records.read_all(str(tmp_path))] == ["20260101T000000"]
    assert records.read_all(str(tmp_path / "none")) == []


def test_a_run_waits_for_the_processes_of_a_killed_one(tmp_path: Path) -> None:
    """A worker holds the folder until it ends; whoever waits goes on then, and not before."""
    worker = records.work_in(tmp_path)
    waiting = threading.Thread(target=records.wait_for_workers, args=(tmp_path,))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    os.close(worker)
    waiting.join(30)
    assert not waiting.is_alive()
