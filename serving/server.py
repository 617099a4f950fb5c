"""The whole server: models, REST and gRPC in one event loop, from start to a graceful end.

code = run(Settings(models=(ModelConfig("taxi_tips", "/models/taxi_tips"),)))
"""

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import uvicorn
import uvloop

from serving import grpc_server
from serving.manager import Manager
from serving.metrics import Metrics
from serving.request_log import RequestLog
from serving.rest import app
from serving.rest.protocol import Protocol
from serving.settings import Settings

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.05
_BACKLOG = 2048


class _Rest(uvicorn.Server):
    """uvicorn without its own signal handlers: two fronts end together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def run(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code, 0.

    Raises:
      ServingError: the configuration is wrong.
      OSError: a port is taken, or a file can't be read or written.
    """
    uvloop.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    metrics = Metrics()
    rest_socket = _bind(settings.host, settings.rest_port)
    log = RequestLog(settings.request_log, metrics) if settings.request_log is not None else None
    manager = Manager(settings, metrics, log)
    rpc = None
    ports: dict[str, int | None] = {"rest_port": rest_socket.getsockname()[1], "grpc_port": None}
    try:
        if settings.grpc_port is not None:
            rpc = grpc_server.build(manager, settings, metrics)
            ports["grpc_port"] = grpc_server.listen(rpc, settings)
        await asyncio.to_thread(manager.start)
        # What is loaded by now stays for long: the collector need not look at it with every round.
        gc.collect()
        gc.freeze()
        await _answer(settings, manager, metrics, rest_socket, rpc, ports, told)
    finally:
        rest_socket.close()
        if settings.ready_file is not None:
            settings.ready_file.unlink(missing_ok=True)
        await asyncio.to_thread(manager.stop)
        if log is not None:
            log.close()
    _log.info("ended")


async def _answer(
    settings: Settings,
    manager: Manager,
    metrics: Metrics,
    rest_socket: socket.socket,
    rpc: grpc.aio.Server | None,
    ports: dict[str, int | None],
    told: asyncio.Event,
) -> None:
    """Answers requests until it is told to end, and then those that are under way."""
    rest = _Rest(_config(settings, manager, metrics))
    if rpc is not None:
        await rpc.start()
    serving = asyncio.create_task(rest.serve(sockets=[rest_socket]))
    ready = asyncio.create_task(_say_ready(settings, manager, rest, ports))
    end = asyncio.create_task(told.wait())
    try:
        await asyncio.wait({serving, end}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        _log.info("ending: requests that are under way are answered")
        ready.cancel()
        end.cancel()
        rest.should_exit = True
        if rpc is not None:
            await rpc.stop(settings.limits.drain_seconds)
        await serving


def _config(settings: Settings, manager: Manager, metrics: Metrics) -> uvicorn.Config:
    return uvicorn.Config(
        app.build(manager, settings, metrics),
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=max(1, round(settings.limits.drain_seconds)),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


async def _say_ready(settings: Settings, manager: Manager, rest: uvicorn.Server, ports: dict[str, int | None]) -> None:
    """Says, once, that requests are answered: in the log, and in the file, which appears with its contents."""
    while not (rest.started and manager.ready()):
        await asyncio.sleep(_LOOK_SECONDS)
    _log.info("ready: %s at %s, REST %s, gRPC %s", manager.models(), settings.host, *ports.values())
    if settings.ready_file is not None:
        _write(settings.ready_file, json.dumps({**ports, "pid": os.getpid()}) + "\n")


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{os.getpid()}")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.rename(file)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"REST can't listen at {host}:{port}: {error.strerror}") from error
    return bound
