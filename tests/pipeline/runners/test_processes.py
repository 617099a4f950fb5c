"""Jobs in child processes: values, errors, deaths, logs."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataBlocked, ExitCode, MillraceError
from pipeline.runners import processes
from pipeline.runners.processes import explain

pytestmark = pytest.mark.usefixtures("fork_server")

JOBS = """
import os, signal, sys, time
from pipeline.errors import DataBlocked

def add(a, b):
    return a + b

def nothing():
    return None

def block():
    raise DataBlocked("fare: out of range\\nNext: mend the data")

def talk(length):
    raise DataBlocked("x" * length)

def boom():
    raise ValueError("boom\\nand more")

def full():
    raise OSError(28, "No space left on device", "/x")

def die(name):
    os.kill(os.getpid(), getattr(signal, name))

def leave(code):
    os._exit(code)

def leave_politely():
    sys.exit(3)

def speak():
    print("from Python")
    print("from Python's error stream", file=sys.stderr)
    os.system("echo from a child")
    os.write(1, b"from a native library\\n")

def loaded():
    return "tfx" in sys.modules and "tensorflow" in sys.modules

def safe_path():
    return os.environ.get("PYTHONSAFEPATH")

def wait():
    time.sleep(600)

def state():
    import gc
    from pipeline import fingerprint
    from pipeline.runners import preload
    assert fingerprint._graph.cache_info().currsize == 1
    return [name for name in preload.MODULES if name not in sys.modules], gc.isenabled(), gc.get_freeze_count()

def has(name):
    return name in sys.modules

def failed():
    import tfx.components
    return [name for name, value in vars(tfx.components).items() if value is None]
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A module that the children can import too: multiprocessing hands them this process's sys.path."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "mill_jobs.py").write_text(JOBS, encoding="utf-8")
    sys.path.insert(0, str(folder))
    import mill_jobs  # type: ignore[import-not-found]

    yield mill_jobs
    sys.path.remove(str(folder))
    del sys.modules["mill_jobs"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "node.log"


def test_a_jobs_value(jobs: Any, log: Path) -> None:
    assert processes.call(jobs.add, 2, 3, log=log) == 5
    assert processes.call(jobs.nothing, log=log) is None


def test_a_result_has_the_peak_memory(jobs: Any, log: Path) -> None:
    result = processes.Job(jobs.add, "a", "b", log=log).result()
    assert (result.value, result.error, result.exit_code) == ("ab", None, ExitCode.PUSHED)
    assert 10 < result.peak_mb < 100_000


def test_tfx_is_imported_already(jobs: Any, log: Path) -> None:
    assert processes.call(jobs.loaded, log=log) is True


def test_the_servers_own_setting_does_not_reach_a_job(jobs: Any, log: Path) -> None:
    assert processes.call(jobs.safe_path, log=log) is None
    assert "PYTHONSAFEPATH" not in os.environ


def test_an_error_for_the_user_keeps_its_message_and_exit_code(jobs: Any, log: Path) -> None:
    with pytest.raises(MillraceError, match=r"^fare: out of range\nNext: mend the data$") as caught:
        processes.call(jobs.block, log=log)
    assert caught.value.exit_code == ExitCode.DATA_BLOCKED == DataBlocked.exit_code


def test_any_other_error_is_a_line_and_its_traceback_is_in_the_log(jobs: Any, log: Path) -> None:
    with pytest.raises(MillraceError, match=r"^ValueError: boom$") as caught:
        processes.call(jobs.boom, log=log)
    assert caught.value.exit_code == ExitCode.FAILED
    text = log.read_text()
    assert "Traceback (most recent call last)" in text
    assert "ValueError: boom\nand more" in text


def test_a_full_disk_says_what_to_do(jobs: Any, log: Path) -> None:
    with pytest.raises(MillraceError, match=r"^the disk is full: .*--resume$"):
        processes.call(jobs.full, log=log)


def test_an_exit_is_a_failure(jobs: Any, log: Path) -> None:
    with pytest.raises(MillraceError, match=r"^SystemExit: 3$"):
        processes.call(jobs.leave_politely, log=log)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crash_is_named_by_its_signal(jobs: Any, log: Path, name: str) -> None:
    result = processes.Job(jobs.die, name, log=log).result()
    assert result.exit_code == ExitCode.FAILED
    assert result.error is not None
    assert result.error.startswith(f"its process was ended by {name}")
    assert ("out of memory" in result.error) == (name == "SIGKILL")


@pytest.mark.parametrize("code", [0, 7])
def test_a_process_that_leaves_without_a_result_is_a_failure(jobs: Any, log: Path, code: int) -> None:
    result = processes.Job(jobs.leave, code, log=log).result()
    assert result.error == f"its process ended with code {code} and without a result"


def test_all_output_goes_to_the_log_and_none_to_the_screen(
    jobs: Any, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    processes.call(jobs.speak, log=log)
    text = log.read_text()
    for source in ("Python", "Python's error stream", "a child", "a native library"):
        assert f"from {source}\n" in text
    assert capfd.readouterr() == ("", "")


def test_a_log_is_appended_to(jobs: Any, log: Path) -> None:
    log.write_text("before\n")
    processes.call(jobs.speak, log=log)
    assert log.read_text().startswith("before\n")
    assert "from Python\n" in log.read_text()


def test_first_ended_and_stop(jobs: Any, log: Path) -> None:
    slow = processes.Job(jobs.wait, log=log)
    quick = processes.Job(jobs.add, 1, 1, log=log)
    try:
        assert processes.first_ended([slow, quick], None) == [quick]
        assert quick.result().value == 2
        assert processes.first_ended([slow], 0) == []
    finally:
        slow.stop()
    assert processes.first_ended([slow], None) == [slow]
    assert slow.result().error == f"its process was ended by {signal.SIGTERM.name}"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("\n\n  two"), "ValueError:   two"),
        (ValueError(), "ValueError: "),
        (RuntimeError("x" * 1000), "RuntimeError: " + "x" * 400),
        (
            OSError(28, "No space left on device"),
            "the disk is full: [Errno 28] No space left on device. "
            "Next: free space or choose another --root, then --resume",
        ),
        (
            RuntimeError("first line\nsqlite: database or disk is full"),
            "the disk is full: first line. Next: free space or choose another --root, then --resume",
        ),
    ],
)
def test_explain(error: BaseException, expected: str) -> None:
    assert explain(error) == expected


