"""Buckets that fail on demand: a server between the client and moto or the GCS emulator."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from pipeline.remote.retries import Retries

S3_ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{text}</Message></Error>'


@dataclass(frozen=True)
class Answer:
    """An answer in place of the server's; status 0 is a connection that breaks."""

    status: int
    code: str = "Failed"


@dataclass
class Faults:
    """What goes wrong, and what was asked.

    Attributes:
      planned: method, a part of the path, and the answers to the next such requests.
      seen: method and path of each request.
    """

    planned: list[tuple[str, str, list[Answer]]] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, method: str, part: str, *answers: Answer) -> None:
        """Plans answers."""
        self.planned.append((method, part, list(answers)))

    def next(self, method: str, path: str) -> Answer | None:
        """The planned answer to a request; None where the server is asked."""
        with self.lock:
            self.seen.append((method, path))
            for wanted, part, answers in self.planned:
                if answers and method == wanted and part in path:
                    return answers.pop(0)
        return None

    def count(self, method: str, part: str) -> int:
        """How many such requests came."""
        return sum(wanted == method and part in path for wanted, path in self.seen)


def _handler(upstream: str, faults: Faults) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = faults.next(self.command, self.path)
            if answer is None:
                address = urlsplit(upstream).netloc
                server = HTTPConnection(address, timeout=30)
                server.request(self.command, self.path, body, dict(self.headers))
                found = server.getresponse()
                self._answer(found.status, found.read(), dict(found.getheaders()))
                server.close()
            elif answer.status:
                text = S3_ERROR.format(code=answer.code, text="secret-in-text AKIAEXAMPLE")
                self._answer(answer.status, text.encode(), {"Content-Type": "application/xml"})
            else:
                # Closed with a reset, not with an end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response_only(status)
            dropped = {"transfer-encoding", "connection", "content-length"}
            for name, value in headers.items():
                if name.lower() not in dropped:
                    self.send_header(name, value)
            length = next((v for k, v in headers.items() if k.lower() == "content-length"), str(len(body)))
            self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def faults(
    request: pytest.FixtureRequest,
    bucket: str,
    bucket_servers: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Faults]:
    """What goes wrong with `bucket` from now on; nothing, at first."""
    from s3fs import S3FileSystem

    scheme = bucket.partition("://")[0]
    name = {"s3": "AWS_ENDPOINT_URL", "gs": "STORAGE_EMULATOR_HOST"}[scheme]
    found = Faults()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bucket_servers[scheme][name], found))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_address[1]}")
    _forget_clients(S3FileSystem)
    yield found
    server.shutdown()
    server.server_close()
    monkeypatch.setenv(name, bucket_servers[scheme][name])
    _forget_clients(S3FileSystem)


def _forget_clients(amazon: type) -> None:
    """Instances are kept by their arguments, which do not say where the server is."""
    from gcsfs.core import GCSFileSystem

    from pipeline.remote import stores

    for kind in (amazon, GCSFileSystem, stores._google()):
        kind.clear_instance_cache()


@dataclass
class Clock:
    """Time that passes only where somebody waits."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Lets it pass."""
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """A clock for `patient`."""
    return Clock()


@pytest.fixture
def patient(clock: Clock) -> Callable[..., Retries]:
    """A function: settings, to retries that wait by `clock`, each wait as long as it can be."""

    def make(**settings: float) -> Retries:
        return Retries(sleep=clock.sleep, clock=lambda: clock.now, chance=lambda: 1.0, **settings)  # type: ignore[arg-type]

    return make
