"""Which model answers."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.predict import served


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    """Versions 9 and 10, and what is no version."""
    for name in ("9", "10", "11", ".incoming-12", "notes"):
        (tmp_path / name).mkdir()
        if name != "11":
            (tmp_path / name / "saved_model.pb").write_bytes(b"")
    return tmp_path


def test_the_highest_whole_version_is_served(serving: Path) -> None:
    assert served.served(serving) == (str(serving / "10"), "10")
    assert served.served(serving, "9") == (str(serving / "9"), "9")
    with pytest.raises(UsageError, match=r"no version '11' in .* Known: 10, 9\."):
        served.served(serving, "11")
    with pytest.raises(UsageError, match=r"no model is served in .*nowhere.*millrace run"):
        served.served(serving / "nowhere")


def test_another_model_is_a_folder_of_one_or_of_versions_or_an_artifact(serving: Path, tmp_path: Path) -> None:
    assert served.at(str(serving / "9")) == (str(serving / "9"), "9")
    assert served.at(str(serving)) == (str(serving / "10"), "10")
    artifact = tmp_path / "artifact" / "Format-Serving"
    artifact.mkdir(parents=True)
    (artifact / "saved_model.pb").write_bytes(b"")
    assert served.at(str(artifact.parent)) == (str(artifact), str(artifact))
    with pytest.raises(UsageError, match="no model in"):
        served.at(str(serving / "notes" / "none"))
