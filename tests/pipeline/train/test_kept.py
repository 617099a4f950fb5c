"""What a training keeps on a root in a bucket."""

from pathlib import Path

from pipeline.train import kept


def test_checkpoints_and_logs_are_on_the_root_and_what_is_removed_is_not(tmp_path: Path) -> None:
    folder, logs, home = tmp_path / "chief" / "training", tmp_path / "chief" / "logs", tmp_path / "bucket" / "tiny"
    for step in (1, 2):
        (folder / f"step-{step}").mkdir(parents=True)
    with kept.on_root(str(home / "training"), folder, str(logs), "20261121T000000"):
        (folder / "step-1" / "state.json").write_text("1")
        (folder / "step-2" / "state.json").write_text("2")
        logs.mkdir()
        (logs / "events").write_text("loss")
        (folder / "step-1" / "state.json").unlink()
    found = {path.relative_to(home).as_posix(): path.read_text() for path in home.rglob("*") if path.is_file()}
    assert found == {"training/step-2/state.json": "2", "logs/20261121T000000/events": "loss"}


def test_a_local_root_is_its_own_place(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    folder.mkdir()
    with kept.on_root(str(folder), folder, str(tmp_path / "logs"), "1"):
        (folder / "progress.json").write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == ["training"]
    with kept.on_root(None, None, str(tmp_path / "logs"), "1"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["training"]
