"""A client that sends what no server likes, until a line comes in on the standard input.

    python -m benchmarks.serving_broken 8501 8500

Each request has to be refused with a status of its own kind, never with 5xx, and never by the server's end; what comes
otherwise is counted as unexpected. Prints JSON.
"""

import collections
import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable

import httpx
import numpy as np
import typer

from benchmarks.serving_models import INPUTS

_PREDICT = "/v1/models/mlp:predict"


def bodies() -> dict[str, tuple[str, bytes, int]]:
    """Name -> path, body and the status that is expected."""
    row = [0.0] * INPUTS
    return {
        "unknown model": ("/v1/models/no:predict", json.dumps({"instances": [row]}).encode(), 404),
        "unknown version": ("/v1/models/mlp/versions/9:predict", json.dumps({"instances": [row]}).encode(), 404),
        "unknown signature": (_PREDICT, json.dumps({"signature_name": "no", "instances": [row]}).encode(), 400),
        "wrong shape": (_PREDICT, json.dumps({"instances": [row[:3]]}).encode(), 400),
        "ragged": (_PREDICT, json.dumps({"instances": [row, row[:3]]}).encode(), 400),
        "wrong type": (_PREDICT, json.dumps({"instances": [["a"] * INPUTS]}).encode(), 400),
        "no JSON": (_PREDICT, b'{"instances": [', 400),
        "deep JSON": (_PREDICT, b"[" * 100_000, 400),
        "invalid UTF-8": (_PREDICT, b'{"instances": ["\xff\xfe"]}', 400),
        "no example": (_PREDICT, b'{"signature_name": "examples", "instances": [{"b64": "////"}]}', 400),
    }


def main(rest: int, grpc: int) -> None:
    """Sends, and prints how often each was answered how."""
    seen: collections.Counter[str] = collections.Counter()
    unexpected: collections.Counter[str] = collections.Counter()
    stopped = threading.Event()

    def stop() -> None:
        sys.stdin.readline()
        stopped.set()

    threading.Thread(target=stop, daemon=True).start()
    cases = [(name, *case) for name, case in bodies().items()]
    ask_grpc = _grpc(grpc)
    with httpx.Client(base_url=f"http://127.0.0.1:{rest}", timeout=60) as client:
        while not stopped.wait(0.02):
            for name, path, body, expected in cases:
                status = client.post(path, content=body).status_code
                (seen if status == expected else unexpected)[f"{name}: {status}"] += 1
            for name, code in ask_grpc():
                (seen if code == "INVALID_ARGUMENT" else unexpected)[f"gRPC {name}: {code}"] += 1
            _half_closed(rest)
    print(json.dumps({"refused": sum(seen.values()), "kinds": len(seen), "unexpected": dict(unexpected)}))


def _half_closed(port: int) -> None:
    """Promises a body and goes away."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"POST {_PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())


def _grpc(port: int) -> Callable[[], list[tuple[str, str]]]:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(f"127.0.0.1:{port}"))

    def request(name: str, values: np.ndarray) -> predict_pb2.PredictRequest:
        made = predict_pb2.PredictRequest()
        made.model_spec.name = "mlp"
        made.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        return made

    row = np.zeros((1, INPUTS), np.float32)
    cases = {
        "misspelt": request("z", row),
        "wrong shape": request("x", row[:, :3]),
        "wrong type": request("x", row.astype(np.int64)),
    }

    def ask() -> list[tuple[str, str]]:
        codes = []
        for name, made in cases.items():
            try:
                stub.Predict(made, 60)
                codes.append((name, "OK"))
            except grpc.RpcError as error:
                codes.append((name, error.code().name))
        return codes

    return ask


if __name__ == "__main__":
    typer.run(main)
