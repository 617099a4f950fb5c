import os

import pytest

from serving import versions
from serving.settings import VersionPolicy


@pytest.fixture
def base(tmp_path):
    for name in ("1", "2", "10", "01", "x", "-3", "2.5", "9" * 30):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
    (tmp_path / "11").mkdir()
    (tmp_path / "12").touch()
    return tmp_path


def test_scan(base):
    found = versions.scan(str(base))
    assert {version: path.name for version, path in found.paths.items()} == {1: "01", 2: "2", 10: "10"}
    assert found.ignored == {1: ("1",)}
    assert versions.scan(str(base / "none")) is None


@pytest.mark.parametrize(
    "policy, expected",
    [
        (VersionPolicy(), [10]),
        (VersionPolicy(count=2), [2, 10]),
        (VersionPolicy("all"), [1, 2, 10]),
        (VersionPolicy("specific", versions=(2, 7)), [2]),
    ],
)
def test_wanted(base, policy, expected):
    assert versions.wanted(policy, versions.scan(str(base)).paths) == expected


def test_a_folder_is_settled_when_nothing_changed_between_two_looks_or_for_a_second(base, monkeypatch):
    file = base / "1" / "saved_model.pb"
    first = versions.listing(base / "1")
    assert not versions.settled(first, None)
    file.write_text("more")
    second = versions.listing(base / "1")
    assert not versions.settled(second, first)
    assert versions.settled(versions.listing(base / "1"), second)
    changed = os.stat(file).st_ctime
    monkeypatch.setattr(versions.time, "time", lambda: changed + 2)
    assert versions.settled(second, None)
