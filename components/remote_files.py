"""Buckets for TFX: its drivers list, match and stat their inputs through `tfx.dsl.io.fileio`, whose plugins are by scheme.

TFX's own plugin for s3:// and gs:// is TensorFlow's, which has no S3 and goes past STORAGE_EMULATOR_HOST. `register`
puts fsspec in its place, for these two schemes only. Reading and writing go the same way.
"""

import io
import posixpath
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tfx.dsl.io import fileio, filesystem, filesystem_registry
from tfx.dsl.io.filesystem import PathType

from pipeline.ingest import files

_PRIORITY = -1
"""Lower comes first; TensorFlow's plugin has 10, and the one for local files 20."""


def register() -> None:
    """Makes TFX reach s3:// and gs:// through fsspec. A second call changes nothing."""
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(RemoteFilesystem, priority=_PRIORITY)


class RemoteFilesystem(filesystem.Filesystem):
    """TFX's interface on fsspec; folders are what the keys' slashes say."""

    SUPPORTED_SCHEMES = ["s3://", "gs://"]  # noqa: RUF012 - TFX's interface

    @staticmethod
    def open(name: PathType, mode: str = "r") -> Any:
        with _of(name) as (fs, key):
            stream = fs.open(key, mode if "b" in mode else mode + "b")
        return stream if "b" in mode else io.TextIOWrapper(stream, encoding="utf-8")

    @staticmethod
    def copy(src: PathType, dst: PathType, overwrite: bool = False) -> None:
        _refuse_present(dst, overwrite)
        with _of(src) as (fs, key):
            fs.copy(key, files.object_key(_text(dst)))

    @staticmethod
    def exists(path: PathType) -> bool:
        with _of(path) as (fs, key):
            return bool(fs.exists(key))

    @staticmethod
    def glob(pattern: PathType) -> list[PathType]:
        with _of(pattern) as (fs, key):
            return [_with_scheme(pattern, found) for found in sorted(fs.glob(key))]

    @staticmethod
    def isdir(path: PathType) -> bool:
        with _of(path) as (fs, key):
            return bool(fs.isdir(key))

    @staticmethod
    def listdir(path: PathType) -> list[PathType]:
        with _of(path) as (fs, key):
            names = [posixpath.basename(found.rstrip("/")) for found in fs.ls(key, detail=False)]
            own = posixpath.basename(key.rstrip("/"))
            return [name for name in sorted(names) if name and name != own]

    @staticmethod
    def makedirs(path: PathType) -> None:
        """Nothing: a bucket has no folders to be made."""

    @staticmethod
    def mkdir(path: PathType) -> None:
        """Nothing: a bucket has no folders to be made."""

    @staticmethod
    def remove(path: PathType) -> None:
        with _of(path) as (fs, key):
            fs.info(key)  # S3 removes what is not there without a word
            fs.rm_file(key)

    @staticmethod
    def rename(src: PathType, dst: PathType, overwrite: bool = False) -> None:
        _refuse_present(dst, overwrite)
        with _of(src) as (fs, key):
            folder = fs.isdir(key)
            fs.copy(key, files.object_key(_text(dst)), recursive=folder)
            fs.rm(key, recursive=folder)

    @staticmethod
    def rmtree(path: PathType) -> None:
        with _of(path) as (fs, key):
            fs.rm(key, recursive=True)

    @staticmethod
    def stat(path: PathType) -> Any:
        with _of(path) as (fs, key):
            return _Stat(fs.info(key))

    @staticmethod
    def walk(
        top: PathType, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[PathType, list[PathType], list[PathType]]]:
        with _of(top) as (fs, key):
            found = [
                (_with_scheme(top, folder), sorted(folders), sorted(names)) for folder, folders, names in fs.walk(key)
            ]
        yield from found if topdown else reversed(found)


class _Stat:
    """What TFX reads of TensorFlow's FileStatistics.

    Attributes:
      length: in bytes.
      mtime_nsec: of the last change.
    """

    def __init__(self, info: dict[str, Any]) -> None:
        changed = info.get("LastModified") or info.get("mtime")
        self.length = int(info.get("size") or 0)
        self.mtime_nsec = int(changed.timestamp() * 1e9) if isinstance(changed, datetime) else 0
        self.st_size = self.length
        self.st_mtime = self.mtime_nsec / 1e9
        self.is_directory = info.get("type") == "directory"


@contextmanager
def _of(path: PathType) -> Iterator[tuple[Any, str]]:
    """fsspec's file system and the key in it; what is not there is TFX's NotFoundError, the rest a clear error."""
    name = _text(path)
    with files.translated(name):
        fs = files.filesystem(files.scheme(name))
    try:
        with files.translated(name):
            yield fs, files.object_key(name)
    except files.NotFound as error:
        raise fileio.NotFoundError(str(error)) from error


def _refuse_present(path: PathType, overwrite: bool) -> None:
    if not overwrite and RemoteFilesystem.exists(path):
        raise OSError(f"{_text(path)} is already there, and is not to be replaced.")


def _with_scheme(like: PathType, key: str) -> str:
    return f"{files.scheme(_text(like))}://{key}"


def _text(path: PathType) -> str:
    return path.decode() if isinstance(path, bytes) else path
