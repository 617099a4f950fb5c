"""Flink's jobs by REST: a small server of this test answers as Flink does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.errors import MillraceError
from pipeline.flink import jobs

_JOBS = [
    {"jid": "1", "name": "millrace-a-Count", "state": "RUNNING"},
    {"jid": "2", "name": "millrace-a-Count", "state": "FINISHED"},
    {"jid": "3", "name": "millrace-b-Count", "state": "RUNNING"},
    {"jid": "4", "name": "millrace-a-Join", "state": "RESTARTING"},
    {"jid": "5", "name": "millrace-a-Join", "state": "CANCELLING"},
]


@pytest.fixture
def flink() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked.append(f"{self.command} {self.path}")
            known = self.path == "/jobs/overview" or self.command == "PATCH"
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"jobs": _JOBS} if known else {"errors": ["Not found: x"]}).encode())

        do_GET = do_PATCH = _answer

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_overview(flink: tuple[str, list[str]]) -> None:
    found = jobs.overview(flink[0])
    assert [(job.id, job.live) for job in found] == [
        *(("1", True), ("2", False), ("3", True)),
        *(("4", True), ("5", False)),
    ]
    assert found[0] == jobs.Job("1", "millrace-a-Count", "RUNNING")


def test_cancel_ends_what_lives_and_begins_so(flink: tuple[str, list[str]]) -> None:
    assert [job.id for job in jobs.cancel(flink[0], "millrace-a-")] == ["1", "4"]
    assert flink[1] == ["GET /jobs/overview", "PATCH /jobs/1?mode=cancel", "PATCH /jobs/4?mode=cancel"]


def test_errors_name_the_address_and_what_was_said(flink: tuple[str, list[str]]) -> None:
    with pytest.raises(MillraceError, match=r"Flink at http://127.*: GET /none: 404 .*Not found: x"):
        jobs.ask(flink[0], "/none")
    with pytest.raises(MillraceError, match=r"127\.0\.0\.1:1 does not answer.*Next: millrace cluster status"):
        jobs.overview("http://127.0.0.1:1")
