"""The workers' pool: a control service of this test takes the place of Beam's runner."""

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)

from pipeline.flink import config

_SECONDS = 60
_POOL = """
import sys
from pathlib import Path
from pipeline.flink import pool
pool.serve.__defaults__ = (("apache_beam.runners.worker.sdk_worker_main",),)
pool.main()
"""


class _Runner(
    beam_fn_api_pb2_grpc.BeamFnControlServicer,
    beam_fn_api_pb2_grpc.BeamFnLoggingServicer,
    beam_provision_api_pb2_grpc.ProvisionServiceServicer,
):
    """Knows which workers have connected, and can close their control channels."""

    def __init__(self) -> None:
        self.connected: queue.Queue[str] = queue.Queue()
        self.close: queue.Queue[None] = queue.Queue()
        self.logged: list[str] = []

    def Control(self, responses: Any, context: Any) -> Iterator[Any]:
        self.connected.put(dict(context.invocation_metadata())["worker_id"])
        while context.is_active():
            try:
                self.close.get(timeout=0.05)
                return
            except queue.Empty:
                continue
        yield from ()

    def Logging(self, entries: Any, context: Any) -> Iterator[Any]:
        for listed in entries:
            self.logged.extend(entry.message for entry in listed.log_entries)
        yield from ()

    def GetProvisionInfo(self, request: Any, context: Any) -> Any:
        told = beam_provision_api_pb2.GetProvisionInfoResponse()
        told.info.pipeline_options["beam:option:job_name:v1"] = "taxi"
        return told


@pytest.fixture
def runner() -> Iterator[tuple[_Runner, str]]:
    """The services, and their address."""
    services = _Runner()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(services, server)
    beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server(services, server)
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(services, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield services, f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[tuple[Any, "subprocess.Popen[bytes]"]]:
    """A stub of the pool, and its process."""
    free_port = config.free_ports().pool
    process = subprocess.Popen([sys.executable, "-c", _POOL, "--port", str(free_port), "--logs", str(tmp_path)])
    with grpc.insecure_channel(f"127.0.0.1:{free_port}") as channel:
        grpc.channel_ready_future(channel).result(_SECONDS)
        yield beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel), process
    process.kill()
    process.wait()


def _start(stub: Any, worker: str, address: str) -> None:
    where = endpoints_pb2.ApiServiceDescriptor(url=address)
    request = beam_fn_api_pb2.StartWorkerRequest(
        worker_id=worker, control_endpoint=where, logging_endpoint=where, provision_endpoint=where
    )
    assert stub.StartWorker(request).error == ""


def _pids(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("worker-")) for path in folder.glob("worker-*.log"))


def _until_gone(pid: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while Path(f"/proc/{pid}").exists() and "zombie" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline


def test_workers_connect_with_their_options_and_end_when_told(
    runner: tuple[_Runner, str], pool: tuple[Any, "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    (services, address), (stub, process) = runner, pool
    for worker in ("1-1", "1-2"):
        _start(stub, worker, address)
        assert services.connected.get(timeout=_SECONDS) == worker
    first, second = _pids(tmp_path)
    server = Path(f"/proc/{first}/status").read_text().split("PPid:")[1].split()[0]
    assert Path(f"/proc/{second}/status").read_text().split("PPid:")[1].split()[0] == server != str(process.pid)
    assert "'job_name': 'taxi'" in (tmp_path / f"worker-{first}.log").read_text()

    services.close.put(None)
    ended = {pid for pid in (first, second) if _ends_first(pid, (first, second))}
    (left,) = {first, second} - ended
    for worker in ("1-1", "1-2", "unknown"):
        stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=worker))
    _until_gone(left)
    assert any("Pipeline_options" in message for message in services.logged)


def _ends_first(pid: int, both: tuple[int, int]) -> bool:
    """Waits until one of the two has ended; whether it is this one."""
    deadline = time.monotonic() + _SECONDS
    while all(Path(f"/proc/{other}").exists() for other in both):
        assert time.monotonic() < deadline
    return not Path(f"/proc/{pid}").exists()


def test_workers_end_with_the_pool(
    runner: tuple[_Runner, str], pool: tuple[Any, "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    (services, address), (stub, process) = runner, pool
    _start(stub, "1-1", address)
    services.connected.get(timeout=_SECONDS)
    (pid,) = _pids(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    _until_gone(pid)
