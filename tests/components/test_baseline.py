"""The baseline: the model that is served; before there is a history, the latest blessed one that is not the candidate."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts

from components.baseline import ServedBaseline
from components.baseline.history import served


def model(number: int) -> Any:
    made = standard_artifacts.Model()
    made.id, made.uri = number, f"/models/{number}"
    made.mlmd_artifact.create_time_since_epoch = number
    return made


def blessing(number: int, of: int, blessed: bool = True) -> Any:
    made = standard_artifacts.ModelBlessing()
    made.id, made.uri = number, f"/blessings/{number}"
    made.mlmd_artifact.create_time_since_epoch = number
    made.set_int_custom_property("blessed", int(blessed))
    made.set_int_custom_property("current_model_id", of)
    made.set_string_custom_property("current_model", f"/models/{of}")
    return made


def baseline(models: Sequence[int], blessings: Sequence[Any], candidate: int, history: str = "") -> int | None:
    """The id of the baseline, or None."""
    given = model(candidate)
    resolved = ServedBaseline(history).resolve_artifacts(
        None,  # type: ignore[arg-type]
        {"model": [model(number) for number in models], "model_blessing": list(blessings), "candidate": [given]},
    )
    assert resolved is not None
    assert resolved["candidate"] == [given]
    assert len(resolved["model"]) == len(resolved["model_blessing"]) <= 1
    return resolved["model"][0].id if resolved["model"] else None


def test_no_other_model() -> None:
    assert baseline([1], [], candidate=1) is None
    assert baseline([], [], candidate=1) is None


def test_no_blessed_model() -> None:
    assert baseline([1, 2], [blessing(11, of=1, blessed=False)], candidate=2) is None


def test_the_latest_blessed_one() -> None:
    blessings = [blessing(11, of=1), blessing(12, of=2), blessing(13, of=3, blessed=False)]
    assert baseline([1, 2, 3, 4], blessings, candidate=4) == 2


@pytest.mark.parametrize("blessed", [True, False])
def test_the_candidate_is_not_its_own_baseline(blessed: bool) -> None:
    assert baseline([1, 2], [blessing(11, of=1), blessing(12, of=2, blessed=blessed)], candidate=2) == 1
    assert baseline([2], [blessing(12, of=2, blessed=blessed)], candidate=2) is None


def entry(action: str, version: int, of: int, **more: Any) -> dict[str, Any]:
    return {"action": action, "version": str(version), "model": f"/models/{of}", **more}


@pytest.fixture
def history(tmp_path: Path) -> Any:
    """A function: writes the history of entries and gives its path."""

    def write(*entries: dict[str, Any], tail: str = "") -> str:
        path = tmp_path / "history.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in entries) + tail)
        return str(path)

    return write


PUSHED = [entry("pushed", 100 + number, of=number) for number in (1, 2, 3)]
BLESSED = [blessing(10 + number, of=number) for number in (1, 2, 3, 4, 5)]


def test_the_model_that_is_served(history: Any) -> None:
    path = history(*PUSHED)
    assert served(path) == ["/models/3", "/models/2", "/models/1"]
    assert baseline([1, 2, 3, 4, 5], BLESSED, candidate=5, history=path) == 3


def test_a_model_that_was_blessed_and_never_pushed_is_none(history: Any) -> None:
    assert baseline([1, 4, 5], BLESSED, candidate=5, history=history(PUSHED[0])) == 1
    assert baseline([4, 5], BLESSED, candidate=5, history=history(entry("pushed", 105, of=5))) is None


def test_a_candidate_that_is_served_is_compared_as_it_was_before_it_was_pushed(history: Any) -> None:
    assert baseline([1, 2, 3], BLESSED, candidate=3, history=history(*PUSHED[:2])) == 2
    assert baseline([1, 2, 3], BLESSED, candidate=3, history=history(*PUSHED)) == 2
    assert baseline([1], BLESSED[:1], candidate=1, history=history(PUSHED[0])) is None


def test_a_model_that_was_rolled_back_is_none(history: Any) -> None:
    back = entry("rolled_back", 101, of=1, previous="103")
    path = history(*PUSHED, back)
    assert served(path) == ["/models/1"]
    assert baseline([1, 2, 3, 4], BLESSED, candidate=4, history=path) == 1
    assert baseline([1, 2, 3], BLESSED, candidate=1, history=path) is None
    named = entry("rolled_back", 102, of=2, withdrawn=["103"])
    assert served(history(*PUSHED, back, named)) == ["/models/2", "/models/1"]
    again = history(*PUSHED, back, entry("pushed", 110, of=3, forced=True))
    assert served(again) == ["/models/3", "/models/1"]


def test_what_was_removed_to_make_room_is_still_known(history: Any) -> None:
    assert served(history(*PUSHED, entry("removed", 101, of=1))) == ["/models/3", "/models/2", "/models/1"]


def test_a_served_model_without_an_artifact_gives_no_other(history: Any) -> None:
    """The Evaluator says that it is missing; another one would be compared with in its place."""
    assert baseline([1, 4], BLESSED, candidate=4, history=history(*PUSHED)) is None


def test_a_history_that_is_not_there_or_cut_off(history: Any, tmp_path: Path) -> None:
    assert served("") == served(str(tmp_path / "nothing.jsonl")) == []
    assert served(history(PUSHED[0], tail='{"action": "pus')) == ["/models/1"]
    assert baseline([1, 2], BLESSED, candidate=2, history=str(tmp_path / "nothing.jsonl")) == 1
