"""The pusher: a version appears whole or not at all, and only if it may; what is old goes."""

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
from components.pusher.executor import REFUSED, WITHHELD, Executor
from pipeline.errors import MillraceError
from pipeline.push import contract, history, versions
from pipeline.push.rollback import plan, roll_back
from pipeline.push.versions import Places

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

    def run(
        blessed: bool = True, content: str = "", lite: Any = None, infra: Any = None, baseline: str = "", **told: Any
    ) -> Any:
        model, blessing, pushed = (
            standard_artifacts.Model(),
            standard_artifacts.ModelBlessing(),
            standard_artifacts.PushedModel(),
        )
        places = (f"model{content}", "blessing", "pushed")
        model.uri, blessing.uri, pushed.uri = (str(tmp_path / name) for name in places)
        compared = standard_artifacts.Model()
        compared.uri = str(tmp_path / f"model{baseline}")
        for name in ("saved_model.pb", "variables/variables.index", "assets/vocabulary"):
            file = Path(model.uri) / "Format-Serving" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name + content)
        blessing.set_int_custom_property("blessed", int(blessed))
        blessing.set_int_custom_property("verdicts", 4)
        blessing.set_int_custom_property("forced", int("overruled" in told))
        others = {"lite": lite, "infra_blessing": infra, "baseline": compared if baseline else None}
        Executor().Do(
            {"model": [model], "model_blessing": [blessing], **{key: [one] for key, one in others.items() if one}},
            {"pushed_model": [pushed]},
            {
                "push_destination": json.dumps({"filesystem": {"base_directory": str(serving)}}),
                "custom_config": json.dumps(told or None),
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


@pytest.fixture
def checked(tmp_path: Path) -> Any:
    """A function: what the serving check says, and its warm-up requests; returns the InfraBlessing."""

    def run(passed: bool = True, requests: str = "requests") -> Any:
        made = standard_artifacts.InfraBlessing()
        made.uri = str(tmp_path / "infra")
        (tmp_path / "infra" / "warmup").mkdir(parents=True, exist_ok=True)
        (tmp_path / "infra" / "report.json").write_text("{}")
        (tmp_path / "infra" / "warmup" / "tf_serving_warmup_requests").write_text(requests)
        made.set_int_custom_property("blessed", int(passed))
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
    assert os.listdir(serving) == [str(NOW + 1)], "the number of what is lost is not given to other files"


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


def actions(serving: Path) -> list[tuple[str, str]]:
    return [(entry["action"], entry["version"]) for entry in history.read(Places(serving))]


def back(serving: Path, to: int | None = None, reason: str | None = None) -> None:
    places = Places(serving)
    roll_back(places, plan(places, to), reason, lambda folder: None)


def test_the_history_says_what_was_pushed_and_why(push: Any, checked: Any, serving: Path, tmp_path: Path) -> None:
    push()
    push()
    push(content="b", infra=checked(), forced="the fare table was wrong", overruled=True)
    push(content="c", infra=checked(), forced="but every gate let it through")
    first, second, third = history.read(Places(serving))
    assert (first["action"], first["version"], first["previous"]) == ("pushed", str(NOW), None)
    assert (first["model"], first["reason"], first["forced"]) == (str(tmp_path / "model"), "passed the gates", False)
    assert (first["verdicts"], first["run_id"]) == (4, None)
    assert (second["version"], second["previous"], second["forced"]) == (str(NOW + 1), str(NOW), True)
    assert second["reason"] == "forced: the fare table was wrong"
    assert (third["reason"], third["forced"]) == ("passed the gates and the serving check", False)


def test_without_the_blessing_of_the_serving_check_nothing_is_pushed(push: Any, checked: Any, serving: Path) -> None:
    assert push(infra=checked(passed=False)).get_int_custom_property("pushed") == 0
    assert not serving.exists()
    assert push(infra=checked()).get_int_custom_property("pushed") == 1
    assert history.read(Places(serving))[0]["reason"] == "passed the gates and the serving check"


def test_warm_up_requests_go_with_the_version(push: Any, checked: Any, converted: Any, serving: Path) -> None:
    push(infra=checked(), lite=converted({"int8": "eighth"}))
    push(infra=checked(), lite=converted({"int8": "eighth"}))
    requests = {f"{NOW}/assets.extra/tf_serving_warmup_requests": "requests"}
    lite = {f"{NOW}/assets.extra/lite/int8.tflite": "eighth"}
    assert files(serving) == model_at(str(NOW)) | requests | lite
    push(infra=checked(requests="others"), lite=converted({"int8": "eighth"}))
    assert sorted(os.listdir(serving)) == [str(NOW), str(NOW + 1)]


def test_the_newest_versions_are_kept(push: Any, serving: Path) -> None:
    for content in "abcdefg":
        push(content=content)
    assert sorted(os.listdir(serving)) == [str(NOW + i) for i in range(2, 7)], "five, where nothing is said"
    push(content="h", keep=2)
    assert sorted(os.listdir(serving)) == [str(NOW + 6), str(NOW + 7)]
    assert not Places(serving).trash.exists() or not os.listdir(Places(serving).trash)
    removed = [version for action, version in actions(serving) if action == "removed"]
    assert removed == [str(NOW + i) for i in range(6)]
    assert history.read(Places(serving))[-1]["reason"] == "older than the newest 2"


def test_the_baseline_is_kept_however_old(push: Any, serving: Path) -> None:
    for content in "abcd":
        push(content=content, baseline="a", keep=2)
    assert sorted(os.listdir(serving)) == [str(NOW), str(NOW + 2), str(NOW + 3)]


def test_what_was_rolled_back_is_kept_apart_as_long(push: Any, serving: Path) -> None:
    push(content="a", keep=2)
    for content in "bcd":
        push(content=content, keep=2)
        back(serving)
    places = Places(serving)
    assert versions.whole(places.watched) == [NOW]
    assert versions.whole(places.withdrawn) == [NOW + 1, NOW + 2, NOW + 3]
    push(content="e", keep=2)
    assert versions.whole(places.withdrawn) == [NOW + 2, NOW + 3]


def test_what_was_rolled_back_is_not_pushed_again(push: Any, serving: Path) -> None:
    push(content="a")
    push(content="b")
    back(serving, reason="far too low")
    pushed = push(content="b")
    assert pushed.get_int_custom_property("pushed") == 0
    why = pushed.get_string_custom_property(WITHHELD)
    assert why.startswith(f"version {NOW + 1} of this model was withdrawn on ")
    assert why.endswith(": far too low")
    assert os.listdir(serving) == [str(NOW)]
    assert push(content="c").get_string_custom_property("pushed_version") == str(NOW + 2)


def test_nor_is_another_model_of_the_same_bytes(push: Any, serving: Path, tmp_path: Path) -> None:
    push(content="a")
    push(content="b")
    back(serving)
    lines = Places(serving).history.read_text()
    Places(serving).history.write_text(lines.replace(str(tmp_path / "modelb"), "/another/artifact"))
    pushed = push(content="b")
    assert f"version {NOW + 1} of this model was withdrawn on" in pushed.get_string_custom_property(WITHHELD)


def signatures(path: Any) -> Any:
    """In place of the reading of a model: one of the content "a" has another output."""
    is_a = (Path(path) / "saved_model.pb").read_text().endswith("a")
    return {"columns": ({"fare": ("float32", (-1,))}, {"probability" if is_a else "score": ("float32", (-1,))})}


def test_a_model_that_clients_would_notice_is_not_pushed(
    push: Any, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "signatures", signatures)
    push(content="a")
    refused = push(content="b")
    assert refused.get_int_custom_property("pushed") == 0 and os.listdir(serving) == [str(NOW)]
    why = refused.get_string_custom_property(REFUSED)
    assert why.startswith(f"serving signature: not as in version {NOW}, which is served: signature 'columns': output ")
    assert "'probability' is gone" in why and "--set serving.signature_change=true" in why
    told = push(content="b", signature_change=True)
    assert told.get_string_custom_property("pushed_version") == str(NOW + 1)


def test_a_withdrawn_model_is_pushed_where_it_is_forced(push: Any, serving: Path) -> None:
    push(content="a")
    push(content="b")
    back(serving)
    assert push(content="b", forced="it was right").get_string_custom_property("pushed_version") == str(NOW + 2)
    assert push(content="b").get_string_custom_property("pushed_version") == str(NOW + 2)
    push(content="c")
    assert push(content="b").get_string_custom_property("pushed_version") == str(NOW + 4)


def test_going_forward_again_lets_it_be_pushed(push: Any, serving: Path) -> None:
    push(content="a")
    push(content="b")
    back(serving)
    back(serving, to=NOW + 1)
    assert push(content="b").get_string_custom_property("pushed_version") == str(NOW + 1)


def test_the_number_of_a_withdrawn_version_is_not_used_again(push: Any, serving: Path) -> None:
    push(content="a")
    push(content="b")
    back(serving)
    assert push(content="c").get_string_custom_property("pushed_version") == str(NOW + 2)


def test_a_history_that_can_not_be_written_keeps_the_push_from_happening(
    push: Any, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(content="a")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(history.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            push(content="b")
    assert os.listdir(serving) == [str(NOW)]
    assert push(content="b").get_int_custom_property("pushed") == 1


def test_a_history_that_is_full_after_the_rename_does_not_fail_the_push(
    push: Any, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = history.append

    def full_later(places: Places, entry: history.Event) -> None:
        if entry["action"] == "pushed":
            raise OSError(errno.ENOSPC, "No space left on device")
        append(places, entry)

    with monkeypatch.context() as patched:
        patched.setattr(executor.history, "append", full_later)
        assert push().get_int_custom_property("pushed") == 1
    assert actions(serving) == [("pushed", str(NOW))]


def test_a_target_that_fails_fails_the_node_and_the_push_stands(push: Any, serving: Path, bucket: str) -> None:
    places = Places(serving)
    missing = f"{bucket.partition('://')[0]}://no-such-bucket-here"
    right, wrong = ({"kind": "object_store", "url": url} for url in (f"{bucket}/models", missing))
    with pytest.raises(MillraceError, match=r"not at 1 of 2 other targets:\n  - .*no-such-bucket-here") as caught:
        push(targets=[wrong, right])
    assert "then the same command with --resume sends the rest" in str(caught.value)
    assert files(serving) == model_at(str(NOW))
    assert push(targets=[right]).get_string_custom_property("pushed_version") == str(NOW)
    assert actions(serving) == [(action, str(NOW)) for action in ("pushed", "not_delivered", "delivered")]
    assert places.served() == NOW
