"""Vertex AI as a target: Google's client against a server on this machine, and a bucket for the files."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from pipeline.errors import MillraceError
from pipeline.ingest import files
from pipeline.push import vertex
from pipeline.push.settings import Vertex
from pipeline.push.versions import Places
from tests.pipeline.push.vertex_server import serving


@pytest.fixture
def cloud() -> Iterator[Any]:
    with serving() as server:
        yield server


@pytest.fixture
def target(cloud: Any, bucket_servers: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Vertex]:
    for name, value in bucket_servers["gs"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(vertex, "_FIRST_WAIT", 0.01)
    settings = Vertex(
        *("taxis", "europe-west4", "gs://millrace-tests/staging"),
        image="europe-docker.pkg.dev/taxis/serving/tf:2.21",
        machine="n1-standard-4",
        api_endpoint=cloud.address,
    )
    yield settings
    remote = files.filesystem("gs")
    for name in remote.find("millrace-tests"):
        remote.rm_file(name)


@pytest.fixture
def serve(target: Vertex, put: Any, places: Places) -> Callable[[int], bool]:
    """A function: makes a version the served one, as a push or a rollback does."""

    def act(version: int) -> bool:
        folder = places.watched / str(version)
        if not folder.exists():
            put(version)
        return vertex.serve(target, "tips", version, folder, None)

    return act


def shares(cloud: Any) -> dict[str, int]:
    """Name of what is deployed -> its share of the traffic."""
    (endpoint,) = cloud.endpoints
    return {d["displayName"]: endpoint["trafficSplit"].get(d["id"], 0) for d in endpoint["deployedModels"]}


def test_the_first_version_makes_model_and_endpoint(cloud: Any, serve: Any) -> None:
    assert serve(7)
    (model,) = cloud.models
    assert model["displayName"] == "tips"
    assert model["artifactUri"] == "gs://millrace-tests/staging/tips/7"
    assert model["containerSpec"] == {"imageUri": "europe-docker.pkg.dev/taxis/serving/tf:2.21"}
    assert model["labels"] == {"millrace_task": "tips", "millrace_version": "7"}
    assert model["versionAliases"] == ["v7"]
    (endpoint,) = cloud.endpoints
    assert endpoint["displayName"] == "tips"
    (deployed,) = endpoint["deployedModels"]
    assert (deployed["model"], deployed["modelVersionId"]) == (model["name"], "1")
    assert deployed["dedicatedResources"]["machineSpec"] == {"machineType": "n1-standard-4"}
    assert shares(cloud) == {"tips-7": 100}
    found = files.filesystem("gs").find("millrace-tests/staging")
    assert "millrace-tests/staging/tips/7/saved_model.pb" in found


def test_the_same_once_more_changes_nothing(cloud: Any, serve: Any) -> None:
    serve(7)
    asked = list(cloud.calls)
    assert not serve(7)
    assert cloud.calls == asked


def test_the_next_gets_all_traffic_and_the_one_before_stays(cloud: Any, serve: Any) -> None:
    serve(7)
    serve(8)
    assert shares(cloud) == {"tips-7": 0, "tips-8": 100}
    serve(9)
    assert shares(cloud) == {"tips-8": 0, "tips-9": 100}
    assert {model["name"] for model in cloud.models} == {cloud.models[0]["name"]}
    assert [model["versionId"] for model in cloud.models] == ["1", "2", "3"]


def test_a_rollback_sends_the_traffic_back(cloud: Any, serve: Any) -> None:
    serve(7)
    serve(8)
    serve(7)
    assert shares(cloud) == {"tips-7": 100, "tips-8": 0}
    assert len(cloud.models) == 2
    assert [path.partition(":")[2] for method, path in cloud.calls][-1] == "", "the endpoint was changed, no more"


def test_an_upload_that_was_not_deployed_is_found_again(cloud: Any, serve: Any) -> None:
    serve(7)
    cloud.endpoints.clear()
    assert serve(7)
    assert len(cloud.models) == 1
    assert shares(cloud) == {"tips-7": 100}


def test_an_operation_that_takes_its_time_is_waited_for(cloud: Any, serve: Any) -> None:
    cloud.slow = 1
    serve(7)
    assert shares(cloud) == {"tips-7": 100}


@pytest.mark.parametrize("status", [429, 503])
def test_what_was_turned_away_is_asked_again(cloud: Any, serve: Any, status: int) -> None:
    cloud.faults += [(status, "later")] * 3
    serve(7)
    assert shares(cloud) == {"tips-7": 100}


@pytest.mark.parametrize(
    ("status", "message", "sentence"),
    [
        (401, "Request had invalid authentication credentials.", "Google Cloud refuses the credentials. Next: renew"),
        (403, "Permission denied.", "not allowed in project taxis: .*Permission denied.* Next: grant roles/"),
        (429, "Quota exceeded for n1.", "the quota of taxis in europe-west4 is used up: .*Quota exceeded for n1"),
        (500, "Internal.", r"Vertex AI fails \(500\): .*Internal"),
        (400, "machine type n1 is unknown", "Vertex AI does not accept it: .*machine type n1 is unknown.* Next: check"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    cloud: Any, serve: Any, monkeypatch: pytest.MonkeyPatch, status: int, message: str, sentence: str
) -> None:
    monkeypatch.setattr(vertex, "_PATIENCE", 0.05)
    monkeypatch.setattr(AnonymousCredentials, "refresh", lambda self, request: None)
    cloud.faults += [(status, message)] * 1000
    with pytest.raises(MillraceError, match=sentence) as caught:
        serve(7)
    assert "\n" not in str(caught.value)
    cloud.faults.clear()
    assert serve(7), "what was not done is done the next time"
    assert shares(cloud) == {"tips-7": 100}


def test_a_server_that_is_not_there(target: Vertex, put: Any, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(vertex, "_PATIENCE", 0.05)
    gone = Vertex(target.project, target.location, target.staging, api_endpoint=f"http://127.0.0.1:{port}")
    with pytest.raises(MillraceError, match="Vertex AI can't be reached in europe-west4"):
        vertex.serve(gone, "tips", 7, put(7), None)


def test_credentials_that_can_not_be_renewed(cloud: Any, serve: Any) -> None:
    cloud.faults.append((401, "expired"))
    with pytest.raises(MillraceError, match="there are no valid credentials for Google Cloud"):
        serve(7)


def test_without_credentials(target: Vertex, put: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    real = Vertex(target.project, target.location, target.staging)
    with pytest.raises(
        MillraceError, match=r"no valid credentials for Google Cloud. Next: set GOOGLE_APPLICATION_CRED"
    ):
        vertex.serve(real, "tips", 7, put(7), None)


def test_no_token_is_sent_to_a_server_of_this_machine(cloud: Any, serve: Any) -> None:
    serve(7)
    assert cloud.headers
    assert not any("authorization" in map(str.lower, headers) for headers in cloud.headers)
