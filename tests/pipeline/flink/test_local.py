"""Up, down and what goes wrong, with a program in place of Java (fake_java.py)."""

import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import MillraceError, UsageError
from pipeline.flink import local, running, state, status

Make = Callable[..., Path]
_FAKE = Path(__file__).with_name("fake_java.py")


@pytest.fixture
def settings(
    tmp_path: Path, flink_jar: Make, job_server_jar: Make, monkeypatch: pytest.MonkeyPatch
) -> Iterator[local.Settings]:
    """Of a cluster that is in this folder, and ends with the test."""
    java = tmp_path / "home" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f'#!/bin/sh\nexec {sys.executable} {_FAKE} "$@"\n')
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield local.Settings(slots=3, jars=(str(flink_jar(tmp_path)), str(job_server_jar(tmp_path))))
    running.stop(state.home(), first=["taskmanager"])


def _ignore(text: str) -> None:
    """No warning matters."""


def test_up_twice_is_one_and_down_ends_it(settings: local.Settings) -> None:
    told: list[str] = []
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda _: local.up(settings, told.append), range(2)))
    assert sorted(started for _, started in both) == [False, True]
    cluster = both[0][0]
    assert both[1][0] == cluster == state.read()
    assert (cluster.slots, cluster.flink, cluster.beam) == (3, "1.19.3", "2.77.0")
    assert any("not known to listen on loopback alone" in text for text in told)
    assert cluster.pids.keys() == {"jobmanager", "taskmanager", "jobserver", "pool"}
    assert {name: pids[0] for name, pids in running.found(state.home()).items()} == cluster.pids
    assert status.look() == status.Status(True, cluster, [], 3, [])

    os.kill(cluster.pids["jobserver"], signal.SIGKILL)
    while status.dead(cluster) != ["jobserver"]:
        pass
    assert not status.look().running
    assert dict(status.look().rows())["dead"].startswith("jobserver (")

    again, started = local.up(settings, _ignore)
    assert started and again.pids["jobserver"] != cluster.pids["jobserver"] and status.look().running

    assert local.down() == again
    assert running.found(state.home()) == {} and state.read() is None
    assert sorted(path.name for path in state.home().iterdir()) == ["lock", "logs"]
    assert local.down() is None
    assert status.look() == status.Status(False)


@pytest.mark.parametrize("name", ["jobmanager", "jobserver"])
def test_one_that_dies_is_told_with_its_last_lines(
    name: str, settings: local.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_JAVA_FAILS", {"jobmanager": "StandaloneSession", "jobserver": "JobServerDriver"}[name])
    with pytest.raises(MillraceError, match=rf"(?s){name} ended with code 1.*IllegalStateException: not today\nNext: "):
        local.up(settings, _ignore)
    assert running.found(state.home()) == {} and state.read() is None


def test_nothing_starts_without_what_it_needs(
    settings: local.Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, job_server_jar: Make
) -> None:
    with pytest.raises(UsageError, match="--memory is too little"):
        local.up(local.Settings(memory=100, jars=settings.jars))
    other = str(job_server_jar(tmp_path / "other", "1.20"))
    with pytest.raises(UsageError, match="do not fit"):
        local.up(local.Settings(jars=(settings.jars[0], other)))
    with pytest.raises(MillraceError, match=r"Memory is short\. Expected: \d+ MB free \(\d+ for the TaskManager\)"):
        local.up(local.Settings(memory=1 << 30, jars=settings.jars))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    with pytest.raises(MillraceError, match="Java does not run"):
        local.up(settings)
    assert running.found(state.home()) == {}
    assert not (state.home() / "logs").exists()


def test_what_a_killed_up_has_left_is_ended(settings: local.Settings) -> None:
    (state.home() / "logs").mkdir(parents=True)
    left = running.start("jobmanager", [sys.executable, "-c", "import signal; signal.pause()"], state.home())
    while not running.found(state.home()):
        pass
    found = local.down()
    assert found and found.pids == {"jobmanager": left.pid}
    assert left.wait() == -signal.SIGTERM


def test_another_command_at_work_is_waited_for(settings: local.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_LOCK_SECONDS", 0.0)
    state.home().mkdir(parents=True)
    with (state.home() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(MillraceError, match="another `millrace cluster` has been at work"):
            local.down()


def test_memory_that_the_system_does_not_tell(tmp_path: Path) -> None:
    assert local.available_mb(tmp_path / "none") is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  2048 kB\n")
    assert local.available_mb(tmp_path / "meminfo") == 2
