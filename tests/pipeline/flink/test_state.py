"""The file that says which cluster runs."""

from pathlib import Path

import pytest

from pipeline.flink import state

CLUSTER = state.Cluster(
    "http://127.0.0.1:8081", "127.0.0.1:8099", "127.0.0.1:50000", 2, "1.19.3", "2.77.0", "/x", {"jobmanager": 7}
)


def test_what_is_written_is_read_until_it_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state.read() is None
    state.write(CLUSTER)
    assert state.read() == CLUSTER
    assert sorted(path.name for path in state.home().iterdir()) == ["cluster.json"]
    state.forget()
    assert state.read() is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"rest": "x"}'])
def test_a_damaged_file_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text(text)
    assert state.read(tmp_path) is None
