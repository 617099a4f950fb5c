"""`millrace deploy`: the files it writes, and where."""

from pathlib import Path

import pytest
import yaml

from pipeline.cli_deploy import compose, kserve
from pipeline.config import RunConfig
from pipeline.errors import UsageError


def push(root: Path, version: str) -> Path:
    folder = RunConfig(task="taxi_tips", root=str(root)).serving / version
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder.parent


def test_compose_for_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = push(tmp_path / "runs", "7")
    output = tmp_path / "out"
    compose("taxi_tips", str(tmp_path / "runs"), str(output), rest_port=9001)
    assert sorted(path.name for path in output.iterdir()) == ["compose.yaml", "models.config", "monitoring.config"]
    service = yaml.safe_load((output / "compose.yaml").read_text())["services"]["serving"]
    assert service["volumes"][0]["source"] == str(folder)
    assert "127.0.0.1:9001:8501" in service["ports"]
    said = capsys.readouterr().err
    assert f"next    docker compose -f {output / 'compose.yaml'} up -d" in said
    assert "nothing was pushed" not in said


def test_before_the_first_push_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compose("taxi_tips", str(tmp_path / "runs"), str(tmp_path / "out"))
    assert "nothing was pushed to" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_kserve_names_the_version_that_is_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    push(tmp_path, "7")
    push(tmp_path, "12")
    kserve("taxi_tips", str(tmp_path), storage="s3://models/taxi_tips")
    made = yaml.safe_load(capsys.readouterr().out)
    assert made["metadata"]["annotations"]["millrace/version"] == "12"
    assert made["spec"]["predictor"]["model"]["storageUri"] == "s3://models/taxi_tips"
    kserve("taxi_tips", str(tmp_path), output=str(tmp_path / "kserve.yaml"), storage="s3://models/taxi_tips")
    assert yaml.safe_load((tmp_path / "kserve.yaml").read_text()) == made


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--output: .*compose.yaml can't be written"):
        compose("taxi_tips", str(tmp_path), str(tmp_path / "file"))


def test_an_unknown_task(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'taxi_tips'"):
        compose("taxi_tip", str(tmp_path), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
