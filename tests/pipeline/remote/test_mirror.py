"""A folder that stands for a task's part of a root."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import mirrored
from pipeline.config import RunConfig
from pipeline.errors import MillraceError
from pipeline.push.versions import SAVED_MODEL
from pipeline.remote.mirror import Mirror


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return tmp_path / "bucket" / "tips"


def _mirror(tmp_path: Path, bucket: Path, name: str = "here") -> Mirror:
    home = tmp_path / name / "tips"
    home.mkdir(parents=True, exist_ok=True)
    return Mirror(str(bucket), home)


def _version(home: Path, name: str) -> None:
    folder = home / "serving" / "tips" / name
    folder.mkdir(parents=True)
    (folder / SAVED_MODEL).write_bytes(name.encode())
    (folder / "variables").mkdir()
    (folder / "variables" / "v").write_bytes(b"weights")


def test_texts_name_places_of_the_machine_they_are_on(tmp_path: Path, bucket: Path) -> None:
    one, two = _mirror(tmp_path, bucket, "one"), _mirror(tmp_path, bucket, "two")
    (one.home / "a").mkdir()
    (one.home / "a" / "found.json").write_text(json.dumps({"at": f"{one.home}/a"}))
    (one.home / "a" / "rows.bin").write_text(f"{one.home}/a")
    one.send("a")
    assert json.loads((bucket / "a" / "found.json").read_text()) == {"at": f"{bucket}/a"}
    assert (bucket / "a" / "rows.bin").read_text() == f"{one.home}/a"
    assert two.fetch("a")
    assert json.loads((two.home / "a" / "found.json").read_text()) == {"at": f"{two.home}/a"}
    assert json.loads((bucket / "a" / "found.json").read_text()) == {"at": f"{bucket}/a"}


def test_the_root_is_named_as_the_root_is(tmp_path: Path) -> None:
    home = tmp_path / "scratch" / "tips"
    home.mkdir(parents=True)
    mirror = Mirror("s3://bucket/runs/tips", home)
    assert mirror.named(f"millrace serve tips --root {home.parent}") == "millrace serve tips --root s3://bucket/runs"
    assert mirror.named(f"{home}/artifacts") == "s3://bucket/runs/tips/artifacts"


def test_an_artifact_that_is_gone_is_named_with_what_to_do(tmp_path: Path, bucket: Path) -> None:
    mirror = _mirror(tmp_path, bucket)
    with pytest.raises(
        MillraceError, match=r"artifacts/Gen/examples/7 is recorded as made and is not there.*without the cache"
    ):
        mirror.bring([str(mirror.home / "artifacts/Gen/examples/7")])


def test_an_artifact_without_files_is_there(tmp_path: Path, bucket: Path) -> None:
    one, two = _mirror(tmp_path, bucket, "one"), _mirror(tmp_path, bucket, "two")
    (one.home / "artifacts/Pusher/pushed_model/7").mkdir(parents=True)
    one.send("artifacts/Pusher/pushed_model/7")
    two.bring([str(two.home / "artifacts/Pusher/pushed_model/7")])
    assert (two.home / "artifacts/Pusher/pushed_model/7").is_dir()


def test_a_version_that_was_pushed_is_sent_and_one_that_was_dropped_is_removed(tmp_path: Path, bucket: Path) -> None:
    one, two = _mirror(tmp_path, bucket, "one"), _mirror(tmp_path, bucket, "two")
    with one.pushing("run-1"):
        _version(one.home, "1")
        _version(one.home, "2")
        (one.home / "serving" / "history.jsonl").write_text(json.dumps({"model": f"{one.home}/m"}) + "\n")
    with two.pushing("run-2"):
        assert (two.home / "serving/tips/2" / SAVED_MODEL).read_bytes() == b"2"
        assert json.loads((two.home / "serving/history.jsonl").read_text()) == {"model": f"{two.home}/m"}
        import shutil

        shutil.rmtree(two.home / "serving/tips/1")
        _version(two.home, "3")
    assert sorted(path.name for path in (bucket / "serving" / "tips").iterdir()) == ["2", "3"]
    one.serving()
    assert sorted(path.name for path in (one.home / "serving" / "tips").iterdir()) == ["2", "3"]
    assert not (bucket / "serving.lock").exists()


def test_what_a_failed_push_had_done_is_sent_with_its_history(tmp_path: Path, bucket: Path) -> None:
    mirror = _mirror(tmp_path, bucket)
    with pytest.raises(ZeroDivisionError), mirror.pushing("run-1"):
        _version(mirror.home, "1")
        raise ZeroDivisionError
    assert (bucket / "serving/tips/1" / SAVED_MODEL).is_file()


def test_one_writer_at_a_time(tmp_path: Path, bucket: Path) -> None:
    one, two = _mirror(tmp_path, bucket, "one"), _mirror(tmp_path, bucket, "two")
    with one.pushing("run-1"), pytest.raises(MillraceError, match="run-1 has been pushing"), two.pushing("run-2"):
        pytest.fail("two writers")
    with two.pushing("run-2"):
        pass


def test_the_same_run_and_one_long_after_take_a_lease_that_was_left(tmp_path: Path, bucket: Path) -> None:
    mirror = _mirror(tmp_path, bucket)
    now = datetime.now(UTC)
    mirror.write("serving.lock", {"by": "run-1", "since": now.isoformat()})
    with mirror.pushing("run-1"):
        pass
    mirror.write("serving.lock", {"by": "run-1", "since": (now - timedelta(hours=2)).isoformat()})
    with mirror.pushing("run-2"):
        assert mirror.read("serving.lock")["by"] == "run-2"


def test_a_store_is_made_of_all_records_and_nothing_else(tmp_path: Path, bucket: Path) -> None:
    from pipeline.remote import metadata
    from tests.pipeline.remote.test_metadata import _graphs, _store

    one = _mirror(tmp_path, bucket, "one")
    graphs = json.loads(json.dumps(_graphs(_store(tmp_path / "a.db"))).replace("/home", str(one.home)))
    for name, graph in graphs.items():
        one.commit(name.partition(".")[0], name.partition(".")[2], graph)
    one.metadata()
    assert metadata.uris(one.home / "metadata.db") == [f"{one.home}/a/1", f"{one.home}/m/2"]
    assert (one.home / "a/1").is_dir()
    one.snapshot()
    (bucket / "metadata/records/run.gen.json").unlink()
    two = _mirror(tmp_path, bucket, "two")
    _store(two.home / "metadata.db")
    two.metadata()
    assert metadata.uris(two.home / "metadata.db") == [f"{two.home}/a/1", f"{two.home}/m/2"]
    assert two.committed("run", "train") is not None
    assert two.committed("run", "other") is None


def test_names_of_places_below_a_root() -> None:
    config = RunConfig("tips", root="s3://bucket/runs", mirror="/scratch")
    assert config.home == Path("/scratch/tips")
    assert config.named(config.serving) == "s3://bucket/runs/tips/serving/tips"
    mirrored.stand_in(config.root, config.mirror)
    assert mirrored.local("s3://bucket/runs/tips/serving/tips") == config.serving
    assert mirrored.local("s3://bucket/runs2/x") == Path("s3://bucket/runs2/x")
    assert RunConfig("tips", root="/runs").named(Path("/runs/tips/serving")) == "/runs/tips/serving"
