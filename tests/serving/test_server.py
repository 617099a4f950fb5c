"""The server as a process."""

import json
import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def serve(tmp_path, put, until):
    """A function: flags, to the process and what its ready file says."""
    processes = []

    def run(*flags):
        base = put(1).parent
        ready = tmp_path / f"ready-{len(processes)}.json"
        command = [sys.executable, "-m", "serving", "--model-name", "half", "--model-base-path", str(base)]
        command += ["--rest-port", "0", "--grpc-port", "0", "--ready-file", str(ready), *flags]
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        processes.append(process)
        until(lambda: ready.exists() or process.poll() is not None, 60)
        assert ready.exists(), process.stderr.read()
        return process, json.loads(ready.read_text())

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def ask_rest(port, x, signature="serving_default"):
    body = json.dumps({"inputs": x, "signature_name": signature}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/half:predict", body, 60) as answer:
        return json.load(answer)["outputs"]


def ask_grpc(port, x, signature=""):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", signature
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array(x, np.float32)))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        (tensor,) = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, 60).outputs.values()
        return list(tensor.float_val)


def waiting(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/monitoring/prometheus/metrics", timeout=20) as answer:
        return b':millrace:serving:queue_length{model_name="half"} 2.0' in answer.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_fronts_answer_and_requests_under_way_at_a_signal_are_answered(serve, until, number):
    process, ready = serve()
    rest, rpc = ready["rest_port"], ready["grpc_port"]
    assert ready["pid"] == process.pid
    assert ask_rest(rest, [2.0, 4.0]) == [2.0, 3.0] == ask_grpc(rpc, [2.0, 4.0])
    with ThreadPoolExecutor() as threads:
        # One runs, the others wait for it, when the signal comes.
        asked = [
            threads.submit(ask_grpc, rpc, [150_000.0], "slow"),
            threads.submit(ask_grpc, rpc, [3.0], "slow"),
            threads.submit(ask_rest, rest, [5.0], "slow"),
        ]
        until(lambda: waiting(rest))
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        answers = [one.result() for one in asked]
    assert answers == [[150_000.0], [3.0], 5.0]
    assert process.returncode == 0 and "Traceback" not in said
    assert not (Path(process.args[process.args.index("--ready-file") + 1])).exists()


def test_a_killed_server_leaves_nothing_that_keeps_the_next_one_from_starting(serve, tmp_path, until):
    process, ready = serve("--request-log", str(tmp_path / "log"), "--request-log-rate", "1")
    ask_rest(ready["rest_port"], [2.0])
    until(lambda: any(file.stat().st_size for file in (tmp_path / "log").iterdir()))
    process.kill()
    process.communicate()
    command = [*process.args, "--rest-port", str(ready["rest_port"])]
    (tmp_path / "ready-0.json").unlink()
    again = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    try:
        until((tmp_path / "ready-0.json").exists, 60)
        assert ask_rest(ready["rest_port"], [2.0, 4.0]) == [2.0, 3.0]
    finally:
        again.terminate()
        assert again.wait(30) == 0
    assert len(list((tmp_path / "log").glob("requests-*"))) == 2


def test_wrong_flags_are_one_sentence_and_exit_code_2(tmp_path):
    broken = tmp_path / "models.config"
    broken.write_text("model_config_list { confg")
    empty = tmp_path / "token"
    empty.touch()
    model = ["--model-name", "half", "--model-base-path"]
    for flags, message in (
        ([], "Expected --model-name and --model-base-path, or else --model-config"),
        ([*model, "models/half"], "Expected model half to have an absolute path or URI; got base_path()=models/half"),
        (["--model-config", str(broken)], "is no ModelServerConfig in text form"),
        ([*model, "/m", "--token-file", str(empty)], "expected a token of printable ASCII characters"),
        ([*model, "/m", "--tls-cert", str(broken)], "Expected both --tls-cert and --tls-key"),
    ):
        command = [sys.executable, "-m", "serving", *flags, "--rest-port", "0", "--grpc-port", "-1"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
        lines = [line for line in done.stderr.splitlines() if message in line]
        assert done.returncode == 2 and len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
