"""Files that a command was asked for."""

from pathlib import Path

import pytest

from pipeline import cli_output
from pipeline.errors import UsageError


def test_a_file_is_whole_and_its_folder_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli_output.write(tmp_path / "deep" / "spec.yaml", "a: 1\n")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["spec.yaml"]
    assert (tmp_path / "deep" / "spec.yaml").read_text() == "a: 1\n"
    assert "written" in capsys.readouterr().err


def test_a_place_that_can_t_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--output: .*spec\.yaml can't be written"):
        cli_output.write(tmp_path / "file" / "spec.yaml", "a: 1\n")
