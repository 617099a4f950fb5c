"""Checkpoints: what is read is what was written, bit for bit, and never more than was asked for."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from pipeline.train import checkpoints
from pipeline.train.checkpoints import Checkpoints, digest_of

GROUPS = {
    "model": [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([1.5, -0.1], ml_dtypes.bfloat16),
        np.array([7, 2**32 - 1], np.uint32),
        np.float32(3.5).reshape(()),
    ],
    "optimizer": [np.array(12, np.int64)],
    "best": [],
}


def save(store: Checkpoints, *steps: int) -> None:
    for step in steps:
        store.save({"step": step, "history": [[step, {"loss": float("nan")}]]}, GROUPS)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path / "deep" / "er", {"settings": "a"}, 2)
    assert store.newest() is None
    save(store, 12)
    found = store.newest()
    assert found is not None
    assert found.state["step"] == 12
    assert set(found.groups) == set(GROUPS)
    for name, arrays in GROUPS.items():
        for one, other in zip(arrays, found.groups[name], strict=True):
            assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def test_the_newest_are_kept(tmp_path: Path) -> None:
    save(Checkpoints(tmp_path, {}, 2), 5, 10, 15, 20)
    assert names(tmp_path) == ["step-000000015", "step-000000020"]


@pytest.mark.parametrize("file", ["arrays.npz", "state.json"])
def test_a_damaged_one_is_passed_over(tmp_path: Path, file: str) -> None:
    store = Checkpoints(tmp_path, {}, 2)
    save(store, 5, 10)
    damaged = tmp_path / "step-000000010" / file
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 255
    damaged.write_bytes(content if file == "arrays.npz" else content[:40])
    found = store.newest()
    assert found is not None
    assert found.state["step"] == 5
    assert names(tmp_path) == ["step-000000005"]


def test_half_written_ones_are_no_checkpoints(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, {}, 2)
    (tmp_path / ".step-000000010-1").mkdir()
    assert store.newest(clear=False) is None
    assert names(tmp_path) == [".step-000000010-1"]
    assert store.newest() is None
    assert names(tmp_path) == []
    save(store, 3)
    (tmp_path / ".step-000000010-1").mkdir()
    checkpoints.remove(tmp_path)
    assert names(tmp_path) == []


def test_those_of_another_training_are_set_aside_two_at_the_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        store = Checkpoints(tmp_path, {"settings": str(number), "data": "same"}, 2)
        assert store.newest() is None
        save(store, 3)
    assert names(tmp_path) == ["aside-2", "aside-3", "step-000000003"]
    assert caplog.text.count("were set aside") == 3
    assert "other settings" in caplog.text
    assert "other settings, data" not in caplog.text


def test_one_that_must_not_change_anything_leaves_all_as_it_is(tmp_path: Path) -> None:
    save(Checkpoints(tmp_path, {"settings": "a"}, 2), 3)
    assert Checkpoints(tmp_path, {"settings": "b"}, 2).newest(clear=False) is None
    assert names(tmp_path) == ["step-000000003"]


def test_digests_tell_values_types_and_shapes_apart() -> None:
    one = np.arange(4, dtype=np.float32)
    others = [one + 1, one.astype(np.float64), one.reshape(2, 2)]
    assert len({digest_of([array]) for array in (one, *others)}) == 4
    assert digest_of([one]) == digest_of([one.copy()])
