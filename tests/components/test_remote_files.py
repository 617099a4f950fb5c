"""TFX's file access in buckets: what its drivers and executors do with paths, on an S3 and a GCS server."""

import pytest
from tfx.dsl.io import fileio, filesystem_registry
from tfx.utils import io_utils

from components import remote_files
from components.remote_files import RemoteFilesystem


@pytest.fixture(autouse=True)
def registered() -> None:
    remote_files.register()
    remote_files.register()


def put(path: str, text: str = "x") -> str:
    with fileio.open(path, "w") as stream:
        stream.write(text)
    return path


def test_only_buckets_go_through_it() -> None:
    registry = filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY
    assert registry.get_filesystem_for_path("s3://a/b") is RemoteFilesystem
    assert registry.get_filesystem_for_path("gs://a/b") is RemoteFilesystem
    assert registry.get_filesystem_for_path("/a/b") is not RemoteFilesystem
    assert registry.get_filesystem_for_path("hdfs://a/b") is not RemoteFilesystem


def test_text_and_bytes(bucket: str) -> None:
    path = put(f"{bucket}/a/b.txt", "é\n")
    with fileio.open(path) as text:
        assert text.read() == "é\n"
    with fileio.open(path, "rb") as data:
        assert data.read() == b"\xc3\xa9\n"
    with fileio.open(path, "wb") as data:
        data.write(b"\xff")
    with fileio.open(path, "rb") as data:
        assert data.read() == b"\xff"


def test_listing(bucket: str) -> None:
    paths = [put(f"{bucket}/span-{span}/{name}") for span in (1, 2) for name in ("a.csv", "b.csv")]
    assert fileio.glob(f"{bucket}/span-*/*.csv") == paths
    assert fileio.glob(f"{bucket}/span-*") == [f"{bucket}/span-1", f"{bucket}/span-2"]
    assert fileio.glob(f"{bucket}/none-*") == []
    assert fileio.listdir(f"{bucket}/span-1") == ["a.csv", "b.csv"]
    assert fileio.listdir(bucket) == ["span-1", "span-2"]
    assert [fileio.exists(path) for path in (paths[0], f"{bucket}/span-1", f"{bucket}/span-3")] == [True, True, False]
    assert [fileio.isdir(path) for path in (paths[0], f"{bucket}/span-1")] == [False, True]
    assert list(fileio.walk(f"{bucket}/span-1")) == [(f"{bucket}/span-1", [], ["a.csv", "b.csv"])]
    with pytest.raises(fileio.NotFoundError, match="does not exist"):
        fileio.listdir(f"{bucket}/span-3")


def test_the_fingerprint_of_a_driver(bucket: str) -> None:
    pattern = f"{bucket}/span-1/*"
    put(f"{bucket}/span-1/a.csv", "12345")
    first = io_utils.generate_fingerprint("single_split", pattern)
    assert "num_files:1,total_bytes:5" in first
    assert "sum_checksum:0" not in first
    assert io_utils.generate_fingerprint("single_split", pattern) == first
    put(f"{bucket}/span-1/b.csv", "1")
    assert "num_files:2,total_bytes:6" in io_utils.generate_fingerprint("single_split", pattern)


def test_moving_and_removing(bucket: str) -> None:
    path = put(f"{bucket}/a.txt", "one")
    fileio.copy(path, f"{bucket}/b.txt")
    with pytest.raises(OSError, match="already there"):
        fileio.copy(path, f"{bucket}/b.txt")
    fileio.rename(path, f"{bucket}/c.txt")
    assert sorted(fileio.listdir(bucket)) == ["b.txt", "c.txt"]
    with fileio.open(f"{bucket}/c.txt") as stream:
        assert stream.read() == "one"
    fileio.remove(f"{bucket}/c.txt")
    assert not fileio.exists(f"{bucket}/c.txt")
    put(f"{bucket}/d/e/f.txt")
    fileio.makedirs(f"{bucket}/d/g")
    fileio.rmtree(f"{bucket}/d")
    assert fileio.listdir(bucket) == ["b.txt"]
    for act in (fileio.remove, fileio.stat, fileio.open):
        with pytest.raises(fileio.NotFoundError):
            act(f"{bucket}/none.txt")
