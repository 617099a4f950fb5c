"""A folder in a bucket that follows a local one: what is sent, when, in which order, and what a fault does."""

import logging
import os
from pathlib import Path
from queue import Queue

import pytest

from pipeline.errors import MillraceError
from pipeline.remote import transfer
from pipeline.remote.following import Following, uploads


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "training"
    folder.mkdir()
    return folder, tmp_path / "bucket"


def there(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def written(path: Path, text: str, at: int) -> None:
    """A file that was written at that second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def test_a_new_file_is_sent_at_once_and_a_changed_one_when_it_is_time(places: tuple[Path, Path]) -> None:
    folder, bucket = places
    clock = Clock()
    following = Following(folder, str(bucket), 30.0, clock=clock)
    written(folder / "progress.json", "step 1", at=1)
    following.look()
    assert there(bucket) == {"progress.json": "step 1"}
    written(folder / "progress.json", "step 2", at=2)
    following.look()
    assert there(bucket) == {"progress.json": "step 1"}
    clock.now = 30.0
    following.look()
    assert there(bucket) == {"progress.json": "step 2"}


def test_files_go_in_the_order_in_which_they_were_written_and_names_with_a_dot_do_not(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, bucket = places
    sent: list[str] = []
    upload = transfer.upload
    monkeypatch.setattr(
        transfer, "upload", lambda path, url, **more: sent.append(path.name) or upload(path, url, **more)
    )
    written(folder / "step-2" / "a_marker.json", "whole", at=3)
    written(folder / "step-2" / "z_arrays.npz", "numbers", at=2)
    written(folder / ".step-3" / "z_arrays.npz", "half", at=4)
    Following(folder, str(bucket)).send()
    assert sent == ["z_arrays.npz", "a_marker.json"]
    assert sorted(there(bucket)) == ["step-2/a_marker.json", "step-2/z_arrays.npz"]


def test_what_is_gone_is_removed_and_what_was_never_here_stays(places: tuple[Path, Path]) -> None:
    folder, bucket = places
    written(bucket / "logs" / "earlier", "kept", at=1)
    written(folder / "step-1" / "state.json", "1", at=1)
    with uploads(folder, str(bucket)):
        written(folder / "step-2" / "state.json", "2", at=2)
        (folder / "step-1" / "state.json").unlink()
    assert there(bucket) == {"logs/earlier": "kept", "step-2/state.json": "2"}


def test_what_was_brought_before_and_then_removed_is_removed_there_too(places: tuple[Path, Path]) -> None:
    folder, bucket = places
    written(bucket / "step-1" / "state.json", "1", at=1)
    transfer.download(str(bucket), folder)
    with uploads(folder, str(bucket)):
        (folder / "step-1" / "state.json").unlink()
    assert there(bucket) == {}


def test_a_bucket_that_fails_is_logged_and_tried_again_and_ends_nothing(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, bucket = places
    looks: Queue[bool] = Queue()
    done: Queue[str] = Queue()
    upload = transfer.upload
    faults = ["the bucket can't be reached"]

    def flaky(path: Path, url: str, **more: object) -> int:
        done.put("asked")
        if faults:
            raise MillraceError(faults.pop())
        return upload(path, url)

    monkeypatch.setattr(transfer, "upload", flaky)
    written(folder / "state.json", "1", at=1)
    following = Following(folder, str(bucket), wait=lambda seconds: looks.get(timeout=10))
    with caplog.at_level(logging.WARNING), following:
        written(folder / "new.json", "2", at=2)
        looks.put(False)
        assert done.get(timeout=10) == "asked"
        looks.put(False)
        assert [done.get(timeout=10) for _ in range(2)] == ["asked"] * 2
        looks.put(True)
    assert "does not follow" in caplog.text and "the bucket can't be reached" in caplog.text
    assert there(bucket) == {"state.json": "1", "new.json": "2"}


def test_a_folder_that_is_not_there_yet_is_followed_when_it_is(places: tuple[Path, Path]) -> None:
    folder, bucket = places
    with uploads(folder / "later", str(bucket)):
        written(folder / "later" / "events", "first", at=1)
    assert there(bucket) == {"events": "first"}
