"""A real Flink: jobs, a TaskManager that is killed, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import flink_cluster
import pytest

from pipeline.flink import jobs, local, running, state, status
from pipeline.flink.state import Cluster

pytestmark = pytest.mark.e2e

_JOB = """
import sys, apache_beam as beam
from pathlib import Path
from apache_beam.options.pipeline_options import PipelineOptions
endpoint, pool, started, go, out = sys.argv[1:]

def square(x, started, go, out):
    import time
    from pathlib import Path
    with open(started, "a") as stream:
        stream.write("x")
    while go and not Path(go).exists():
        time.sleep(0.05)
    Path(out, str(x)).write_text(str(x * x))

options = PipelineOptions([
    "--runner=PortableRunner", f"--job_endpoint={endpoint}", "--environment_type=EXTERNAL",
    f"--environment_config={pool}", "--parallelism=2", "--job_name=squares",
])
with beam.Pipeline(options=options) as pipeline:
    _ = pipeline | beam.Create(range(10)) | beam.Reshuffle() | beam.Map(square, started, go, out)
"""
_SECONDS = 180


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One of this module's own: a test kills a part of it."""
    jars = flink_cluster.folder_of_jars()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        try:
            yield local.up(local.Settings(slots=2, jars=(str(jars),)))[0]
        finally:
            local.down()


def _submit(cluster: Cluster, folder: Path, go: str = "") -> "subprocess.Popen[bytes]":
    (folder / "out").mkdir()
    arguments = [cluster.job_endpoint, cluster.worker_pool, str(folder / "started"), go, str(folder / "out")]
    return subprocess.Popen([sys.executable, "-c", _JOB, *arguments])


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _squares(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "out").iterdir()}


_WANTED = {str(x): str(x * x) for x in range(10)}


def test_a_job_gives_the_right_elements(cluster: Cluster, tmp_path: Path) -> None:
    assert _submit(cluster, tmp_path).wait(_SECONDS) == 0
    assert _squares(tmp_path) == _WANTED
    assert [job.state for job in jobs.overview(cluster.rest) if job.name == "squares"] == ["FINISHED"]


def test_up_again_says_that_it_runs(cluster: Cluster) -> None:
    assert local.up() == (cluster, False)
    found = status.look()
    assert (found.running, found.dead, found.slots_free) == (True, [], 2)


def test_a_job_survives_the_death_of_the_task_manager(cluster: Cluster, tmp_path: Path) -> None:
    go, started = tmp_path / "go", tmp_path / "started"
    job = _submit(cluster, tmp_path, str(go))
    _until(started.exists)
    keeper, *before = running.found(Path(cluster.folder))["taskmanager"]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    _until(lambda: len(running.found(Path(cluster.folder))["taskmanager"]) == 2)
    known = started.stat().st_size
    _until(lambda: started.stat().st_size > known)
    go.touch()
    assert job.wait(_SECONDS) == 0
    assert _squares(tmp_path) == _WANTED
    assert running.found(Path(cluster.folder))["taskmanager"][0] == keeper
    assert status.look().running


def test_cancel_ends_the_jobs_of_a_prefix(cluster: Cluster, tmp_path: Path) -> None:
    job = _submit(cluster, tmp_path, str(tmp_path / "never"))
    _until((tmp_path / "started").exists)
    assert {address for address, _ in _listening(Path(cluster.folder))} == {"127.0.0.1"}
    assert jobs.cancel(cluster.rest, "other-") == []
    assert [found.name for found in jobs.cancel(cluster.rest, "squa")] == ["squares"]
    assert job.wait(_SECONDS) != 0
    _until(lambda: status.look().jobs == [])
    # The pool, what its library tracks by, and the server that workers are forks of.
    _until(lambda: len(running.found(Path(cluster.folder))["pool"]) == 3)


def test_all_of_it_listens_on_loopback_and_down_leaves_nothing(cluster: Cluster) -> None:
    folder = Path(cluster.folder)
    listening = _listening(folder)
    assert {address for address, _ in listening} == {"127.0.0.1"}
    assert {int(cluster.job_endpoint.split(":")[1]), int(cluster.worker_pool.split(":")[1])} <= {
        p for _, p in listening
    }
    assert local.down() == cluster
    assert running.found(folder) == {}
    assert not {port for _, port in listening} & _ports()
    assert state.read() is None and not status.look().running
    assert (folder / "logs" / "jobmanager.log").stat().st_size > 0
    assert not (folder / "artifacts").exists()
    assert local.down() is None


def _listening(folder: Path) -> set[tuple[str, int]]:
    """Addresses that processes of the cluster listen at."""
    inodes = set()
    for pids in running.found(folder).values():
        for pid in pids:
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    inodes.add(os.readlink(descriptor))
                except OSError:
                    continue
    return {(address, port) for address, port, inode in _sockets() if f"socket:[{inode}]" in inodes}


def _ports() -> set[int]:
    return {port for _, port, _ in _sockets()}


def _sockets() -> Iterator[tuple[str, int, str]]:
    """Address, port and inode of what listens."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != "0A":
                continue
            packed, port = fields[1].split(":")
            # The last four bytes, in the machine's order: of IPv4, or of IPv4 in IPv6.
            address = ".".join(str(byte) for byte in bytes.fromhex(packed[-8:])[::-1])
            yield address, int(port, 16), fields[9]
