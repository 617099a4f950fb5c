"""How large rows are: told by the start of the files, so that what is held at a time is bounded by bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.features import Numeric
from pipeline.task import Task
from pipeline.train import batches, sizes
from pipeline.train.fit import Data
from pipeline.train.rows import measuring_batch


@dataclass(frozen=True)
class Wide(Numeric):
    """A number that a model reads as a million of them, as an image is."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (1 << 20,)


def write(path: Path, records: Sequence[bytes]) -> str:
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for record in records:
            writer.write(record)
    return str(path)


@pytest.mark.parametrize("size", [10, 3000, 400_000])
def test_rows_and_their_size_are_told_by_the_start_of_a_shard(tmp_path: Path, size: int) -> None:
    random = np.random.default_rng(0)
    count = max(3, 2_000_000 // size)
    shards = [write(tmp_path / f"{n}.gz", [random.bytes(size) for _ in range(count)]) for n in range(2)]
    found = sizes.stored([write(tmp_path / "empty.gz", []), *shards])
    assert found.rows == pytest.approx(2 * count, rel=0.35 if size == 400_000 else 0.05)
    assert found.row_bytes == pytest.approx(size + 16)


def test_files_without_a_row_have_none(tmp_path: Path) -> None:
    assert sizes.stored([write(tmp_path / "empty.gz", [])]) == sizes.Stored(0.0, 0.0)
    (tmp_path / "broken.gz").write_bytes(b"no gzip")
    assert sizes.stored([str(tmp_path / "broken.gz")]) == sizes.Stored(0.0, 0.0)


def test_a_file_of_several_members_is_read_on(tmp_path: Path) -> None:
    parts = [Path(write(tmp_path / f"{n}.gz", [bytes([n]) * 50])).read_bytes() for n in range(3)]
    (tmp_path / "joined.gz").write_bytes(b"".join(parts))
    assert sizes.stored([str(tmp_path / "joined.gz")]) == sizes.Stored(3.0, 66.0)


def test_large_rows_are_taken_fewer_at_a_time(tiny: Task) -> None:
    large = replace(tiny, features=(Wide("miles"),))
    assert sizes.read_bytes(large) == (1 << 22) + 4
    assert (measuring_batch(tiny), measuring_batch(large)) == (4096, 7)
    assert sizes.ahead(tiny, 32) >= 4
    assert sizes.ahead(large, 32) == 2


def test_a_shuffle_holds_no_more_than_its_bytes(tiny: Task, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for a single row, rows come in the order of the file."""
    source = batches.Files(tuple(data.train_files), data.transform, tiny)
    in_order = [target.numpy() for _, target in source.batches(0, 3, batches.Share())]
    monkeypatch.setattr(batches, "_SHUFFLE_BYTES", 1)
    unshuffled = np.concatenate([target.numpy() for _, target in source.batches(0, 3, batches.Share())])
    file = list(tf.data.TFRecordDataset(data.train_files, compression_type="GZIP").take(96).as_numpy_iterator())
    spec = {"tips_label": data.transform.transformed_feature_spec()["tips_label"]}
    np.testing.assert_array_equal(unshuffled, tf.io.parse_example(file, spec)["tips_label"].numpy())
    assert (unshuffled != np.concatenate(in_order)).any()
