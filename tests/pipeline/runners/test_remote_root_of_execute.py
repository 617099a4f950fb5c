"""A folder that stood for a bucket is read through a mirror: it has records, and no database."""

from pathlib import Path

import pytest

from pipeline.runners import remote_root


def test_a_folder_with_records_has_a_folder_that_stands_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "trial"
    (root / "tips" / "runs").mkdir(parents=True)
    assert remote_root.placed(str(root)) == (str(root), None)
    (root / "tips" / "metadata" / "records").mkdir(parents=True)
    name, folder = remote_root.placed(str(root))
    assert name == str(root)
    assert folder is not None
    assert Path(folder).is_relative_to(tmp_path / "cache")
    assert remote_root.config_of("tips", str(root)).home_url == f"{root}/tips"
