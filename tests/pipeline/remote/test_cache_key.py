"""Cache keys of artifacts do not depend on the machine that holds a root's copy."""

from typing import Any

import pytest
from tfx.orchestration.portable import cache_utils
from tfx.types import standard_artifacts

from pipeline import mirrored
from pipeline.remote import cache_key


@pytest.fixture(autouse=True)
def no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrored, "_folders", {})
    monkeypatch.setattr(cache_utils, "get_cache_context", cache_utils.get_cache_context)


def _examples(home: str, type_id: int, changed: int, number: int = 7) -> Any:
    found = standard_artifacts.Examples()
    found.mlmd_artifact.id = number
    found.mlmd_artifact.type_id = type_id
    found.mlmd_artifact.last_update_time_since_epoch = changed
    found.uri = f"{home}/tips/artifacts/ExampleGen/examples/7"
    found.span = 3
    found.set_string_custom_property("note", f"made in {home}/tips")
    return found


def _bytes(artifact: Any) -> bytes:
    return bytes(cache_key.portable(artifact).mlmd_artifact.SerializeToString(deterministic=True))


def test_an_artifact_is_the_same_on_two_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored.stand_in("s3://bucket/runs", "/home/ann/cache")
    one = _bytes(_examples("/home/ann/cache", 12, 5))
    monkeypatch.setattr(mirrored, "_folders", {"s3://bucket/runs": "/var/millrace"})
    assert _bytes(_examples("/var/millrace", 31, 9)) == one
    assert _bytes(_examples("/var/millrace", 31, 9, number=8)) != one
    assert _bytes(_examples("/elsewhere", 31, 9)) != one


def test_the_artifact_itself_stays_as_it_is() -> None:
    mirrored.stand_in("s3://bucket/runs", "/home/ann/cache")
    artifact = _examples("/home/ann/cache", 12, 5)
    made = cache_key.portable(artifact)
    assert made.uri == "s3://bucket/runs/tips/artifacts/ExampleGen/examples/7"
    assert made.get_string_custom_property("note") == "made in s3://bucket/runs/tips"
    assert artifact.uri.startswith("/home/ann/cache/")
    assert artifact.mlmd_artifact.type_id == 12


def test_keys_of_a_local_root_stay_tfx_s_own() -> None:
    before = cache_utils.get_cache_context
    cache_key.install()
    assert cache_utils.get_cache_context is before
    mirrored.stand_in("s3://bucket/runs", "/home/ann/cache")
    cache_key.install()
    cache_key.install()
    assert cache_utils.get_cache_context._of_tfx is before
