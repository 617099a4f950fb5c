"""The pusher in a process of its own: killed at any step, and watched while it works."""

import itertools
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts

from components.pusher import executor
from components.pusher.executor import Executor
from pipeline.push import history, versions
from pipeline.push.rollback import plan, roll_back
from pipeline.push.versions import Places

_WITHIN = 60
_FILES = ("saved_model.pb", "variables/variables.index", "assets/vocabulary")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "serving" / "tips")


def push(places: Places, content: str, keep: int = 2) -> None:
    """Pushes a model of three files."""
    home = places.watched.parent.parent
    model, blessing = standard_artifacts.Model(), standard_artifacts.ModelBlessing()
    pushed = standard_artifacts.PushedModel()
    model.uri, blessing.uri, pushed.uri = (str(home / f"{name}-{content}") for name in ("model", "blessing", "pushed"))
    for name in _FILES:
        file = Path(model.uri) / "Format-Serving" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    blessing.set_int_custom_property("blessed", 1)
    Executor().Do(
        {"model": [model], "model_blessing": [blessing]},
        {"pushed_model": [pushed]},
        {
            "push_destination": json.dumps({"filesystem": {"base_directory": str(places.watched)}}),
            "custom_config": json.dumps({"keep": keep}),
        },
    )


def in_a_process(act: Callable[[], None]) -> Any:
    process = multiprocessing.get_context("fork").Process(target=act, daemon=True)
    process.start()
    return process


def killed_at(places: Places, step: int) -> int:
    """Pushes in a process that kills itself (SIGKILL) before its n-th step on disk; returns its exit code."""

    def child() -> None:
        steps = itertools.count()

        def before(act: Any) -> Any:
            def counted(*args: Any, **options: Any) -> Any:
                if next(steps) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return act(*args, **options)

            return counted

        for module, name in (
            *((executor.io_utils.fileio, name) for name in ("copy", "rename")),
            *((versions, name) for name in ("sync_files", "move")),
            *((history, "append"), (versions.shutil, "rmtree")),
        ):
            setattr(module, name, before(getattr(module, name)))
        push(places, "new")

    process = in_a_process(child)
    process.join(_WITHIN)
    return int(process.exitcode)


# The steps: 3 copies to the artifact, 3 aside, all synced, the intent, the rename, the event; of the oldest version the
# event, its move, its end.
_STEPS = 13
_RENAME = 8


@pytest.mark.parametrize("step", range(_STEPS))
def test_killed_at_any_step_it_was_pushed_or_not(places: Places, step: int) -> None:
    for content in ("one", "two"):
        push(places, content)
    before = versions.whole(places.watched)
    assert killed_at(places, step) == -signal.SIGKILL
    happened = step > _RENAME
    served = places.served()
    assert served is not None
    assert (places.watched / str(served) / "saved_model.pb").read_text() == ("new" if happened else "two")
    assert (served > before[-1]) is happened
    last = [entry for entry in history.read(places) if entry["action"] != "removed"][-1]
    assert (last["action"], last["version"] == str(served)) == (
        ("pushed", True) if happened or step < _RENAME else ("abandoned", False)
    )

    push(places, "new")
    assert [
        (places.watched / str(v) / "assets" / "vocabulary").read_text() for v in versions.whole(places.watched)
    ] == [*("two", "new")]
    assert sorted(os.listdir(places.watched)) == sorted(map(str, versions.whole(places.watched)))
    assert not places.trash.exists() or os.listdir(places.trash) == []
    pushed = [entry["version"] for entry in history.read(places) if entry["action"] == "pushed"]
    assert len(pushed) == len(set(pushed)) == 3


def test_all_steps_are_killed_at(places: Places) -> None:
    for content in ("one", "two"):
        push(places, content)
    assert killed_at(places, _STEPS) == 0


def test_a_reader_never_sees_a_version_without_its_model(places: Places) -> None:
    push(places, "first")
    rounds = 25

    def work() -> None:
        for turn in range(rounds):
            push(places, f"new {turn}")
            if turn % 3 == 0:
                roll_back(places, plan(places), None, lambda folder: None)

    process = in_a_process(work)
    looks, seen = 0, set()
    deadline = time.monotonic() + _WITHIN
    while process.is_alive() and time.monotonic() < deadline:
        names = versions.names(places.watched)
        assert names, "the folder is never empty"
        for name in names:
            assert complete(places.watched / name), f"version {name} is there without its model"
        seen.add(names[-1])
        looks += 1
    process.join(_WITHIN)
    assert process.exitcode == 0
    assert looks > rounds
    assert len(seen) > rounds / 5, "the reader has seen versions come"
    served = [entry for entry in history.read(places) if entry["action"] in ("pushed", "rolled_back")]
    assert len(served) == 1 + rounds + len(range(0, rounds, 3))


def complete(version: Path) -> bool:
    """Whether a version has its files; one that has moved away by now counts as complete, since it was so."""
    for handle in opened(version):
        try:
            for name in _FILES:
                os.stat(name, dir_fd=handle)
        except FileNotFoundError:
            return not same(version, handle)
    return True


def opened(folder: Path) -> Iterator[int]:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        yield handle
    finally:
        os.close(handle)


def same(folder: Path, handle: int) -> bool:
    """Whether a name still leads to an open folder."""
    try:
        return folder.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False