def test_a_message_larger_than_a_pipe_holds_is_no_hang(jobs: Any, tmp_path: Path) -> None:
    """A pipe holds 64 KiB: a child with more to say ends only when it has been listened to."""
    job = processes.Job(jobs.talk, 1_000_000, log=tmp_path / "log")
    assert processes.first_ended([job], 60) == [job]
    assert len(job.result().error or "") == 1_000_000


def test_a_temporary_folder_too_deep_for_a_socket(tmp_path: Path) -> None:
    """As a pod's, or a test's: a socket has no place there."""
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    script = """
import operator, pathlib, sys, tempfile
from pipeline.runners import processes
log = pathlib.Path(sys.argv[1])
processes.warm_up(log)
print(processes.call(operator.add, 1, 2, log=log), tempfile.gettempdir())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "log")],
        env={**os.environ, "TMPDIR": str(deep), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["3", str(deep)], done.stderr


def test_a_job_has_what_compiling_takes_and_its_collector_leaves_that_alone(jobs: Any, tmp_path: Path) -> None:
    loaded, collects, frozen = processes.call(jobs.state, log=tmp_path / "log")
    assert loaded == []
    assert collects
    assert frozen > 100_000


def test_preloading_does_without_what_no_run_on_this_machine_uses(jobs: Any, tmp_path: Path) -> None:
    """`tfx.v1` would import it: two seconds."""
    assert processes.call(jobs.has, "google.cloud.aiplatform", log=tmp_path / "log") is False


def test_tfx_s_components_could_all_be_imported(jobs: Any, tmp_path: Path) -> None:
    """TFX makes None of a component whose import fails."""
    assert processes.call(jobs.failed, log=tmp_path / "log") == []
