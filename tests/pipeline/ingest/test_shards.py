"""Shards that TensorFlow reads."""

import io
import struct
from pathlib import Path
from typing import BinaryIO

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingest import files, shards
from pipeline.ingest.shards import Shards, framed


def read(*paths: str) -> list[bytes]:
    """By TensorFlow, which checks the checksums."""
    return list(tf.data.TFRecordDataset(list(paths), "GZIP").as_numpy_iterator())


@pytest.mark.parametrize("sizes", [(0,), (3,), (1, 2), (4, 4), (10,), (1, 0, 9, 3)])
def test_rows_are_divided_into_shards(tmp_path: Path, sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_ROWS", 4)
    made = Shards(f"{tmp_path}/x", files.create)
    total = sum(sizes)
    records = [str(number).encode() for number in range(total)]
    at = 0
    for size in sizes:
        made.write(records[at : at + size])
        at += size
    made.close()
    assert made.rows == total
    assert made.paths == [f"{tmp_path}/x-{number:05d}" for number in range(-(-total // 4))]
    assert read(*made.paths) == records
    assert all(len(read(path)) == 4 for path in made.paths[:-1])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=5))
def test_frames(records: list[bytes]) -> None:
    """As TensorFlow's writer makes them."""
    stream = io.BytesIO(framed(records))
    for record in records:
        (length,) = struct.unpack("<Q", stream.read(8))
        assert length == len(record)
        stream.read(4)
        assert stream.read(length) == record
        stream.read(4)
    assert stream.read() == b""


def test_frames_equal_tensorflows(tmp_path: Path) -> None:
    records = [b"", b"a", bytes(range(256)) * 10]
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        for record in records:
            writer.write(record)
    assert (tmp_path / "x").read_bytes() == framed(records)


def test_what_can_not_be_written_is_told(tmp_path: Path) -> None:
    """A thread writes: its error comes out of a later call, at the latest when the shards are closed."""

    def full(path: str) -> BinaryIO:
        raise OSError(28, "No space left on device", path)

    made = Shards(f"{tmp_path}/x", full)
    with pytest.raises(OSError, match="No space"):
        made.write([b"a"])
        made.close()
