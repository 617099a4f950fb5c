"""One of Beam's Python workers, in a process that the pool has forked."""

import json
import logging
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import traceback
from multiprocessing.connection import wait
from pathlib import Path

_CONNECT_SECONDS = 30


def main(worker_id: str, control: str, logs: str, provision: str, folder: str) -> None:
    """Works until the control channel closes or the pool ends; never returns.

    Args:
      worker_id: what Beam knows it by.
      control: address that work comes from.
      logs: address that log records go to.
      provision: address that tells the job's pipeline options; empty where there is none.
      folder: for what this process prints.
    """
    _redirect(Path(folder) / f"worker-{os.getpid()}.log")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_pool, daemon=True).start()
    code = 1
    # What the work leaves in temporary files goes with it: this process has no ordinary end, at which it would go.
    within = Path(folder).parent / "tmp"  # which ends with the cluster, where this process is killed
    within.mkdir(exist_ok=True)
    tempfile.tempdir = temporary = tempfile.mkdtemp(prefix="worker-", dir=within)
    try:
        _work(worker_id, control, logs, provision)
        code = 0
    except BaseException:
        traceback.print_exc()
    shutil.rmtree(temporary, ignore_errors=True)
    # gRPC's and Beam's threads may still wait for a job that is gone.
    os._exit(code)


def _redirect(path: Path) -> None:
    stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(stream, descriptor)
    os.close(stream)


def _die_with_pool() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


def _work(worker_id: str, control: str, logs: str, provision: str) -> None:
    """What the entry point of Beam's container does for Python."""
    from apache_beam.runners.worker import sdk_worker_main

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    environment = {
        "WORKER_ID": worker_id,
        "CONTROL_API_SERVICE_DESCRIPTOR": f"url: {json.dumps(control)}",
        "LOGGING_API_SERVICE_DESCRIPTOR": f"url: {json.dumps(logs)}",
    }
    os.environ["WORKER_ID"] = worker_id
    if provision:
        options, capabilities = _provisioned(worker_id, provision)
        environment |= {"PIPELINE_OPTIONS": options, "RUNNER_CAPABILITIES": capabilities}
    handler, harness, _ = sdk_worker_main.create_harness(environment)
    harness.run()
    if handler:
        handler.close()


def _provisioned(worker_id: str, address: str) -> tuple[str, str]:
    """The job's pipeline options, as JSON, and what the runner is capable of, as words."""
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
    from google.protobuf import json_format

    with grpc.insecure_channel(address) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        told = stub.GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(),
            timeout=_CONNECT_SECONDS,
            metadata=[("worker_id", worker_id)],
            wait_for_ready=True,
        )
    return json_format.MessageToJson(told.info.pipeline_options), " ".join(told.info.runner_capabilities)
