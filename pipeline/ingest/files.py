"""Opening and listing files, local or in a bucket: `trips.jsonl.gz`, `s3://bucket/day=*/trips.parquet`, `gs://…`.

Buckets are reached through fsspec, with s3fs (`pip install 'millrace[s3]'`) and gcsfs (`millrace[gcs]`). Credentials are
the ordinary ones: AWS_ACCESS_KEY_ID, AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS, an instance's role. AWS_ENDPOINT_URL
and STORAGE_EMULATOR_HOST lead to another server. Whatever goes wrong is one clear error, with the file's name in it
and no credentials.
"""

import glob
import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from pipeline.errors import DataBlocked, MillraceError, UsageError, hint
from pipeline.ingest import faults
from pipeline.ingest.inflate import inflate

EXTRAS = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs")}
"""Scheme -> the module that reads it, and the extra of this package that installs the module."""

_BUFFER = 1 << 20
_RETRIES = 3
_WILD = "*?["


class NotFound(UsageError):
    """There is no such file or folder."""


class Stat(NamedTuple):
    """What tells one state of a file from the next.

    Attributes:
      size: in bytes.
      version: the ETag or generation of an object; the time of the last change, in nanoseconds, of a local file.
    """

    size: int
    version: str


@contextmanager
def open_binary(path: str, decompress: bool = True) -> Iterator[BinaryIO]:
    """Opens a file for reading; a context manager.

    Args:
      path: local, `s3://bucket/key` or `gs://bucket/key`.
      decompress: whether a file whose name ends with `.gz` is decompressed. Such a stream can't seek.

    Raises:
      UsageError: there is no such file, or it can't be reached or read.
      DataBlocked: while reading: a damaged or truncated .gz; the connection broke; a local file that was changed
        while it was read.
    """
    with translated(path):
        raw = _open_remote(path) if scheme(path) else Path(path).open("rb")
    try:
        stream = io.BufferedReader(_Guarded(raw, path), _BUFFER)
        before = None if scheme(path) else os.fstat(raw.fileno())
        yield inflate(stream, path) if decompress and path.endswith(".gz") else cast(BinaryIO, stream)
        if before and _moment(before) != _moment(os.fstat(raw.fileno())):
            raise DataBlocked(f"{path}: the file was changed while it was read. Next: run again when it is complete")
    finally:
        raw.close()


def create(path: str) -> BinaryIO:
    """Opens a file for writing; its folder is there, or is none, in a bucket.

    Raises:
      UsageError: it can't be written.
    """
    with translated(path):
        return cast(BinaryIO, _remote(path).open(object_key(path), "wb") if scheme(path) else Path(path).open("wb"))


def list_files(path: str) -> list[str]:
    """The files that a path names, sorted.

    Args:
      path: a file, a folder (the files in it, not those of its folders), or a pattern with *, ? or [.

    Raises:
      UsageError: there is none, or it can't be listed.
    """
    with translated(path):
        found = _list_remote(path) if scheme(path) else _list_local(path)
    if found:
        return sorted(found)
    if any(character in path for character in _WILD):
        raise UsageError(f"data: no file matches {path}. Next: check the pattern; ** and folders are not followed")
    if exists(path):
        raise UsageError(f"data: the folder {path} holds no file. Expected at least one.")
    raise NotFound(_missing(path))


def exists(path: str) -> bool:
    """Whether there is a file or folder of this name.

    Raises:
      UsageError: the bucket can't be reached.
    """
    with translated(path):
        return bool(_remote(path).exists(object_key(path))) if scheme(path) else Path(path).exists()


def stat(path: str) -> Stat:
    """Size and version of a file.

    Raises:
      UsageError: there is no such file, or it can't be reached.
    """
    with translated(path):
        if not scheme(path):
            return Stat(*_moment(Path(path).stat()))
        info = _remote(path).info(object_key(path))
        version = info.get("ETag") or info.get("generation") or info.get("etag") or info.get("LastModified") or ""
        return Stat(int(info.get("size") or 0), str(version).strip('"'))


def scheme(path: str) -> str:
    """`s3` or `gs` of a path in a bucket, else nothing.

    Raises:
      UsageError: another scheme.
    """
    name, separator, _ = path.partition("://")
    if not separator:
        return ""
    if name not in EXTRAS:
        raise UsageError(f"data: {path}: {name}:// can't be read. Expected a local path, s3:// or gs://.")
    return name


