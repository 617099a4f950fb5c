"""The description fits the server: requests made from it, by Schemathesis, at a server process of its own."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.rest import openapi

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SIGNATURES = ("serving_default", "mixed", "fails", "images", "slow", "regress", "classify", "no")
QUICK = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def url(toys, tmp_path_factory) -> Iterator[str]:
    """Of a server process with the toy model."""
    ready = tmp_path_factory.mktemp("server") / "ready.json"
    flags = ["--model-name", "toy", "--model-base-path", str(toys), "--rest-port", "0", "--grpc-port", "-1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", *flags, "--ready-file", str(ready)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 90
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        yield f"http://127.0.0.1:{json.loads(ready.read_text())['rest_port']}"
        assert process.poll() is None, "the server died of a request"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        assert process.wait(60) == 0


schema = schemathesis.openapi.from_dict(openapi.document())


@schema.parametrize()
@QUICK
def test_whatever_is_asked(case, url):
    case.call_and_validate(base_url=url, checks=CHECKS)


@schema.include(path_regex="^/v1/").parametrize()
@QUICK
def test_whatever_the_model_is_asked(case, url):
    """The model that is there, and one of its signatures."""
    there = {"model": "toy", "version": 3}
    case.path_parameters.update({name: there[name] for name in case.path_parameters if name in there})
    if isinstance(case.body, dict) and isinstance(case.body.get("signature_name"), str):
        case.body["signature_name"] = SIGNATURES[len(case.body["signature_name"]) % len(SIGNATURES)]
    case.call_and_validate(base_url=url, checks=CHECKS)


def test_every_path_is_described(url):
    served = httpx.get(f"{url}/openapi.json").json()
    assert served == openapi.document()
    assert len(served["paths"]) == 3 * 5 + 4
