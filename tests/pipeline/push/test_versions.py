"""The folders of a served model."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.push import versions
from pipeline.push.versions import Places


def test_the_highest_whole_version_is_served(places: Places, put: Any) -> None:
    assert places.served() is None
    put(3), put(20)
    (places.watched / "100").mkdir()
    (places.watched / "notes").mkdir()
    (places.watched / "٣").mkdir()
    shutil.copytree(places.watched / "3", places.watched / "0030")
    assert versions.names(places.watched) == ["3", "20", "0030", "100"]
    assert versions.whole(places.watched) == [3, 20]
    assert places.served() == 20


def test_a_version_is_found_where_it_is(places: Places, put: Any) -> None:
    put(3), put(4, places.withdrawn)
    assert places.find(3) == places.watched / "3"
    assert places.find(4) == places.withdrawn / "4"
    assert places.find(5) is None


def test_what_is_old_may_go(places: Places, put: Any) -> None:
    for version in range(1, 8):
        put(version)
    (places.watched / "2" / "saved_model.pb").unlink()
    for version in (11, 12, 13):
        put(version, places.withdrawn)
    assert [path.name for path in versions.surplus(places, 3, set())] == ["1", "2", "3", "4"]
    assert [path.name for path in versions.surplus(places, 2, {1, 11})] == ["2", "3", "4", "5"]
    assert versions.surplus(places, 7, set()) == []


def test_broken_versions_do_not_crowd_whole_ones_out(places: Places, put: Any) -> None:
    put(1), put(2)
    for broken in ("7", "8", "9"):
        (places.watched / broken).mkdir()
    assert versions.surplus(places, 2, set()) == []


def test_a_removal_that_was_interrupted_is_ended(places: Places, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(1)
    with monkeypatch.context() as patched:
        patched.setattr(versions.shutil, "rmtree", lambda *_, **__: None)
        versions.remove(places, path)
    assert not path.exists()
    assert (places.trash / "1" / "saved_model.pb").is_file()
    (places.watched / ".incoming-9" / "variables").mkdir(parents=True)
    versions.clean(places)
    assert not places.trash.exists()
    assert list(places.watched.iterdir()) == []


def test_nothing_to_clean(tmp_path: Path) -> None:
    versions.clean(Places(tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []
