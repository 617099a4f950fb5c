"""Settings of the splits."""

from typing import Any

import pytest

from pipeline.errors import TaskError
from pipeline.splits import FolderSplit, HashSplit, SpanSplit, TimeSplit, seconds


@pytest.mark.parametrize(
    ("split", "names"),
    [
        (HashSplit(), ("train", "eval")),
        (HashSplit(test=1), ("train", "eval", "test")),
        (SpanSplit(), ("train", "eval")),
        (SpanSplit(test=2), ("train", "eval", "test")),
        (TimeSplit("t", "2024-01-01"), ("train", "eval")),
        (TimeSplit("t", "2024-01-01", "2024-02-01"), ("train", "eval", "test")),
        (FolderSplit(), ("train", "eval")),
        (FolderSplit(test="held out"), ("train", "eval", "test")),
        (FolderSplit(eval=None), ("train", "eval")),
        (FolderSplit(eval=None, test="test"), ("train", "eval", "test")),
    ],
)
def test_names(split: HashSplit | SpanSplit | TimeSplit | FolderSplit, names: tuple[str, ...]) -> None:
    assert split.names == names


@pytest.mark.parametrize(("train", "evaluation", "test"), [(0, 1, 0), (1, 0, 0), (-2, 1, 0), (1, 1, -1)])
def test_a_split_needs_a_part_of_each(train: int, evaluation: int, test: int) -> None:
    with pytest.raises(TaskError, match=f"train={train}, eval={evaluation}, test={test}"):
        HashSplit(train=train, eval=evaluation, test=test)


@pytest.mark.parametrize(("evaluation", "test"), [(0, 0), (-1, 0), (1, -1)])
def test_spans_to_evaluate(evaluation: int, test: int) -> None:
    with pytest.raises(TaskError, match=f"eval={evaluation}, test={test}"):
        SpanSplit(evaluation, test)


@pytest.mark.parametrize("later", ["2024-01-01", "2023-12-31", "2024-01-01T01:00+02:00"])
def test_borders_are_in_order(later: str) -> None:
    with pytest.raises(TaskError, match="expected eval_from before test_from"):
        TimeSplit("t", "2024-01-01", later)


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "01/02/2024"])
def test_a_border_is_a_time(text: str) -> None:
    with pytest.raises(TaskError, match="expected an ISO 8601 time"):
        TimeSplit("t", text)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("1970-01-01", 0.0),
        ("1970-01-02T00:00:01", 86_401.0),
        ("1970-01-01T02:00+02:00", 0.0),
        ("1970-01-01T00:00:00.5Z", 0.5),
        ("1969-12-31 23:59:59", -1.0),
    ],
)
def test_seconds(text: str, want: float) -> None:
    assert seconds(text) == want


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eval": "train"}, "a folder of its own for each split. Received: train='train', eval='train', test=None"),
        ({"test": "eval"}, "a folder of its own for each split"),
        ({"train": ""}, "a folder of its own for each split. Received: train=''"),
        ({"eval": None, "eval_parts": 0}, "at least 1 of train and eval. Received: train_parts=9, eval_parts=0"),
        ({"eval": None, "train_parts": -1}, "Received: train_parts=-1, eval_parts=1"),
    ],
)
def test_folders_that_can_not_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError) as caught:
        FolderSplit(**settings)
    assert message in str(caught.value)


def test_folders() -> None:
    assert FolderSplit(eval=None, test="held out").folders == {"train": "train", "test": "held out"}
    assert FolderSplit(eval="dev").folders == {"train": "train", "eval": "dev"}
    assert FolderSplit(test="t").folders == {"train": "train", "eval": "eval", "test": "t"}
