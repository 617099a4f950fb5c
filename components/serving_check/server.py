"""A model server that lives as long as the check: this project's own, or TF Serving's container."""

import contextlib
import http.client
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.serving_check import embedded
from pipeline.errors import MillraceError, TaskError
from pipeline.serving_check import ServingCheck

_TICK = 0.02


class NotServed(MillraceError):
    """The server did not come up, or is gone."""


@dataclass(frozen=True)
class Server:
    """A server that is ready.

    Attributes:
      rest_port: on the loopback interface.
      grpc_port: likewise.
      seconds: that it took to be ready.
      pid: of its process; None where it is in a container.
    """

    rest_port: int
    grpc_port: int
    seconds: float
    pid: int | None

    def peak_mb(self) -> float | None:
        """Its peak resident memory in MiB; None of a container."""
        if self.pid is None:
            return None
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        raise NotServed("the server's process is gone")


@contextlib.contextmanager
def running(rules: ServingCheck, name: str, base: Path, log: Path) -> Iterator[Server]:
    """Starts a server on `base`, a folder of versions, and stops it at the end.

    Args:
      rules: which server, and how long it may take.
      name: of the model.
      base: a subfolder a version.
      log: file for what the server prints.

    Raises:
      NotServed: it is not ready in time, ends, or the container can't be had.
    """
    with (_container if rules.server == "tensorflow_serving" else _embedded)(rules, name, base, log) as server:
        yield server


@contextlib.contextmanager
def _embedded(rules: ServingCheck, name: str, base: Path, log: Path) -> Iterator[Server]:
    ready = base.parent / "ready.json"
    flags = ["--model-name", name, "--model-base-path", str(base)]
    flags += ["--rest-port", "0", "--grpc-port", "0", "--poll-seconds", "0", "--ready-file", str(ready)]
    started = time.monotonic()
    process = embedded.started(flags, log)
    try:
        _wait(rules, log, ready.exists, process.poll)
        ports = json.loads(ready.read_text("utf-8"))
        yield Server(ports["rest_port"], ports["grpc_port"], time.monotonic() - started, process.pid)
    finally:
        process.stop()


@contextlib.contextmanager
def _container(rules: ServingCheck, name: str, base: Path, log: Path) -> Iterator[Server]:
    """TF Serving in a container. Its image is not fetched: that is the user's to do."""
    try:
        program = rules.engine()
    except TaskError as error:
        raise NotServed(str(error)) from error
    if subprocess.run([program, "image", "inspect", rules.image], capture_output=True, check=False).returncode:  # noqa: S603
        raise NotServed(f"image {rules.image} is not on this machine. Next: {Path(program).name} pull {rules.image}")
    own = f"millrace-check-{uuid.uuid4().hex[:12]}"
    command = [
        program,
        "run",
        "--rm",
        "--name",
        own,
        "--pull",
        "never",
        "-p",
        "127.0.0.1::8500",
        "-p",
        "127.0.0.1::8501",
    ]
    command += ["-v", f"{base}:/models/{name}:ro", "-e", f"MODEL_NAME={name}", rules.image]
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)  # noqa: S603
        try:
            _wait(rules, log, lambda: _port(program, own, 8501) is not None, process.poll)
            rest, grpc_port = (_port(program, own, inner) for inner in (8501, 8500))
            if rest is None or grpc_port is None:
                raise NotServed("the container's ports are not published")
            _wait(rules, log, lambda: _available(rest, name), process.poll)
            yield Server(rest, grpc_port, time.monotonic() - started, None)
        finally:
            subprocess.run([program, "rm", "--force", own], capture_output=True, check=False)  # noqa: S603
            process.wait()


def _port(program: str, container: str, inner: int) -> int | None:
    """The port of this machine behind which a container's is."""
    asked = subprocess.run([program, "port", container, str(inner)], capture_output=True, text=True, check=False)  # noqa: S603
    first = asked.stdout.split("\n")[0]
    return int(first.rpartition(":")[2]) if asked.returncode == 0 and ":" in first else None


def _available(port: int, name: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", f"/v1/models/{name}")
        return b'"AVAILABLE"' in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait(rules: ServingCheck, log: Path, ready: Callable[[], bool], ended: Callable[[], int | None]) -> None:
    """Waits until the server is ready.

    Raises:
      NotServed: it has ended, or takes too long.
    """
    deadline = time.monotonic() + rules.start_seconds
    while not ready():
        code = ended()
        if code is not None:
            raise NotServed(f"the server ended with code {code}: {_last_words(log)}")
        if time.monotonic() > deadline:
            raise NotServed(f"the server was not ready in {rules.start_seconds:g} s: {_last_words(log)}")
        time.sleep(_TICK)


def _last_words(log: Path) -> str:
    """What the server's log says of the failure: its last line that reports one, or the last."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line or "does not load" in line]
    return (telling or lines or ["it printed nothing"])[-1][:600]
