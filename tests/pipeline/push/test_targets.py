"""Buckets as targets, on an S3 and a GCS server over HTTP: what is there, in which order it came, what fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import MillraceError
from pipeline.ingest import files
from pipeline.push import history, object_store, targets, versions
from pipeline.push.rollback import plan, roll_back
from pipeline.push.settings import ObjectStore, as_json
from pipeline.push.versions import Places


def names(bucket: str) -> dict[str, bytes]:
    """Name below the bucket -> content, without the history."""
    remote, key = files.filesystem(files.scheme(bucket)), files.object_key(bucket)
    found = {name.removeprefix(f"{key}/"): remote.cat_file(name) for name in remote.find(key)}
    return {name: content for name, content in found.items() if not name.endswith("history.jsonl")}


def of(version: int, place: str = "models/tips") -> dict[str, bytes]:
    return {
        f"{place}/{version}/saved_model.pb": b"model %d" % version,
        f"{place}/{version}/variables/variables.index": b"weights %d" % version,
    }


@pytest.fixture
def deliver(places: Places, bucket: str) -> Any:
    def act(keep: int | None = 5, url: str = "") -> None:
        served = places.served()
        assert served is not None
        target = ObjectStore(url or f"{bucket}/models")
        targets.deliver(places, [target], served, keep, "run --resume", "run-1")

    return act


class Recorder:
    """A file system that notes what is written and removed below `models/`."""

    def __init__(self, remote: Any, made: list[str]) -> None:
        self._remote = remote
        self._made = made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._remote, name)

    def put_file(self, local: str, path: str) -> None:
        self._made.append(path.partition("/models/")[2])
        self._remote.put_file(local, path)

    def rm_file(self, path: str) -> None:
        self._made.append("-" + path.partition("/models/")[2])
        self._remote.rm_file(path)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The objects that are written and removed, in order."""
    made: list[str] = []
    filesystem = files.filesystem
    monkeypatch.setattr(object_store.files, "filesystem", lambda name: Recorder(filesystem(name), made))
    return made


def test_a_version_is_delivered_once_with_its_model_last(
    places: Places, put: Any, deliver: Any, bucket: str, sent: list[str]
) -> None:
    put(7)
    deliver()
    deliver()
    assert names(bucket) == of(7)
    assert sent == ["tips/7/variables/variables.index", "tips/7/saved_model.pb"]
    delivered = [entry for entry in history.read(places) if entry["action"] == "delivered"]
    assert [(entry["version"], entry["target"]["url"]) for entry in delivered] == [("7", f"{bucket}/models")]
    with files.open_binary(f"{bucket}/models/tips/history.jsonl") as stream:
        copied = [json.loads(line)["action"] for line in stream.read().splitlines()]
    assert copied == ["pushed", "delivered"]


def test_a_half_delivered_version_is_completed(put: Any, deliver: Any, bucket: str, sent: list[str]) -> None:
    put(7)
    with files.create(f"{bucket}/models/tips/7/variables/variables.index") as stream:
        stream.write(b"weights 7")
    sent.clear()
    deliver()
    assert names(bucket) == of(7)
    assert sent == ["tips/7/saved_model.pb"]


def test_a_version_that_lost_a_file_is_not_seen_while_it_is_mended(
    put: Any, deliver: Any, bucket: str, sent: list[str]
) -> None:
    put(7)
    with files.create(f"{bucket}/models/tips/7/saved_model.pb") as stream:
        stream.write(b"model 7")
    deliver()
    assert names(bucket) == of(7)
    assert sent == ["-tips/7/saved_model.pb", "tips/7/variables/variables.index", "tips/7/saved_model.pb"]


def test_the_newest_stay(put: Any, deliver: Any, bucket: str, sent: list[str]) -> None:
    for version in (7, 8, 9, 10):
        put(version)
        deliver(keep=2)
    assert names(bucket) == of(9) | of(10)
    removed = [name for name in sent if name.startswith("-tips/7/")]
    assert removed == ["-tips/7/saved_model.pb", "-tips/7/variables/variables.index"]


def test_a_rollback_reaches_the_bucket(places: Places, put: Any, deliver: Any, bucket: str) -> None:
    for version in (7, 8):
        put(version)
        deliver()
    roll_back(places, plan(places), None, lambda folder: None)
    deliver(keep=None)
    assert names(bucket) == of(7) | of(8, "models/withdrawn/tips")
    roll_back(places, plan(places, 8), None, lambda folder: None)
    deliver(keep=None)
    assert names(bucket) == of(7) | of(8)


def test_what_arrives_otherwise_is_found(
    places: Places, put: Any, deliver: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(7)
    remote = files.filesystem(files.scheme(bucket))
    real = remote.put_file

    def truncated(local: str, path: str, **options: Any) -> None:
        if path.endswith("saved_model.pb"):
            remote.pipe_file(path, b"half")
        else:
            real(local, path, **options)

    monkeypatch.setattr(remote, "put_file", truncated)
    with pytest.raises(MillraceError, match=r"saved_model.pb of 7 bytes. Received: 4"):
        deliver()


def test_a_bucket_that_is_not_there(places: Places, put: Any, deliver: Any, bucket: str) -> None:
    put(7)
    scheme = files.scheme(bucket)
    with pytest.raises(MillraceError) as caught:
        deliver(url=f"{scheme}://no-such-bucket-here/models")
    said = str(caught.value)
    assert f"version 7 is served from {places.watched}, but not at 1 of 1 other targets" in said
    assert f"{scheme}://no-such-bucket-here/models" in said
    assert "then run --resume. What was delivered is not sent again" in said
    assert history.read(places)[-1]["action"] == "not_delivered"
    assert places.served() == 7


def test_one_target_that_fails_does_not_keep_the_others_from_theirs(
    places: Places, put: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(7)
    wrong = ObjectStore(f"{files.scheme(bucket)}://no-such-bucket-here")
    right = ObjectStore(f"{bucket}/models")
    with pytest.raises(MillraceError, match="not at 1 of 2 other targets"):
        targets.deliver(places, [wrong, right], 7, 5, "again")
    assert names(bucket) == of(7)
    assert [entry["target"] for entry in history.read(places)[1:]] == [as_json(wrong), as_json(right)]


def test_no_key_is_in_the_history(
    places: Places, put: Any, deliver: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-very-secret-key")
    put(7)
    deliver()
    with pytest.raises(MillraceError) as caught:
        deliver(url=f"{files.scheme(bucket)}://no-such-bucket-here")
    assert "a-very-secret-key" not in places.history.read_text() + str(caught.value)


def test_a_version_that_is_only_withdrawn_is_not_whole_in_the_folder(places: Places, put: Any) -> None:
    put(7, places.withdrawn)
    assert versions.whole(places.watched) == []


def test_the_files_are_those_of_the_folder(put: Any, deliver: Any, bucket: str) -> None:
    made: Path = put(7)
    (made / "assets.extra" / "lite").mkdir(parents=True)
    (made / "assets.extra" / "lite" / "int8.tflite").write_bytes(b"small")
    deliver()
    assert names(bucket) == of(7) | {"models/tips/7/assets.extra/lite/int8.tflite": b"small"}
