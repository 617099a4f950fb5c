"""What was served when and why, and what the folders say where a process was killed."""

import errno
import json
import os
from typing import Any

import pytest

from pipeline.push import history, versions
from pipeline.push.versions import Places


def actions(places: Places) -> list[tuple[str, str]]:
    return [(entry["action"], entry["version"]) for entry in history.read(places)]


def test_an_event_holds_what_was_said(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history.getpass, "getuser", lambda: "ann")
    entry = history.event("pushed", 7, reason="passed", verdicts=4)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        **{"action": "pushed", "version": "7", "previous": None, "run_id": None, "model": None, "reason": "passed"},
        **{"forced": False, "verdicts": 4, "by": "ann"},
    }
    entry |= {"time": "2026-11-21T06:00:00Z"}
    history.append(places, entry)
    assert json.loads(places.history.read_text()) == entry


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(history.getpass, "getuser", nobody)
    assert history.event("pushed", 7)["by"] == str(os.getuid())


@pytest.mark.parametrize("torn", ['{"time": "2026', "\x00\x00", '"text"', "[1]", '{"action": "pushed"}'])
def test_a_torn_line_is_passed_over_and_nothing_is_glued_to_it(places: Places, put: Any, torn: str) -> None:
    put(1)
    with places.history.open("a") as stream:
        stream.write(torn)
    assert actions(places) == [("pushed", "1")]
    put(2)
    assert actions(places) == [("pushed", "1"), ("pushed", "2")]


def test_versions_without_a_history_come_first(places: Places, put: Any) -> None:
    put(1_700_000_000)
    places.history.unlink()
    put(1_800_000_000)
    found, pushed = history.read(places)
    assert (found["action"], found["version"], found["time"]) == ("found", "1700000000", "2023-11-14T22:13:20Z")
    assert (pushed["action"], pushed["version"]) == ("pushed", "1800000000")
    assert [history.state(places, entry["version"]) for entry in (found, pushed)] == ["kept", "served"]
    versions.move(places.watched / "1800000000", places.withdrawn / "1800000000")
    places.history.unlink()
    history.append(places, history.event("rolled_back", 1_700_000_000, withdrawn=["1800000000"]))
    assert actions(places) == [("found", "1700000000"), ("found", "1800000000"), ("rolled_back", "1700000000")]
    assert list(history.withdrawn_models(places)) == ["1800000000"], "its model is not known"


def test_a_push_that_was_killed_before_its_rename_was_none(places: Places, put: Any) -> None:
    put(1)
    history.append(places, history.event("pushing", 2))
    assert actions(places) == [("pushed", "1"), ("abandoned", "2")]
    size = places.history.stat().st_size
    assert actions(places) == [("pushed", "1"), ("abandoned", "2")]
    assert places.history.stat().st_size == size, "who reads does not write"
    history.recover(places)
    history.recover(places)
    assert [json.loads(line)["action"] for line in places.history.read_text().splitlines()] == [
        *("pushed", "pushing", "abandoned")
    ]
    assert history.highest(places) == 2, "its number is not used again"


def test_a_push_that_was_killed_after_its_rename_has_happened(places: Places, put: Any) -> None:
    history.append(places, history.event("pushing", 2, model="/models/2"))
    (places.watched / "2").mkdir()
    (places.watched / "2" / "saved_model.pb").touch()
    assert actions(places) == [("pushed", "2")]
    history.recover(places)
    assert history.read(places)[-1]["model"] == "/models/2"
    assert actions(places) == [("pushed", "2")]


def test_a_rollback_that_did_not_come_to_its_end_is_taken_back(places: Places, put: Any) -> None:
    for version in (1, 2, 3, 4):
        put(version)
    history.append(places, history.event("rolling_back", 1, withdrawn=["2", "3", "4"], restored=False))
    versions.move(places.watched / "2", places.withdrawn / "2")
    assert actions(places)[-1] == ("abandoned", "1")
    history.recover(places)
    assert versions.whole(places.watched) == [1, 2, 3, 4]
    assert history.withdrawn_models(places) == {}
    assert actions(places)[-1] == ("abandoned", "1")


def test_a_rollback_whose_last_rename_was_made_has_happened(places: Places, put: Any) -> None:
    put(1), put(2)
    history.append(places, history.event("rolling_back", 1, withdrawn=["2"], restored=False, reason="bad"))
    versions.move(places.watched / "2", places.withdrawn / "2")
    history.recover(places)
    assert actions(places)[-1] == ("rolled_back", "1")
    assert "version 2 of this model was withdrawn on" in history.withdrawn_models(places)["/models/2"]


def test_a_model_is_withdrawn_until_it_is_served_again(places: Places, put: Any) -> None:
    home = places.watched.parent.parent
    put(1), put(2)
    assert history.withdrawn(home, "/models/2") is None
    back = history.event("rolled_back", 1, withdrawn=["2"], reason="far too low")
    history.append(places, back)
    assert history.withdrawn(home, "/models/2") == (
        f"version 2 of this model was withdrawn on {back['time']} by {back['by']}: far too low"
    )
    assert history.withdrawn(home, "/models/1") is None
    history.append(places, history.event("rolled_back", 2, withdrawn=[]))
    assert history.withdrawn(home, "/models/2") is None
    history.append(places, history.event("rolled_back", 1, withdrawn=["2"]))
    assert str(history.withdrawn(home, "/models/2")).endswith("without a reason")
    history.append(places, history.event("pushed", 3, model="/models/2", forced=True))
    assert history.withdrawn(home, "/models/2") is None


def test_what_became_of_a_version(places: Places, put: Any) -> None:
    put(1), put(2), put(3, places.withdrawn)
    states = {version: history.state(places, version) for version in ("1", "2", "3", "4")}
    assert states == {"1": "kept", "2": "served", "3": "withdrawn", "4": "gone"}


def test_a_full_disk_leaves_the_history_as_it_was(places: Places, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(1)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(history.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            history.append(places, history.event("pushing", 2))
    assert actions(places)[0] == ("pushed", "1")
    put(3)
    assert actions(places)[-1] == ("pushed", "3")


def test_targets_are_known_from_the_history(places: Places, put: Any) -> None:
    put(1)
    store, cloud = {"kind": "object_store", "url": "s3://models"}, {"kind": "vertex", "project": "p"}
    for target, action in ((store, "delivered"), (cloud, "not_delivered"), (store, "delivered")):
        history.append(places, history.event(action, 1, target=target))
    assert history.delivered_to(places) == [store, cloud]
