"""From the push to a client's answer and back: real runs, a real server, the commands that a user types."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_support import PROJECT, Run, millrace, run, served

SECONDS = 60
TRIP = {
    "trip_miles": [2.4], "trip_seconds": [720], "fare": [9.25], "payment_type": ["Credit Card"], "company": ["Flash Cab"],
    "trip_start_hour": [19], "trip_start_day": [6], "trip_start_month": [5], "pickup_latitude": [41.88],
    "pickup_longitude": [-87.63], "dropoff_latitude": [41.9], "dropoff_longitude": [-87.62],
}  # fmt: skip


class Server:
    """`millrace serve`, and a client of it."""

    def __init__(self, root: Path, folder: Path) -> None:
        """Starts it and waits until it is ready."""
        ready = folder / "ready.json"
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TF_"))}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from pipeline.cli import main; main()", "serve", "taxi_tips"),
                *("--root", str(root), "--rest-port", "0", "--grpc-port", "0"),
                *("--poll-seconds", "0.1", "--ready-file", str(ready)),
            ],
            cwd=PROJECT,
            env=environment | {"PYTHONPATH": str(PROJECT)},
            stdout=(folder / "server.log").open("wb"),
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + SECONDS
        while not ready.exists():
            assert self.process.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.ports: dict[str, int] = json.loads(ready.read_text())

    def get(self, path: str, body: Any = None) -> Any:
        """The JSON answer to a GET, or to a POST where there is a body."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{self.ports['rest_port']}/v1/models/taxi_tips{path}", data)
        ) as response:
            return json.load(response)

    def answer(self, version: str = "") -> float:
        """The probability of a tip for the trip, by the newest version or a certain one."""
        path = f"/versions/{version}:predict" if version else ":predict"
        found: float = self.get(path, {"signature_name": "columns", "inputs": TRIP})["outputs"][0]
        return found

    def grpc_answer(self) -> float:
        """The same, by TF Serving's own client."""
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        types = {"payment_type": tf.string, "company": tf.string, "trip_seconds": tf.int64}
        types |= {name: tf.int64 for name in TRIP if name.startswith("trip_start_")}
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "taxi_tips"
        request.model_spec.signature_name = "columns"
        for name, values in TRIP.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values, types.get(name, tf.float32)))
        with grpc.insecure_channel(f"127.0.0.1:{self.ports['grpc_port']}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            answer = stub.Predict(request, timeout=SECONDS)
        return float(tf.make_ndarray(answer.outputs["probability"])[0])

    def wait_until_served(self, version: str) -> None:
        """Waits until this version, and no other, is available; requests are answered all the while."""
        deadline = time.monotonic() + SECONDS
        while True:
            states = {entry["version"]: entry["state"] for entry in self.get("")["model_version_status"]}
            if [name for name, state in states.items() if state == "AVAILABLE"] == [version]:
                return
            assert time.monotonic() < deadline, states
            assert 0 < self.answer() < 1


@pytest.fixture
def server(first: Run, root: Path, tmp_path: Path) -> Iterator[Server]:
    started = Server(root, tmp_path)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()


def test_push_serve_predict_rollback_predict(first: Run, root: Path, server: Server, tmp_path: Path) -> None:
    old = first.record["pushed"]["version"]
    before = server.answer()
    assert server.grpc_answer() == pytest.approx(before, abs=1e-6)

    another = run("--root", str(root), "--set", "training.seed=7")
    assert another.code == 0, another.text
    new = another.record["pushed"]["version"]
    assert int(new) > int(old)
    server.wait_until_served(new)
    after = server.answer()
    assert abs(after - before) > 1e-6
    assert server.grpc_answer() == pytest.approx(after, abs=1e-6)

    back = millrace("rollback", "--task", "taxi_tips", "--root", str(root), "--reason", "too many no", project=PROJECT)
    assert back.returncode == 0, back.stderr
    server.wait_until_served(old)
    assert server.answer() == pytest.approx(before, abs=1e-7)
    assert served(root, "taxi_tips") == [old]

    again = run("--root", str(root), "--set", "training.seed=7")
    assert (again.code, again.record["outcome"]) == (11, "not_blessed"), again.text
    assert f"version {new} of this model was withdrawn" in again.record["reason"]
    assert "too many no" in again.record["reason"]
    assert served(root, "taxi_tips") == [old]
    history = millrace("history", "--task", "taxi_tips", "--root", str(root), "--json", project=PROJECT)
    events = [(entry["action"], entry["version"]) for entry in json.loads(history.stdout)["history"]]
    assert events[0] == ("pushed", old) and events[-2:] == [("pushed", new), ("rolled_back", old)]

    rows = tmp_path / "trips.jsonl"
    rows.write_text(json.dumps({name: values[0] for name, values in TRIP.items()}) + "\n")
    out = tmp_path / "answers.csv"
    said = millrace(
        "predict", "taxi_tips", "--root", str(root), "--data", str(rows), "--out", str(out), project=PROJECT
    )
    assert said.returncode == 0, said.stderr
    (answered,) = csv.DictReader(out.open(newline=""))
    assert float(answered["probability"]) == pytest.approx(before, abs=1e-6)
    assert answered["model_version"] == old

    server.process.terminate()
    assert server.process.wait(SECONDS) == 0
