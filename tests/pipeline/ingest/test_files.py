"""Files of this machine and in buckets: what is read and listed, and every failure as one clear message."""

import gzip
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataBlocked, UsageError
from pipeline.ingest import files, parquet_reader

BIG = os.urandom(12 << 20)


def put(path: str, data: bytes) -> str:
    if "://" not in path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with files.create(path) as stream:
        stream.write(data)
    return path


def content(path: str, decompress: bool = True) -> bytes:
    with files.open_binary(path, decompress) as stream:
        return stream.read()


def refused(path: str) -> str:
    with pytest.raises(UsageError) as caught:
        content(path)
    return str(caught.value)


def check_reading(root: str) -> None:
    assert content(put(f"{root}/a.csv", b"fare\n1\n")) == b"fare\n1\n"
    assert content(put(f"{root}/big.bin", BIG)) == BIG
    packed = gzip.compress(b"fare\n1\n")
    assert content(put(f"{root}/a.csv.gz", packed)) == b"fare\n1\n"
    assert content(f"{root}/a.csv.gz", decompress=False) == packed
    with files.open_binary(f"{root}/big.bin") as stream:
        assert stream.seek(-5, os.SEEK_END) == len(BIG) - 5
        assert stream.read() == BIG[-5:]
        assert stream.seek(3) == 3
        assert stream.read(4) == BIG[3:7]
    table = pa.table({"n": np.arange(50_000)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=20_000)
    with files.open_binary(put(f"{root}/n.parquet", sink.getvalue().to_pybytes())) as stream:
        made = list(parquet_reader.read(stream, "n.parquet", None, {}))
    assert np.concatenate([batch.columns["n"] for batch in made]).tolist() == list(range(50_000))


def check_listing(root: str) -> None:
    first, second, other, inner = (
        put(f"{root}/days/{name}", b"x") for name in ("1.csv", "2.csv", "2.txt", "inner/3.csv")
    )
    assert files.list_files(f"{root}/days") == [first, second, other]
    assert files.list_files(f"{root}/days/") == [first, second, other]
    assert files.list_files(f"{root}/days/*.csv") == [first, second]
    assert files.list_files(f"{root}/*/[12].csv") == [first, second]
    assert files.list_files(inner) == [inner]
    assert [files.exists(path) for path in (first, f"{root}/days", f"{root}/days/9.csv")] == [True, True, False]
    for path, message in (
        (f"{root}/days/*.avro", "no file matches"),
        (f"{root}/days/9.csv", "9.csv does not exist"),
        (f"{root}/nights", "nights does not exist"),
    ):
        with pytest.raises(UsageError, match=message):
            files.list_files(path)


def check_versions(root: str) -> None:
    path = put(f"{root}/a.csv", b"one")
    before = files.stat(path)
    assert before.size == 3
    assert before.version
    assert files.stat(path) == before
    put(path, b"two")
    after = files.stat(path)
    assert after.size == 3
    assert after.version != before.version


def test_reading_of_this_machine(tmp_path: Path) -> None:
    check_reading(str(tmp_path))


def test_reading_from_a_bucket(bucket: str) -> None:
    check_reading(bucket)


def test_listing_of_this_machine(tmp_path: Path) -> None:
    check_listing(str(tmp_path))


def test_listing_of_a_bucket(bucket: str) -> None:
    check_listing(bucket)


def test_versions_of_this_machine(tmp_path: Path) -> None:
    check_versions(str(tmp_path))


def test_versions_in_a_bucket(bucket: str) -> None:
    check_versions(bucket)


def test_a_local_file_that_is_not_there(tmp_path: Path) -> None:
    put(f"{tmp_path}/data.csv", b"")
    message = refused(f"{tmp_path}/dat.csv")
    assert message == (
        f"data: {tmp_path}/dat.csv does not exist. Expected a file, a folder or a pattern. Did you mean 'data.csv'?"
    )
    assert refused(str(tmp_path)) == f"data: {tmp_path} is a folder. Expected a file."


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no file"):
        files.list_files(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = put(f"{tmp_path}/a.csv", b"x")
    os.chmod(path, 0)
    assert refused(path) == f"data: {path} can't be read by this user. Next: chmod +r {path}"


def test_a_permission_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(f"{tmp_path}/a.csv", b"x")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refused(path) == f"data: {path} can't be read by this user. Next: chmod +r {path}"


def test_a_truncated_gz_is_named(tmp_path: Path) -> None:
    path = put(f"{tmp_path}/a.csv.gz", gzip.compress(b"fare\n" * 1000)[:-10])
    with pytest.raises(DataBlocked) as caught:
        content(path)
    assert str(caught.value).startswith(f"{path}: the compressed file is truncated.")


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = put(f"{tmp_path}/a.csv", b"fare\n")
    with pytest.raises(DataBlocked, match="was changed while it was read"), files.open_binary(path) as stream:
        stream.read(2)
        with open(path, "ab") as writer:
            writer.write(b"1\n")


def test_a_fault_of_the_disk_is_named(tmp_path: Path) -> None:
    path = put(f"{tmp_path}/a.csv", b"fare\n")

    def fail(_: Any) -> None:
        raise OSError(5, "Input/output error")

    stream = files._Guarded(SimpleNamespace(readinto=fail), path)
    with pytest.raises(DataBlocked) as caught:
        stream.read(10)
    assert str(caught.value).startswith(f"data: {path} can't be read: Input/output error. Next: ")


def test_an_error_of_our_own_code_is_not_translated(tmp_path: Path) -> None:
    path = put(f"{tmp_path}/a.csv", b"x")
    with pytest.raises(ZeroDivisionError), files.open_binary(path):
        _ = 1 / 0


def test_what_is_not_in_a_bucket(bucket: str) -> None:
    put(f"{bucket}/days/1.csv", b"x")
    assert refused(f"{bucket}/a.csv") == f"data: {bucket}/a.csv does not exist. Next: check the bucket and the key"
    assert refused(f"{bucket}-none/a.csv").startswith(f"data: {bucket}-none/a.csv does not exist.")
    assert refused(f"{bucket}/days") == f"data: {bucket}/days is a folder. Expected a file."


def test_an_object_named_like_its_folder_is_no_file(bucket: str) -> None:
    put(f"{bucket}/days/1.csv", b"x")
    files.filesystem(files.scheme(bucket)).pipe(files.object_key(f"{bucket}/days/"), b"")
    assert files.list_files(f"{bucket}/days") == [f"{bucket}/days/1.csv"]


def test_a_bucket_whose_server_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs.core import S3FileSystem

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setattr(files, "_RETRIES", 0)
    S3FileSystem.clear_instance_cache()
    message = refused("s3://trips/a.csv")
    S3FileSystem.clear_instance_cache()
    assert message == (
        "data: s3://trips/a.csv can't be read: the server can't be reached. "
        "Next: check the network, AWS_ENDPOINT_URL and STORAGE_EMULATOR_HOST"
    )


def test_no_message_holds_what_a_server_says() -> None:
    """Errors of servers repeat signed addresses and keys."""
    with pytest.raises(UsageError) as caught, files.translated("s3://trips/a.csv"):
        raise RuntimeError("https://host/a.csv?X-Amz-Credential=AKIA123&X-Amz-Signature=abc")
    assert str(caught.value) == (
        "data: s3://trips/a.csv can't be read: RuntimeError. Next: check that the path is right and can be read"
    )


def test_credentials_that_a_server_refuses() -> None:
    class HttpError(Exception):
        code = 403

    with pytest.raises(
        UsageError, match=r"the server refuses it\. Next: check the credentials and the bucket's policy"
    ):
        with files.translated("gs://trips/a.csv"):
            raise HttpError
    with pytest.raises(DataBlocked, match=r"can't be read: the server refuses it\. Next: check the credentials"):
        with files.translated("s3://trips/a.csv", DataBlocked):
            raise PermissionError("Access Denied")


@pytest.mark.parametrize(("scheme", "module", "extra"), [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs")])
def test_an_extra_that_is_not_installed(scheme: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"{module}.core", None)
    assert refused(f"{scheme}://trips/a.csv") == f"{scheme}:// needs {module}. Next: pip install 'millrace[{extra}]'"


def test_a_scheme_that_is_not_known() -> None:
    assert refused("hdfs://trips/a.csv") == (
        "data: hdfs://trips/a.csv: hdfs:// can't be read. Expected a local path, s3:// or gs://."
    )
