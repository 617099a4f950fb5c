"""What is submitted to Dataflow: by Beam's own runner, to a server of this machine that takes jobs and runs none."""

import dataclasses
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import image, tasks
from pipeline.beam import arguments, checks
from pipeline.config import RunConfig
from pipeline.ingest import files

BUCKET = "millrace-tests"
ROOT = f"gs://{BUCKET}/runs"


@dataclass
class Service:
    """A Dataflow that ends each job at once.

    Attributes:
      address: of its API.
      paths: of what was asked.
      jobs: the bodies of those that were submitted.
    """

    address: str = ""
    paths: list[str] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.paths.append(self.path.partition("?")[0])
            found.jobs.append(body)
            self._answer({"id": "job-1", "name": body["name"], "currentState": "JOB_STATE_DONE"})

        def do_GET(self) -> None:
            self._answer({"id": "job-1", "currentState": "JOB_STATE_DONE"})

        def _answer(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("localhost", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.address = f"http://localhost:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def config(
    service: Service, bucket_servers: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunConfig]:
    """Of a run whose jobs go to that server, and their files to the emulator of GCS."""
    for name, value in bucket_servers["gs"].items():
        monkeypatch.setenv(name, value)
    yield RunConfig(
        "taxi_tips",
        root=ROOT,
        mirror="/not/used",
        data="gs://millrace-tests/rows.csv",
        beam_runner="dataflow",
        beam_options=(
            *("project=my-project", "region=europe-west4", f"temp_location=gs://{BUCKET}/temp", "no_auth=true"),
            *(f"dataflow_endpoint={service.address}", "sdk_container_image=registry/millrace:1"),
        ),
        beam_nodes=("StatisticsGen=cluster", "StatisticsGen.num_workers=3"),
    )
    remote = files.filesystem("gs")
    for name in remote.find(BUCKET):
        remote.rm_file(name)


def _submit(config: RunConfig, service: Service) -> dict[str, Any]:
    """Submits a small job with the arguments of a node; gives the body of the request."""
    options = PipelineOptions(arguments.by_node(tasks.load("taxi_tips"), config)["StatisticsGen"])
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | beam.Create([1, 2]) | beam.Map(abs)
    assert pipeline.run().wait_until_finish() == "DONE"
    return service.jobs[-1]


def _packages(job: dict[str, Any]) -> set[str]:
    (pool,) = job["environment"]["workerPools"]
    return {package["name"] for package in pool.get("packages", ())}


def test_a_job_is_submitted_with_image_options_and_name(config: RunConfig, service: Service) -> None:
    checks.check(tasks.load("taxi_tips"), config)
    job = _submit(config, service)
    assert service.paths == ["/v1b3/projects/my-project/locations/europe-west4/jobs"]
    name = arguments.job_name(config, "StatisticsGen")
    assert job["name"] == name
    assert f"/{BUCKET}/temp/{name}." in job["environment"]["tempStoragePrefix"]
    (pool,) = job["environment"]["workerPools"]
    assert int(pool["numWorkers"]) == 3
    assert [image["containerImage"] for image in pool["sdkHarnessContainerImages"]] == ["registry/millrace:1"]
    assert not {package for package in _packages(job) if "tfx" in package or "workflow" in package}
    told = job["environment"]["sdkPipelineOptions"]["options"]
    assert (told["project"], told["region"]) == ("my-project", "europe-west4")


def test_without_an_image_the_project_s_package_is_staged(
    config: RunConfig, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "setup.py").write_text("from setuptools import setup\nsetup(name='project', version='1')\n")
    monkeypatch.setattr(image, "ROOT", tmp_path)
    options = tuple(option for option in config.beam_options if not option.startswith("sdk_container_image="))
    assert "workflow.tar.gz" in _packages(_submit(dataclasses.replace(config, beam_options=options), service))
