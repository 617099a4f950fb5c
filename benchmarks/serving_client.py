"""A client in a process of its own: keeps a number of connections busy, and prints what it saw as JSON.

    python -m benchmarks.serving_client rest 8501 --connections 8 --seconds 5
    python -m benchmarks.serving_client grpc 8500 --signature examples

Every answer is checked: it must be a number between a version and the next one. `--seconds 0`: until a line comes in on
the standard input. What fails is counted, and the first reason told.
"""

import asyncio
import base64
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.serving_models import example, row

_MODEL = "mlp"
_WARM_SECONDS = 1.0


@dataclass
class Seen:
    """What a client saw.

    Attributes:
        requests: that were answered rightly.
        failed: that were not.
        reason: of the first that failed.
        seconds: of the measurement.
        p50_ms: half of the answers took at most so long.
        p99_ms: 99 of 100.
        versions: that answered, in the order of their first answer.
    """

    requests: int = 0
    failed: int = 0
    reason: str = ""
    seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    versions: list[int] = field(default_factory=list)


class Load:
    """Counts, for all connections of a client."""

    def __init__(self, seconds: float) -> None:
        """Measures so long, after a second of warming up; 0: until it is stopped, without warming up."""
        self.seen = Seen()
        self.times: list[float] = []
        self._lasts = seconds
        self.begins = self.ends = 0.0

    def begin(self) -> None:
        """Starts the clock, when everything is imported."""
        self.begins = time.perf_counter() + (_WARM_SECONDS if self._lasts else 0.0)
        self.ends = self.begins + self._lasts if self._lasts else float("inf")

    def goes_on(self) -> bool:
        """Whether to ask once more."""
        return time.perf_counter() < self.ends

    def answered(self, started: float, value: float) -> None:
        """Counts an answer."""
        ended = time.perf_counter()
        version = int(value)
        if version not in self.seen.versions[-3:]:
            self.seen.versions.append(version)
        if started >= self.begins:
            self.times.append(ended - started)

    def failed(self, reason: str) -> None:
        """Counts a failure."""
        self.seen.failed += 1
        self.seen.reason = self.seen.reason or reason

    def result(self) -> Seen:
        """What was seen."""
        self.seen.seconds = min(time.perf_counter(), self.ends) - self.begins
        self.seen.requests = len(self.times)
        if self.times:
            self.seen.p50_ms, self.seen.p99_ms = (1e3 * float(q) for q in np.quantile(self.times, (0.5, 0.99)))
        return self.seen


class _Http(asyncio.Protocol):
    """One connection that asks again as soon as it is answered: as thin as can be, as it runs on the server's cores."""

    def __init__(self, request: bytes, load: Load) -> None:
        self._request = request
        self._load = load
        self._got = b""
        self._started = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    def _ask(self) -> None:
        if self._load.goes_on():
            self._started = time.perf_counter()
            self._transport.write(self._request)
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head = self._got.find(b"\r\n\r\n")
        if head < 0:
            return
        header = self._got[:head].lower()
        start = header.index(b"content-length:") + 15
        length = int(header[start:].split(b"\r\n", 1)[0])
        if len(self._got) < head + 4 + length:
            return
        body, self._got = self._got[head + 4 :], b""
        if header.startswith(b"http/1.1 200"):
            self._load.answered(self._started, float(body[body.rindex(b"[") + 1 : body.index(b"]")]))
        else:
            self._load.failed(body.decode(errors="replace"))
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if self._load.goes_on():
            self._load.failed(f"connection lost: {error}")
        self.done.set_result(None)


async def rest(port: int, signature: str, connections: int, load: Load) -> None:
    """Asks over HTTP."""
    rows: Any = row().tolist()
    if signature == "examples":
        rows = [{"b64": base64.b64encode(example()).decode()}]
    body = json.dumps({"signature_name": signature, "instances": rows}).encode()
    head = f"POST /v1/models/{_MODEL}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    loop = asyncio.get_running_loop()
    load.begin()
    made = [
        await loop.create_connection(lambda: _Http(head.encode() + body, load), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))


async def grpc(port: int, signature: str, connections: int, load: Load) -> None:
    """Asks over gRPC, with tensorflow-serving-api's stub."""
    import grpc as library
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = _MODEL, signature
    dense = signature != "examples"
    request.inputs["x" if dense else "examples"].CopyFrom(tf.make_tensor_proto(row() if dense else [example()]))

    load.begin()

    async def ask() -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]  # Else all channels to one address are one connection.
        async with library.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            while load.goes_on():
                started = time.perf_counter()
                try:
                    answer = await predict(request)
                    load.answered(started, answer.outputs["y"].float_val[0])
                except library.aio.AioRpcError as error:
                    load.failed(f"{error.code()}: {error.details()}")

    await asyncio.gather(*(ask() for _ in range(connections)))


def main(
    kind: Annotated[str, typer.Argument(help="rest or grpc")],
    port: Annotated[int, typer.Argument(help="of the server, on this machine")],
    signature: Annotated[str, typer.Option(help="serving_default or examples")] = "serving_default",
    connections: Annotated[int, typer.Option(min=1)] = 8,
    seconds: Annotated[float, typer.Option(min=0)] = 5.0,
) -> None:
    """Asks, and prints what it saw."""
    import uvloop

    load = Load(seconds)

    def stop() -> None:
        sys.stdin.readline()
        load.ends = time.perf_counter()

    if not seconds:
        threading.Thread(target=stop, daemon=True).start()
    ask = {"rest": rest, "grpc": grpc}[kind]
    uvloop.run(ask(port, signature, connections, load))
    print(json.dumps(asdict(load.result())))


if __name__ == "__main__":
    typer.run(main)
