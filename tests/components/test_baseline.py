"""The baseline: the latest blessed model that is not the candidate."""

from collections.abc import Sequence
from typing import Any

import pytest
from tfx.types import standard_artifacts

from components.baseline import LatestBlessedBaseline


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


def baseline(models: Sequence[int], blessings: Sequence[Any], candidate: int) -> int | None:
    """The id of the baseline, or None."""
    given = model(candidate)
    resolved = LatestBlessedBaseline().resolve_artifacts(
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
