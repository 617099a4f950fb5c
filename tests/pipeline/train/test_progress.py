"""The file that says how far a training is."""

from pathlib import Path

from pipeline.train import progress


def test_what_was_written_as_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    assert progress.read(folder) is None
    progress.write(folder, step=400, steps=1000, loss=0.31024, examples_per_second=45_321.7, eta=132.5)
    assert progress.read(folder) == "step 400 of 1,000, loss 0.3102, 45,322 examples/s, 2:13 left"
    assert [path.name for path in folder.iterdir()] == ["progress.json"]
    progress.clear(folder)
    assert progress.read(folder) is None


def test_what_is_no_progress_is_none(tmp_path: Path) -> None:
    for content in (
        "",
        "[]",
        '{"step": 4}',
        '{"step": "a", "steps": 1, "loss": 1, "examples_per_second": 1, "eta": 1}',
    ):
        (tmp_path / "progress.json").write_text(content)
        assert progress.read(tmp_path) is None
