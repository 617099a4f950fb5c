"""The REST front over HTTP: what TF Serving's clients send, and what breaks."""

import base64
import gzip
import json
import socket
import threading

import httpx
import pytest

from serving.settings import Limits, ModelConfig


def error(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    return answer.json()["error"]


class TestPredict:
    def test_rows_of_values(self, rest):
        answer = rest.predict({"instances": [1.0, 2.0, 5.0]})
        assert (answer.status_code, answer.content) == (200, b'{"predictions":[2.5,3.0,4.5]}')
        assert answer.headers["content-type"] == "application/json"

    def test_columns(self, rest):
        assert rest.predict({"inputs": {"x": [1.0]}}).content == b'{"outputs":[2.5]}'
        assert rest.predict({"inputs": [1.0]}).content == b'{"outputs":[2.5]}'

    def test_several_inputs_and_outputs(self, rest):
        row = {"a": [1.0, 0.1], "b": "é"}
        (got,) = rest.predict({"signature_name": "mixed", "instances": [row]}).json()["predictions"]
        assert got == {**row, "b_bytes": {"b64": base64.b64encode("é".encode()).decode()}}
        got = rest.predict({"signature_name": "mixed", "inputs": {"a": [[1, 2]], "b": [{"b64": "QUI="}]}}).json()
        assert got == {"outputs": {"a": [[1.0, 2.0]], "b": ["AB"], "b_bytes": [{"b64": "QUI="}]}}

    def test_what_is_no_number(self, rest):
        assert rest.predict(b'{"instances": [NaN, -Infinity]}').content == b'{"predictions":[NaN,-Infinity]}'

    def test_strings_that_are_no_utf8_come_back_as_they_are(self, rest):
        body = {
            "signature_name": "mixed",
            "inputs": {"a": [[1, 2]], "b": [{"b64": base64.b64encode(b"\xff").decode()}]},
        }
        assert b'"b":["\xff"]' in rest.predict(body).content

    def test_versions_and_labels(self, rest):
        for path, plus in (("versions/1", 1.0), ("versions/2", 2.0), ("labels/stable", 1.0)):
            answer = rest.client.post(f"/v1/models/toy/{path}:predict", json={"instances": [0.0]})
            assert answer.json() == {"predictions": [plus]}

    def test_large_bodies_and_answers_go_through_a_thread(self, serve):
        values = [float(value) for value in range(300_000)]
        with serve(limits=Limits(rows=1_000_000)) as rest:
            assert rest.predict({"instances": values}).json()["predictions"][-1] == values[-1] / 2 + 2

    def test_gzip(self, rest):
        body = gzip.compress(b'{"instances": [1.0]}')
        assert rest.call("predict", body, **{"Content-Encoding": "gzip"}).json() == {"predictions": [2.5]}

    def test_no_rows(self, rest):
        assert rest.predict({"inputs": []}).content == b'{"outputs":[]}'


class TestRefused:
    @pytest.mark.parametrize(
        "body, expected",
        [
            (b"", "JSON Parse error: The document is empty"),
            (b"{", "JSON Parse error"),
            (b"[" * 500_000, "recursion limit exceeded"),
            (b'{"instances": ["\xff"]}', "JSON Parse error"),
            ({}, "Missing 'inputs' or 'instances' key"),
            ({"instances": ["a"]}, "is not of expected type: float"),
            ({"instances": [[1.0], [2.0]]}, "wrong shape"),
            ({"inputs": {"x": ["a"]}}, "is not of expected type: float (at [0]), input x"),
            ({"instances": [{"y": 1.0}]}, "does not have named input: y"),
            ({"signature_name": 3, "instances": [1.0]}, "'signature_name' key must be a string value"),
            (
                {"signature_name": "mixd", "instances": [1.0]},
                "Serving signature name: \"mixd\" not found in signature def. Did you mean 'mixed'",
            ),
        ],
    )
    def test_bad_requests(self, rest, body, expected):
        assert expected in error(rest.predict(body), 400)
        assert rest.predict({"instances": [1.0]}).status_code == 200

    def test_unknown_model_version_and_label(self, rest):
        body = {"instances": [1.0]}
        assert error(rest.predict(body, "no"), 404) == "Servable not found for request: Latest(no)"
        assert error(rest.predict(body, "toy/versions/3"), 404) == "Servable not found for request: Specific(toy, 3)"
        assert "nope" in error(rest.predict(body, "toy/labels/nope"), 400)

    def test_columns_of_other_lengths_are_named(self, rest):
        message = error(
            rest.predict({"signature_name": "joint", "inputs": {"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}}), 400
        )
        assert message.startswith("Expected as many rows of each input. Received: a has 2, b has 3. ")

    def test_the_model_fails(self, rest):
        message = error(rest.predict({"signature_name": "fails", "instances": [11.0]}), 400)
        assert "too large" in message
        assert rest.predict({"signature_name": "fails", "instances": [9.0]}).status_code == 200

    def test_bytes_that_are_no_image_name_the_input(self, rest):
        message = error(rest.predict({"signature_name": "images", "instances": ["no image", "nor this"]}), 400)
        assert "Expected: PNG or JPEG" in message and "input photo [2]" in message and "{{node" not in message

    @pytest.mark.parametrize(
        "method, path",
        [
            ("GET", "/v1/models/toy:predict"), ("POST", "/v1/models/toy"), ("PUT", "/v1/models/toy:predict"),
            ("DELETE", "/v1/models/toy"), ("PATCH", "/v1/"), ("POST", "/v1/models/toy:predict?a=b"),
        ],
    )  # fmt: skip
    def test_malformed(self, rest, method, path):
        assert error(rest.client.request(method, path), 400) == f"Malformed request: {method} {path}"

    def test_head_has_no_body(self, rest):
        answer = rest.client.head("/v1/models/toy")
        assert (answer.status_code, answer.content) == (400, b"")

    def test_unknown_paths_and_methods(self, rest):
        assert error(rest.client.get("/v2/models"), 404) == "Not found: GET /v2/models"
        assert error(rest.client.post("/healthz"), 405) == "Method not allowed: POST /healthz"

    def test_preflight(self, rest):
        assert rest.client.options("/v1/models/toy", headers={"Origin": "https://a.example"}).status_code == 200
        assert error(rest.client.options("/v1/models/toy"), 400) == "Origin header is missing in CORS preflight"

    def test_a_full_queue_is_429(self, serve):
        with serve(limits=Limits(queue=0)) as rest:
            assert "queue" in error(rest.predict({"instances": [1.0]}), 429)

    def test_too_many_rows(self, serve):
        with serve(limits=Limits(rows=2)) as rest:
            assert "Expected at most 2. Received: 3" in error(rest.predict({"instances": [1.0, 2.0, 3.0]}), 400)

    def test_a_deadline_is_504(self, serve):
        with serve(limits=Limits(timeout_seconds=0.1)) as rest:
            message = error(rest.predict({"signature_name": "slow", "instances": [300_000]}), 504)
            assert message == "The request was not answered in time."
            assert rest.client.get("/healthz").status_code == 200


class TestClassifyAndRegress:
    def test_regress(self, rest):
        answer = rest.call("regress", {"signature_name": "regress", "examples": [{"x": 1.0}, {"x": [2.0]}]})
        assert (answer.status_code, answer.content) == (200, b'{"results":[2.5,3.0]}')

    def test_classify_with_context(self, rest):
        body = {"signature_name": "classify", "context": {"x": 0.25}, "examples": [{}, {}]}
        assert rest.call("classify", body).json() == {"results": [[["low", 0.75], ["high", 0.25]]] * 2}

    def test_refused(self, rest):
        assert "Expected one" in error(rest.call("classify", {"signature_name": "mixed", "examples": [{}]}), 400)
        assert "is expected and was not found" in error(rest.call("regress", {"instances": [1.0]}), 400)


class TestLooks:
    def test_status(self, rest):
        one = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        got = rest.client.get("/v1/models/toy").json()
        assert got == {"model_version_status": [{"version": "2", **one}, {"version": "1", **one}]}
        assert rest.client.get("/v1/models/toy/versions/1").json() == {
            "model_version_status": [{"version": "1", **one}]
        }
        assert rest.client.get("/v1/models/toy/labels/stable").json() == {
            "model_version_status": [{"version": "1", **one}]
        }
        assert error(rest.client.get("/v1/models/no"), 404) == "Could not find any versions of model no"
        assert error(rest.client.get("/v1/models"), 400) == "Missing model name in request."

    def test_metadata(self, rest):
        got = rest.client.get("/v1/models/toy/versions/1/metadata").json()
        assert got["model_spec"] == {"name": "toy", "signature_name": "", "version": "1"}
        found = got["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert found["method_name"] == "tensorflow/serving/predict"
        shape = found["inputs"]["x"].pop("tensor_shape")
        assert shape == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
        assert found["inputs"]["x"] == {"dtype": "DT_FLOAT", "name": "serving_default_x:0"}
        assert found["outputs"].keys() == {"y"}

    def test_health(self, rest):
        assert rest.client.get("/healthz").json() == {"status": "live"}
        assert rest.client.get("/readyz").json() == {"status": "ready"}

    def test_nothing_is_loaded(self, serve, tmp_path):
        with serve(models=(ModelConfig("empty", str(tmp_path)),)) as rest:
            assert rest.client.get("/healthz").status_code == 200
            assert error(rest.client.get("/readyz"), 503) == "Not every model has a version that is loaded"
            assert error(rest.predict({"instances": [1.0]}, "empty"), 404) == (
                "Servable not found for request: Latest(empty)"
            )

    def test_metrics(self, rest):
        rest.predict({"instances": [1.0]})
        rest.predict({"instances": ["x"]})
        rest.predict({"instances": [1.0]}, "no")
        rest.call("regress", {"signature_name": "regress", "examples": [{"x": 1.0}, {"x": 2.0}]})
        answer = rest.client.get("/monitoring/prometheus/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        counts = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
        assert float(counts[':tensorflow:serving:request_count{model_name="toy",status="OK"}']) >= 1
        assert float(counts[':tensorflow:serving:request_count{model_name="toy",status="INVALID_ARGUMENT"}']) >= 1
        assert not any('model_name="no"' in name for name in counts)
        assert float(counts[':tensorflow:serving:request_example_count_total{model="toy"}']) >= 2
        latency = ':tensorflow:serving:request_latency_count{API="predict",entrypoint="REST",model_name="toy"}'
        assert float(counts[latency]) >= 1

    def test_description(self, rest):
        document = rest.client.get("/openapi.json").json()
        assert document["openapi"] == "3.1.0"
        assert "/v1/models/{model}/versions/{version}:classify" in document["paths"]


class TestToken:
    @pytest.fixture(scope="class")
    def guarded(self, serve):
        with serve(token="secret") as running:
            yield running

    @pytest.mark.parametrize("path", ["/v1/models/toy", "/monitoring/prometheus/metrics", "/openapi.json", "/no"])
    @pytest.mark.parametrize("given", [None, "secret", "Bearer wrong", "Bearer", "Basic secret"])
    def test_refused(self, guarded, path, given):
        answer = guarded.client.get(path, headers={} if given is None else {"authorization": given})
        assert "token" in error(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")

    def test_accepted(self, guarded):
        for given in ("Bearer secret", "bearer  secret"):
            assert guarded.call("predict", {"instances": [1.0]}, authorization=given).status_code == 200

    def test_health_is_open(self, guarded):
        assert guarded.client.get("/healthz").status_code == 200
        assert guarded.client.get("/readyz").status_code == 200


class TestConnections:
    """Raw sockets: what no well-behaved client sends."""

    def raw(self, rest, data: bytes, *, shut: bool = False) -> bytes:
        with socket.create_connection(("127.0.0.1", rest.port), timeout=20) as connection:
            connection.sendall(data)
            if shut:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while part := connection.recv(65536):
                received += part
            return received

    def test_a_body_above_the_limit_is_413(self, rest):
        assert "at most 1048576 bytes" in error(rest.predict(b" " * (1 << 20) + b"x"), 413)
        assert "at most 1048576 bytes" in error(
            rest.client.post("/v1/models/toy:predict", content=iter([b" " * 60_000] * 20)), 413
        )

    def test_a_length_above_the_limit_is_answered_without_its_body(self, rest):
        got = self.raw(rest, b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 413") and b"connection: close" in got.lower()

    def test_an_endless_chunked_body_is_cut_off(self, rest):
        got = b""
        with socket.create_connection(("127.0.0.1", rest.port), timeout=20) as connection:
            connection.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
            stop = threading.Event()

            def send() -> None:
                chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
                while not stop.is_set():
                    try:
                        connection.sendall(chunk)
                    except OSError:
                        return

            sender = threading.Thread(target=send)
            sender.start()
            try:
                got = connection.recv(65536)
            finally:
                stop.set()
                sender.join()
        assert got.startswith(b"HTTP/1.1 413")

    def test_fewer_bytes_than_said_and_then_the_end(self, rest):
        head = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n"
        self.raw(rest, head + b'{"instances"', shut=True)
        assert rest.predict({"instances": [1.0]}).status_code == 200

    def test_a_half_closed_client(self, rest):
        """One that sends a whole request and shuts its side; as at TF Serving it may get no answer."""
        body = b'{"instances": [1.0]}'
        head = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
        got = self.raw(rest, head + body, shut=True)
        assert got == b"" or got.endswith(b'{"predictions":[2.5]}')
        assert rest.predict({"instances": [1.0]}).status_code == 200

    def test_no_http(self, rest):
        assert self.raw(rest, b"\x16\x03\x01\x02\x00\x01\x00\n\n").startswith(b"HTTP/1.1 400")

    def test_a_slow_body_is_408(self, serve):
        with serve(limits=Limits(timeout_seconds=0.2)) as rest:
            head = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{"
            got = self.raw(rest, head)
        assert got.startswith(b"HTTP/1.1 408")
        assert json.loads(got.split(b"\r\n\r\n")[1])["error"] == "The request's body was not there within 0.2 s"

    def test_clients_that_go_away_leave_the_server_well(self, rest):
        body = b'{"instances": [1.0]}'
        request = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", rest.port)) as connection:
                connection.sendall(request)
        assert rest.predict({"instances": [1.0]}).json() == {"predictions": [2.5]}
