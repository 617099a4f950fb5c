"""Places in a bucket, and the folder that stands for them."""

from types import SimpleNamespace

import pytest

from pipeline import mirrored


def test_artifacts_are_in_the_bucket_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrored, "_folders", {"s3://bucket/runs": "/cache"})
    inside, outside = SimpleNamespace(uri="/cache/tips/7"), SimpleNamespace(uri="/elsewhere/7")
    with pytest.raises(KeyError), mirrored.in_bucket(iter([inside, outside])):
        assert (inside.uri, outside.uri) == ("s3://bucket/runs/tips/7", "/elsewhere/7")
        raise KeyError
    assert (inside.uri, outside.uri) == ("/cache/tips/7", "/elsewhere/7")