def filesystem(name: str) -> Any:
    """fsspec's file system for a scheme, `s3` or `gs`; listings are not cached.

    Raises:
      UsageError: the package that it needs is not installed.
    """
    module, extra = EXTRAS[name]
    try:
        if name == "s3":
            from s3fs.core import S3FileSystem

            return S3FileSystem(
                use_listings_cache=False, config_kwargs={"connect_timeout": 10, "retries": {"max_attempts": _RETRIES}}
            )
        # Not gcsfs.GCSFileSystem, which asks for each bucket's kind over gRPC and waits a minute where that fails.
        from gcsfs.core import GCSFileSystem

        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs the tracebacks of what is raised below
        return GCSFileSystem(
            use_listings_cache=False, token="anon" if os.environ.get("STORAGE_EMULATOR_HOST") else None
        )
    except ImportError as error:
        raise UsageError(f"{name}:// needs {module}. Next: pip install 'millrace[{extra}]'") from error


@contextmanager
def translated(path: str, error_type: type[MillraceError] = UsageError) -> Iterator[None]:
    """Turns what a file system raises into one clear error.

    The text of the original is left out where it could hold a key or a signed address; it is the cause of the error
    raised.

    Args:
      path: the file, in messages.
      error_type: what is raised for anything but a missing file.
    """
    try:
        yield
    except MillraceError:
        raise
    except FileNotFoundError as error:
        raise NotFound(_missing(path)) from error
    except IsADirectoryError as error:
        raise UsageError(f"data: {path} is a folder. Expected a file.") from error
    except PermissionError as error:
        if scheme(path):
            raise error_type(f"data: {path} can't be read: {faults.reason(error)}") from error
        raise error_type(f"data: {path} can't be read by this user. Next: chmod +r {path}") from error
    except Exception as error:
        raise error_type(f"data: {path} can't be read: {faults.reason(error)}") from error


def _missing(path: str) -> str:
    if scheme(path):
        return f"data: {path} does not exist. Next: check the bucket and the key"
    parent = Path(path).parent
    readable = parent.is_dir() and os.access(parent, os.R_OK)
    near = hint(Path(path).name, [p.name for p in parent.iterdir()][:50]) if readable else ""
    return f"data: {path} does not exist. Expected a file, a folder or a pattern.{near}"


def _remote(path: str) -> Any:
    return filesystem(scheme(path))


def _open_remote(path: str) -> Any:
    files, key = _remote(path), object_key(path)
    if files.info(key)["type"] == "directory":
        raise IsADirectoryError(path)
    return files.open(key, "rb")


def object_key(path: str) -> str:
    """Bucket and key of a path in a bucket: `bucket/folder/file`."""
    return path.partition("://")[2]


def _list_local(path: str) -> list[str]:
    if Path(path).is_dir():
        return [entry.path for entry in os.scandir(path) if entry.is_file()]
    if Path(path).exists():
        return [path]
    if any(character in path for character in _WILD):
        return [name for name in glob.glob(path) if Path(name).is_file()]
    return []


def _list_remote(path: str) -> list[str]:
    files, key = _remote(path), object_key(path).rstrip("/")
    if any(character in key for character in _WILD):
        found = [info for info in files.glob(key, detail=True).values() if info["type"] == "file"]
    elif files.isfile(key):
        return [path]
    elif files.exists(key):
        found = [info for info in files.ls(key, detail=True) if info["type"] == "file"]
    else:
        return []
    # An empty object named like the folder marks it in S3's and GCS's consoles.
    return [f"{scheme(path)}://{info['name']}" for info in found if info["name"].rstrip("/") != key]


def _moment(state: os.stat_result) -> tuple[int, str]:
    return state.st_size, str(state.st_mtime_ns)


class _Guarded(io.RawIOBase):
    """A file whose faults while it is read are DataBlocked with its name."""

    def __init__(self, raw: Any, path: str) -> None:
        self._raw = raw
        self._path = path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return int(self._guard(lambda: self._raw.readinto(buffer)))

    def readall(self) -> bytes:
        return bytes(self._guard(self._raw.read))

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._guard(lambda: self._raw.seek(offset, whence)))

    def tell(self) -> int:
        return int(self._raw.tell())

    def _guard(self, act: Callable[[], Any]) -> Any:
        with translated(self._path, DataBlocked):
            return act()
