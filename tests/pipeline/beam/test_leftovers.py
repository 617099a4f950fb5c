"""Jobs of a run that was killed, on a Flink that answers by REST."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.beam import arguments, leftovers
from pipeline.config import RunConfig
from pipeline.flink import state

RUN = RunConfig("taxi_tips", root="/somewhere", beam_runner="flink")


class Flink(http.server.ThreadingHTTPServer):
    """Answers with its jobs, and notes which ones are cancelled."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        super().__init__(("127.0.0.1", 0), Answers)

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(http.server.BaseHTTPRequestHandler):
    server: Flink

    def do_GET(self) -> None:
        assert self.path == "/jobs/overview"
        self._answer({"jobs": self.server.jobs})

    def do_PATCH(self) -> None:
        job, _, mode = self.path.removeprefix("/jobs/").partition("?")
        assert mode == "mode=cancel"
        self.server.cancelled.append(job)
        self._answer({})

    def _answer(self, value: Any) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def flink() -> Iterator[Flink]:
    """A Flink with four jobs."""
    with Flink() as server:
        own, other = (
            arguments.job_name(RunConfig("taxi_tips", root=root), "Transform") for root in ("/somewhere", "/b")
        )
        for number, (name, told) in enumerate(
            [(own, "RUNNING"), (own, "FINISHED"), (other, "RUNNING"), ("somebody's", "RUNNING")]
        ):
            server.jobs.append({"jid": str(number), "name": name, "state": told})
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def test_only_what_runs_and_is_of_this_root_is_cancelled(flink: Flink) -> None:
    state.write(state.Cluster(flink.rest, "127.0.0.1:1", "127.0.0.1:2", 2, "1.19.3", "2.77.0", "/f", {}))
    assert leftovers.cancel(RUN) == [flink.jobs[0]["name"]]
    assert flink.cancelled == ["0"]


def test_a_flink_elsewhere_is_asked_at_its_address(flink: Flink) -> None:
    address = flink.rest.removeprefix("http://")
    config = RunConfig("taxi_tips", root="/somewhere", beam_runner="flink", beam_options=(f"flink_master={address}",))
    assert leftovers.cancel(config) == [flink.jobs[0]["name"]]


def test_what_died_of_the_cluster_of_this_machine_is_named(flink: Flink, tmp_path: Path) -> None:
    state.write(state.Cluster(flink.rest, "127.0.0.1:1", "127.0.0.1:2", 2, "1.19.3", "2.77.0", str(tmp_path), {}))
    said = leftovers.lost_here({"job_endpoint": "127.0.0.1:1"})
    assert "jobserver" in said
    assert said.endswith("has died. Next: millrace cluster down, then up")
    assert leftovers.lost_here({"job_endpoint": "elsewhere:1"}) == ""


def test_nothing_is_asked_where_there_is_no_flink(closed: str) -> None:
    assert leftovers.cancel(RunConfig("taxi_tips")) == []
    assert leftovers.cancel(RUN) == []
    silent = RunConfig("taxi_tips", beam_runner="flink", beam_options=(f"flink_master={closed}",))
    assert leftovers.cancel(silent) == []
    unknown = RunConfig("taxi_tips", beam_runner="flink", beam_options=(f"job_endpoint={closed}",))
    assert leftovers.cancel(unknown) == []


def test_a_stopped_node_cancels_its_own_job(flink: Flink) -> None:
    address = flink.rest.removeprefix("http://")
    leftovers.cancel_own({"job_name": flink.jobs[0]["name"], "flink_master": address, "job_endpoint": None})
    leftovers.cancel_own({"job_name": "another", "flink_master": address})
    leftovers.cancel_own({"job_name": flink.jobs[0]["name"], "flink_master": "[auto]"})
    assert flink.cancelled == ["0"]
