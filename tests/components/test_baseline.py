"""The baseline: the model that is served; before there is a history, the latest blessed one that is not the candidate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts

from components.baseline import ServedBaseline
from pipeline.push import history
from pipeline.push.versions import Places


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


def baseline(
    models: Sequence[int], blessings: Sequence[Any], candidate: int, places: Places | None = None
) -> int | None:
    """The id of the baseline, or None."""
    given = model(candidate)
    resolved = ServedBaseline(str(places.watched) if places else "/nowhere/taxi").resolve_artifacts(
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


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "serving" / "taxi")


def push(places: Places, *models: int) -> None:
    """Says that models were pushed, each as version 100 + its number."""
    for number in models:
        history.append(places, history.event("pushed", 100 + number, model=f"/models/{number}"))


def roll_back(places: Places, to: int, *withdrawn: int) -> None:
    gone = [str(100 + number) for number in withdrawn]
    history.append(places, history.event("rolled_back", 100 + to, model=f"/models/{to}", withdrawn=gone))


BLESSED = [blessing(10 + number, of=number) for number in (1, 2, 3, 4, 5)]


def test_the_model_that_is_served(places: Places) -> None:
    push(places, 1, 2, 3)
    assert history.served_models(places) == ["/models/3", "/models/2", "/models/1"]
    assert baseline([1, 2, 3, 4, 5], BLESSED, candidate=5, places=places) == 3


def test_a_model_that_was_blessed_and_never_pushed_is_none(places: Places) -> None:
    push(places, 1)
    assert baseline([1, 4, 5], BLESSED, candidate=5, places=places) == 1


def test_the_only_served_model_has_no_baseline(places: Places) -> None:
    push(places, 5)
    assert baseline([4, 5], BLESSED, candidate=5, places=places) is None


def test_a_candidate_that_is_served_is_compared_as_it_was_before_it_was_pushed(places: Places) -> None:
    push(places, 1, 2)
    assert baseline([1, 2, 3], BLESSED, candidate=3, places=places) == 2
    push(places, 3)
    assert baseline([1, 2, 3], BLESSED, candidate=3, places=places) == 2


def test_a_model_that_was_rolled_back_is_none(places: Places) -> None:
    push(places, 1, 2, 3)
    roll_back(places, 1, 2, 3)
    assert history.served_models(places) == ["/models/1"]
    assert baseline([1, 2, 3, 4], BLESSED, candidate=4, places=places) == 1
    assert baseline([1, 2, 3], BLESSED, candidate=1, places=places) is None
    push(places, 3)
    assert history.served_models(places) == ["/models/3", "/models/1"]


def test_a_model_that_was_gone_back_to_is_served(places: Places) -> None:
    push(places, 1, 2, 3)
    roll_back(places, 1, 2, 3)
    roll_back(places, 2)
    assert history.served_models(places) == ["/models/2", "/models/1"]


def test_what_was_removed_to_make_room_is_still_known(places: Places) -> None:
    push(places, 1, 2)
    history.append(places, history.event("removed", 101))
    assert history.served_models(places) == ["/models/2", "/models/1"]


def test_a_served_model_without_an_artifact_gives_no_other(places: Places) -> None:
    """The Evaluator says that it is missing; another one would be compared with in its place."""
    push(places, 1, 2, 3)
    assert baseline([1, 4], BLESSED, candidate=4, places=places) is None


def test_a_push_that_was_killed_counts_where_its_version_is_there(places: Places) -> None:
    push(places, 1)
    history.append(places, history.event("pushing", 102, model="/models/2"))
    assert history.served_models(places) == ["/models/1"]
    (places.watched / "102").mkdir(parents=True)
    (places.watched / "102" / "saved_model.pb").touch()
    assert history.served_models(places) == ["/models/2", "/models/1"]


def test_without_a_history_it_is_the_latest_blessed(places: Places) -> None:
    assert history.served_models(places) == []
    assert baseline([1, 2], BLESSED, candidate=2, places=places) == 1
