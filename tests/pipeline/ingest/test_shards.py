"""Shards that TensorFlow reads."""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingest import files, shards
from pipeline.ingest.shards import Shards, framed


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def read(*paths: str) -> list[bytes]:
    """By TensorFlow, which checks the checksums."""
    return list(tf.data.TFRecordDataset(list(paths), "GZIP").as_numpy_iterator())


@pytest.mark.parametrize("sizes", [(0,), (3,), (1, 2), (4, 4), (10,), (1, 0, 9, 3)])
def test_rows_are_divided_into_shards(
    tmp_path: Path, sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, pool: Executor
) -> None:
    monkeypatch.setattr(shards, "ROWS", 4)
    made = Shards(f"{tmp_path}/x", files.create, pool)
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


@pytest.mark.parametrize("large", [False, True])
def test_blocks_make_one_gzip_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: Executor, large: bool
) -> None:
    """Compressed by several threads, read by zlib to its end: one member, in order, with the right checksum."""
    monkeypatch.setattr(shards, "_BLOCK_BYTES" if large else "_BLOCK", 50)
    monkeypatch.setattr(shards, "ROWS", 1000)
    made = Shards(f"{tmp_path}/x", files.create, pool)
    for start in range(0, 1500, 300):
        made.encode(pa.RecordBatch.from_pydict({"number": pa.array(range(start, start + 300))}))
    made.close()
    numbers = []
    for path in made.paths:
        inflate = zlib.decompressobj(31)
        frames = inflate.decompress(Path(path).read_bytes())
        assert (inflate.eof, inflate.unused_data) == (True, b"")
        found = read(path)
        assert frames == framed(found)
        numbers += [tf.train.Example.FromString(row).features.feature["number"].int64_list.value[0] for row in found]
    assert numbers == list(range(1500))
    packed = shards.compressor()
    assert gzip.decompress(packed.compress(b"a" * 1000) + packed.flush()) == b"a" * 1000


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


def test_what_can_not_be_written_is_told(tmp_path: Path, pool: Executor) -> None:
    """A thread writes: its error comes out of a later call, at the latest when the shards are closed."""

    def full(path: str) -> BinaryIO:
        raise OSError(28, "No space left on device", path)

    made = Shards(f"{tmp_path}/x", full, pool)
    with pytest.raises(OSError, match="No space"):
        made.write([b"a"])
        made.close()
