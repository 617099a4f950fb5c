"""What a task says of a push."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import TaskError
from pipeline.push.settings import ObjectStore, Push, Vertex, as_json, target_of


def vertex(**settings: object) -> Vertex:
    known: dict[str, Any] = {"project": "taxis", "location": "europe-west4", "staging": "gs://models"}
    return Vertex(**{**known, **settings})


def test_five_versions_and_the_folder_only() -> None:
    assert (Push().keep, Push().targets) == (5, ())


@pytest.mark.parametrize("target", [ObjectStore("s3://models/here/"), vertex(endpoint="tips", replicas=2)])
def test_a_target_survives_json(target: ObjectStore | Vertex) -> None:
    assert target_of(as_json(target)) == target


def test_a_slash_at_the_end_makes_no_other_place() -> None:
    assert ObjectStore("gs://models/here/").url == "gs://models/here"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Push(keep=1), r"expected at least 2, .* Received: keep=1"),
        (lambda: Push(targets=(ObjectStore("s3://a"), ObjectStore("s3://a/"))), "s3://a is given more than once"),
        (lambda: ObjectStore("/srv/models"), "expected s3://bucket/prefix or gs://bucket/prefix. Received: url="),
        (lambda: vertex(staging="s3://models"), "Vertex AI reads gs:// only"),
        (lambda: vertex(project=""), "project: expected a name"),
        (lambda: vertex(replicas=0), "at least 1. Received: replicas=0"),
        (lambda: target_of({"kind": "object_stor", "url": "s3://a"}), "Did you mean 'object_store'"),
    ],
)
def test_what_can_not_be_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        make()


@pytest.mark.parametrize("url", ["s3://KEY:SECRET@models", "s3://models?token=SECRET"])
def test_a_key_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(TaskError, match="come from the environment") as caught:
        ObjectStore(url)
    assert "SECRET" not in str(caught.value)
