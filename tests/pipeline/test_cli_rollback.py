"""`millrace rollback` and `millrace history`: what they do, what they say, what they refuse."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pipeline import cli_rollback
from pipeline.cli_rollback import history, rollback
from pipeline.config import RunConfig
from pipeline.errors import ExitCode, MillraceError, UsageError
from pipeline.ingest import files
from pipeline.push import history as histories
from pipeline.push import targets, versions
from pipeline.push.settings import ObjectStore
from pipeline.push.versions import Places
from pipeline.runners import processes, records

CALL = processes.call


def abort(folder: Path) -> None:
    """What a model does that TensorFlow can't bear."""
    os.abort()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that doubles numbers."""
    path = tmp_path_factory.mktemp("exported") / "model"

    class Double(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def __call__(self, x: Any) -> dict[str, Any]:
            return {"y": 2.0 * x}

    module = Double()
    tf.saved_model.save(module, str(path), signatures=module.__call__)
    return path


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are loaded in this process, which has TensorFlow already."""
    monkeypatch.setattr(cli_rollback.processes, "call", lambda check, folder, log: check(folder))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(RunConfig(task="tips", root=str(tmp_path)).serving)


@pytest.fixture
def pushed(places: Places, exported: Path) -> Places:
    """Versions 7, 8 and 9."""
    for version in (7, 8, 9):
        served = places.served()
        shutil.copytree(exported, places.watched / str(version))
        about = {"previous": str(served) if served else None, "model": f"/models/{version}", "run_id": f"run-{version}"}
        event = histories.event("pushed", version, **about, reason="passed the gates", verdicts=4)
        histories.append(places, event)
    return places


def test_back_and_forward(pushed: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollback("tips", str(tmp_path), reason="far too low")
    assert "tips serves version 8 again; 9 is withdrawn" in capsys.readouterr().out
    assert pushed.served() == 8
    rollback("tips", str(tmp_path), to=7, json=True)
    done = json.loads(capsys.readouterr().out)
    assert (done["action"], done["version"], done["previous"], done["withdrawn"]) == ("rolled_back", "7", "8", ["8"])
    rollback("tips", str(tmp_path), to=9)
    assert "tips serves version 9 again; 7 was served before" in capsys.readouterr().out
    assert versions.whole(pushed.watched) == [7, 9]
    assert versions.whole(pushed.withdrawn) == [8]


def test_the_history(pushed: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollback("tips", str(tmp_path), reason="far too low")
    capsys.readouterr()
    history("tips", str(tmp_path), json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["task"], told["served"], told["path"]) == ("tips", "8", str(pushed.watched / "8"))
    assert [(entry["action"], entry["version"], entry["now"]) for entry in told["history"]] == [
        *(("pushed", "7", "kept"), ("pushed", "8", "served"), ("pushed", "9", "withdrawn")),
        ("rolled_back", "8", "served"),
    ]
    history("tips", str(tmp_path))
    text = capsys.readouterr().out
    assert f"served now: 8 ({pushed.watched / '8'})" in text
    assert "withdrew 9; far too low" in text
    assert "passed the gates; 4 verdicts" in text
    assert "run-9" in text


def test_a_version_that_does_not_load_is_refused(pushed: Places, tmp_path: Path) -> None:
    (pushed.watched / "8" / "saved_model.pb").write_bytes(b"half")
    with pytest.raises(MillraceError, match=r"version 8 can't be served: it does not load: .* 9 is served as before"):
        rollback("tips", str(tmp_path))
    assert versions.whole(pushed.watched) == [7, 8, 9]
    rollback("tips", str(tmp_path), to=7)
    assert pushed.served() == 7


def test_a_version_that_kills_its_process_is_refused_and_nothing_else_is_printed(
    pushed: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_rollback.processes, "call", CALL)
    rollback("tips", str(tmp_path))
    said = capfd.readouterr()
    assert said.out.startswith("Rolled back: tips serves version 8 again")
    assert said.err == ""
    monkeypatch.setattr(cli_rollback.load_check, "check", abort)
    with pytest.raises(MillraceError, match=r"version 7 can't be served: its process was ended by SIGABRT"):
        rollback("tips", str(tmp_path))
    assert pushed.served() == 8


def test_while_a_run_is_at_work_it_is_refused(pushed: Places, tmp_path: Path) -> None:
    with (
        records.locked(RunConfig(task="tips", root=str(tmp_path))),
        pytest.raises(MillraceError, match=f"another run is at work in .*process {os.getpid()}"),
    ):
        rollback("tips", str(tmp_path))
    assert pushed.served() == 9


def test_what_was_never_pushed(pushed: Places, tmp_path: Path) -> None:
    for command in (rollback, history):
        with pytest.raises(
            UsageError, match=r"nothing of 'tip' was pushed in .*Did you mean 'tips'\? Known: tips."
        ) as caught:
            command("tip", str(tmp_path))
        assert caught.value.exit_code == ExitCode.USAGE
    assert not (tmp_path / "tip").exists()


def test_a_rollback_that_was_killed_is_taken_back_first(pushed: Places, tmp_path: Path) -> None:
    intent = histories.event("rolling_back", 7, withdrawn=["8", "9"], restored=False)
    histories.append(pushed, intent)
    versions.move(pushed.watched / "8", pushed.withdrawn / "8")
    rollback("tips", str(tmp_path))
    assert pushed.served() == 8
    assert [entry["action"] for entry in histories.read(pushed)][-2:] == ["abandoned", "rolled_back"]


def test_a_disk_that_is_full(pushed: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(histories, "append", full)
    with pytest.raises(MillraceError, match=r"is full. Next: free space"):
        rollback("tips", str(tmp_path))
    assert pushed.served() == 9


def test_other_targets_go_back_too_and_can_be_brought_to_it_later(
    pushed: Places, tmp_path: Path, bucket: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    targets.deliver(pushed, [ObjectStore(bucket)], 9, None, "again")

    def delivered() -> list[str]:
        remote = files.filesystem(files.scheme(bucket))
        return sorted(name for name in remote.find(files.object_key(bucket)) if name.endswith("saved_model.pb"))

    assert delivered() == ["millrace-tests/tips/9/saved_model.pb"]
    with monkeypatch.context() as patched:
        patched.setattr(files, "filesystem", lambda name: (_ for _ in ()).throw(ConnectionError("down")))
        with pytest.raises(MillraceError, match=f"then millrace rollback --task tips --root {tmp_path} --to 8"):
            rollback("tips", str(tmp_path))
    assert pushed.served() == 8
    rollback("tips", str(tmp_path), to=8)
    assert "version 8 is served already; every other target serves it too" in capsys.readouterr().out
    places = ["millrace-tests/tips/8/saved_model.pb", "millrace-tests/withdrawn/tips/9/saved_model.pb"]
    assert delivered() == places


def test_without_other_targets_what_is_served_is_refused(pushed: Places, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--to 9: it is served already"):
        rollback("tips", str(tmp_path), to=9)
