"""Starts Beam's Python workers on this machine: the EXTERNAL environment of a job names this address.

    python -m pipeline.flink.pool --port 50000 --logs logs

Beam's own pool starts a new Python for every job, which imports TensorFlow and TFX first. Here a worker is a fork of
a server that has imported them once. Workers get their job's pipeline options, as they would in a container.
"""

import argparse
import multiprocessing
import signal
import sys
import threading
import traceback
from concurrent import futures
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from pipeline.flink import worker
from pipeline.flink.config import HOST

PRELOAD = ("pipeline.runners.preload", "components.by_shard", "apache_beam.runners.worker.sdk_worker_main")
_GRACE_SECONDS = 5
_THREADS = 16


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Beam's service for workers that are not its own containers."""

    def __init__(self, logs: Path) -> None:
        """Starts none yet.

        Args:
          logs: folder for what each worker prints.
        """
        self._logs = logs
        self._context = multiprocessing.get_context("forkserver")
        self._workers: dict[str, ForkServerProcess] = {}
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:
        """Starts a worker that connects to the addresses of the request."""
        try:
            process = self._context.Process(
                target=worker.main,
                args=(
                    request.worker_id,
                    request.control_endpoint.url,
                    request.logging_endpoint.url,
                    request.provision_endpoint.url,
                    str(self._logs),
                ),
            )
            process.start()
        except Exception:
            return beam_fn_api_pb2.StartWorkerResponse(error=traceback.format_exc())
        with self._lock:
            ended = [name for name, other in self._workers.items() if not other.is_alive()]
            for name in ended:
                del self._workers[name]
            replaced, self._workers[request.worker_id] = self._workers.get(request.worker_id), process
        if replaced:
            _end(replaced)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:
        """Ends a worker, if it has not ended."""
        with self._lock:
            process = self._workers.pop(request.worker_id, None)
        if process:
            _end(process)
        return beam_fn_api_pb2.StopWorkerResponse()


def _end(process: ForkServerProcess) -> None:
    process.join(_GRACE_SECONDS / 5)
    if process.is_alive():
        process.terminate()
        process.join(_GRACE_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


def serve(port: int, logs: Path, preload: tuple[str, ...] = PRELOAD) -> tuple[grpc.Server, int]:
    """Starts the service and, behind it, the server that workers are forks of.

    Args:
      port: of loopback; 0 for any.
      logs: folder for what each worker prints.
      preload: modules that every worker has imported when it begins.

    Returns:
      The service and its port.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preload))
    forkserver.ensure_running()
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(Pool(logs), server)
    bound = server.add_insecure_port(f"{HOST}:{port}")
    server.start()
    return server, bound


def main() -> None:
    """See the module; runs until SIGTERM. Workers end with it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    given = parser.parse_args()
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    server, _ = serve(given.port, given.logs)
    ended.wait()
    server.stop(0)
    sys.exit(0)


if __name__ == "__main__":
    main()
