"""The pusher: a version appears whole or not at all."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts
from tfx.utils import io_utils

from components.artifacts import LiteModel
from components.pusher import executor
from components.pusher.executor import Executor

NOW = 1_800_000_000


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "tips"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor.time, "time", lambda: NOW + 0.5)


@pytest.fixture
def push(tmp_path: Path, serving: Path) -> Any:
    """A function: pushes a model of three files, with the same content or other; returns the PushedModel."""

    def run(blessed: bool = True, content: str = "", lite: Any = None) -> Any:
        model, blessing, pushed = (
            standard_artifacts.Model(),
            standard_artifacts.ModelBlessing(),
            standard_artifacts.PushedModel(),
        )
        model.uri, blessing.uri, pushed.uri = (str(tmp_path / name) for name in ("model", "blessing", "pushed"))
        for name in ("saved_model.pb", "variables/variables.index", "assets/vocabulary"):
            file = tmp_path / "model" / "Format-Serving" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name + content)
        blessing.set_int_custom_property("blessed", int(blessed))
        Executor().Do(
            {"model": [model], "model_blessing": [blessing], **({"lite": [lite]} if lite else {})},
            {"pushed_model": [pushed]},
            {
                "push_destination": json.dumps({"filesystem": {"base_directory": str(serving)}}),
                "custom_config": "null",
            },
        )
        return pushed

    return run


@pytest.fixture
def converted(tmp_path: Path) -> Any:
    """A function: TF Lite files by format, and whether they passed; returns the LiteModel."""

    def run(contents: dict[str, str], blessed: bool = True) -> Any:
        made = LiteModel()
        made.uri = str(tmp_path / "converted")
        shutil.rmtree(made.uri, ignore_errors=True)
        for name, content in {"report.json": "{}", "failed/int4.tflite": "worse"}.items():
            (tmp_path / "converted" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "converted" / name).write_text(content)
        for kind, content in contents.items():
            file = tmp_path / "converted" / "lite" / f"{kind}.tflite"
            file.parent.mkdir(exist_ok=True)
            file.write_text(content)
        made.set_int_custom_property("blessed", int(blessed))
        return made

    return run


def files(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def model_at(*prefix: str) -> dict[str, str]:
    names = ("saved_model.pb", "variables/variables.index", "assets/vocabulary")
    return {"/".join((*prefix, name)): name for name in names}


def test_a_blessed_model_becomes_a_version_of_unix_seconds(push: Any, serving: Path, tmp_path: Path) -> None:
    pushed = push()
    assert files(serving) == model_at(str(NOW))
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == str(NOW)
    assert pushed.get_string_custom_property("pushed_destination") == str(serving / str(NOW))
    assert files(tmp_path / "pushed") == model_at()


def test_a_model_that_is_not_blessed_is_not_pushed(push: Any, serving: Path) -> None:
    pushed = push(blessed=False)
    assert not serving.exists()
    assert pushed.get_int_custom_property("pushed") == 0


def test_versions_always_rise(push: Any, serving: Path) -> None:
    for content in ("a", "b", "a"):
        push(content=content)
    assert sorted(os.listdir(serving)) == [str(NOW), str(NOW + 1), str(NOW + 2)]


def test_what_is_served_already_is_not_pushed_again(push: Any, serving: Path) -> None:
    first, second = push(), push()
    assert os.listdir(serving) == [str(NOW)]
    for pushed in (first, second):
        assert pushed.get_string_custom_property("pushed_version") == str(NOW)
        assert pushed.get_string_custom_property("pushed_destination") == str(serving / str(NOW))


def test_a_lost_version_is_pushed_again_and_leftovers_go(push: Any, serving: Path) -> None:
    push()
    (serving / str(NOW)).rename(serving / ".incoming-5")
    push()
    assert os.listdir(serving) == [str(NOW)]


def test_a_version_is_above_one_from_a_clock_that_was_ahead(push: Any, serving: Path) -> None:
    (serving / str(NOW + 500)).mkdir(parents=True)
    (serving / "notes").mkdir()
    push()
    assert files(serving) == model_at(str(NOW + 501))


def test_the_version_is_complete_at_the_moment_it_appears(
    push: Any, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    copy = io_utils.fileio.copy

    def watched(source: str, target: str, **options: Any) -> None:
        copy(source, target, **options)
        seen.append({name for name in os.listdir(serving) if name.isdigit()} if serving.exists() else set())

    monkeypatch.setattr(io_utils.fileio, "copy", watched)
    push()
    assert len(seen) >= 3
    assert all(names == set() for names in seen)
    assert files(serving) == model_at(str(NOW))


@pytest.mark.parametrize("copies", range(6))
def test_a_disk_that_fills_up_leaves_no_version_and_no_leftover(
    push: Any, serving: Path, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    (serving / "5").mkdir(parents=True)
    copy = io_utils.fileio.copy
    left = [copies]

    def filling(source: str, target: str, **options: Any) -> None:
        if not left[0]:
            Path(target).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", target)
        left[0] -= 1
        copy(source, target, **options)

    monkeypatch.setattr(io_utils.fileio, "copy", filling)
    with pytest.raises(OSError, match="No space left"):
        push()
    assert os.listdir(serving) == ["5"]


def test_a_rename_that_fails_leaves_no_leftover(push: Any, serving: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **options: Any) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(executor.fileio, "rename", fails)
    with pytest.raises(OSError, match="Permission denied"):
        push()
    assert os.listdir(serving) == []


def test_files_of_tf_lite_appear_with_the_version(push: Any, converted: Any, serving: Path, tmp_path: Path) -> None:
    pushed = push(lite=converted({"float16": "half", "int8": "eighth"}))
    lite = {"assets.extra/lite/float16.tflite": "half", "assets.extra/lite/int8.tflite": "eighth"}
    assert files(serving) == model_at(str(NOW)) | {f"{NOW}/{name}": content for name, content in lite.items()}
    assert files(tmp_path / "pushed") == model_at() | lite
    assert pushed.get_string_custom_property("pushed_destination") == str(serving / str(NOW))


def test_a_lite_gate_that_is_broken_keeps_the_whole_model_back(push: Any, converted: Any, serving: Path) -> None:
    pushed = push(lite=converted({"float16": "half"}, blessed=False))
    assert not serving.exists()
    assert pushed.get_int_custom_property("pushed") == 0


def test_other_or_fewer_lite_files_are_another_version(push: Any, converted: Any, serving: Path) -> None:
    for contents in ({"float16": "half"}, {"float16": "half"}, {"float16": "other"}, {"int8": "other"}, {}):
        push(lite=converted(contents))
    push()
    assert sorted(os.listdir(serving)) == [str(NOW + i) for i in range(4)]
    assert files(serving / str(NOW + 3)) == model_at()


@pytest.mark.parametrize("copies", range(3, 10))
def test_a_disk_that_fills_up_among_the_lite_files(
    push: Any, converted: Any, serving: Path, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    copy, left = io_utils.fileio.copy, [copies]

    def filling(source: str, target: str, **options: Any) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device", target)
        left[0] -= 1
        copy(source, target, **options)

    monkeypatch.setattr(io_utils.fileio, "copy", filling)
    with pytest.raises(OSError, match="No space left"):
        push(lite=converted({"float16": "half", "int8": "eighth"}))
    assert not serving.exists() or os.listdir(serving) == []
