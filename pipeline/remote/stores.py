"""What a bucket and a folder can do, by one interface: `of(url)` gives the one that stands at an address.

Each request is made once; trying again is for who calls (`retries.py`). The libraries' own retries wait by their own
clocks, and on top of each other: ours takes their place, but for large files, whose parts are better tried singly.
"""

import base64
import contextlib
import functools
import hashlib
import logging
import os
import posixpath
import secrets
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pipeline.ingest import faults, files

PART = ".part"
"""Ends the name of a file that is not complete; it begins with a dot."""

EMPTY = ".folder"
"""An object of this name says that its folder is there, though there is nothing in it."""

_LINK_FROM = 1 << 20
_LARGE = 64 << 20
_CHUNK = 16 << 20


class Entry(NamedTuple):
    """A file or object.

    Attributes:
      size: in bytes.
      md5: gives that of its content, in hex, where the store knows it or can find out, else None.
      changed: when it last was, in seconds since 1970; 0.0 where that tells nothing.
    """

    size: int
    md5: Callable[[], str | None]
    changed: float = 0.0


class Store(Protocol):
    """The files at an address and below. Names are relative to it; "" is the address itself."""

    def tree(self) -> dict[str, Entry]:
        """All files: name -> entry. Empty where there is nothing."""

    def children(self) -> list[str]:
        """Names of the files and folders directly below."""

    def get(self) -> bytes | None:
        """The content; None where there is no such file."""

    def put(self, data: bytes, create: bool) -> bool:
        """Writes the content at once; with `create` only where there is nothing. Returns whether it did."""

    def fetch(self, name: str, to: Path, size: int) -> None:
        """Writes a file's content to a local path that is not there yet."""

    def send(self, path: Path, name: str, size: int) -> None:
        """Takes a local file's content."""

    def drop(self, name: str) -> None:
        """Removes a file; one that is not there is no error."""

    def make(self) -> None:
        """Makes an empty folder."""

    def made(self) -> bool:
        """Whether there is a folder without files."""

    def sweep(self) -> None:
        """Removes what is left when all files are gone."""


def of(url: str) -> Store:
    """The store at an address: `s3://bucket/key`, `gs://bucket/key` or a local path."""
    return Bucket(url) if files.scheme(url) else Folder(Path(url))


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def part_of(path: Path) -> Path:
    """A name beside a file for what is not complete yet."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}{PART}")


def local_tree(folder: Path) -> dict[str, Path]:
    """The files of a folder and below, or the one file, by name; not those that are incomplete."""
    if not folder.is_dir():
        return {"": folder} if folder.exists() else {}
    found = [path for path in folder.rglob("*") if not path.is_dir() and not _passed_over(path.name)]
    return {path.relative_to(folder).as_posix(): path for path in sorted(found)}


def link_or_copy(source: Path, to: Path, size: int) -> None:
    """A second name for a large file where the disk allows one, else a copy.

    Small ones are copied: some are appended to, which a second name would show.
    """
    if size >= _LINK_FROM:
        with contextlib.suppress(OSError):
            os.link(source, to)
            return
    shutil.copyfile(source, to)


class Folder:
    """A local folder or file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tree(self) -> dict[str, Entry]:
        return {
            name: Entry(path.stat().st_size, functools.partial(md5_of, path))
            for name, path in local_tree(self._path).items()
        }

    def children(self) -> list[str]:
        if not self._path.is_dir():
            return []
        return sorted(path.name for path in self._path.iterdir() if not _passed_over(path.name))

    def get(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def put(self, data: bytes, create: bool) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(self._path)
        try:
            part.write_bytes(data)
            if not create:
                part.replace(self._path)
                return True
            with contextlib.suppress(FileExistsError):
                os.link(part, self._path)
                return True
            return False
        finally:
            part.unlink(missing_ok=True)

    def fetch(self, name: str, to: Path, size: int) -> None:
        link_or_copy(self._path / name, to, size)

    def send(self, path: Path, name: str, size: int) -> None:
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(target)
        try:
            link_or_copy(path, part, size)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (self._path / name).unlink()

    def make(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)

    def made(self) -> bool:
        return self._path.is_dir()

    def sweep(self) -> None:
        if self._path.is_dir():
            shutil.rmtree(self._path)


class Bucket:
    """A bucket on S3 or Google Cloud Storage, through fsspec; to be made in the process that uses it."""

    def __init__(self, url: str) -> None:
        self._scheme = files.scheme(url)
        self._key = files.object_key(url).rstrip("/")
        self._once = _once(self._scheme)
        self._patient = files.filesystem(self._scheme)

    def tree(self) -> dict[str, Entry]:
        try:
            found: dict[str, dict[str, Any]] = self._once.find(self._key, detail=True)
        except FileNotFoundError as error:
            if _no_bucket(error):
                raise
            return {}
        # An empty object named like the folder marks it in S3's and GCS's consoles.
        return {
            "" if name == self._key else posixpath.relpath(name, self._key): _entry(info)
            for name, info in found.items()
            if info["type"] == "file" and not name.endswith("/") and not _passed_over(posixpath.basename(name))
        }

    def children(self) -> list[str]:
        try:
            found = self._once.ls(self._key, detail=False)
        except FileNotFoundError as error:
            if _no_bucket(error):
                raise
            return []
        inside = f"{self._key}/"
        names = {str(name).rstrip("/") for name in found}
        below = [posixpath.basename(name) for name in names if name.startswith(inside)]
        return sorted(name for name in below if not _passed_over(name))

    def get(self) -> bytes | None:
        options = {"max_concurrency": 1} if self._scheme == "s3" else {}
        try:
            return bytes(self._once.cat_file(self._key, **options))
        except FileNotFoundError as error:
            if _no_bucket(error):
                raise
            return None

    def put(self, data: bytes, create: bool) -> bool:
        if not create:
            self._once.pipe_file(self._key, data)
            return True
        if self.get() is not None:  # some servers do not know the condition below
            return False
        try:
            self._once.pipe_file(self._key, data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if not _exists_already(error):
                raise
            return False
        return True

    def fetch(self, name: str, to: Path, size: int) -> None:
        options: dict[str, Any] = {"max_concurrency": 4} if self._scheme == "s3" else {"concurrency": 1}
        self._fs(size).get_file(self._at(name), str(to), **options)

    def send(self, path: Path, name: str, size: int) -> None:
        options: dict[str, Any] = {"max_concurrency": 2} if self._scheme == "s3" else {}
        chunk = max(_CHUNK, -(-size // 5000 // (1 << 20)) * (1 << 20))  # S3 takes 10,000 parts at the most
        self._fs(size).put_file(str(path), self._at(name), chunksize=chunk, **options)

    def drop(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._once.rm_file(self._at(name))

    def make(self) -> None:
        self._once.pipe_file(self._at(EMPTY), b"")

    def made(self) -> bool:
        return bool(self._once.find(self._key))

    def sweep(self) -> None:
        self.drop(EMPTY)

    def _fs(self, size: int) -> Any:
        return self._patient if size > _LARGE else self._once

    def _at(self, name: str) -> str:
        return f"{self._key}/{name}" if name else self._key


def _once(scheme: str) -> Any:
    """A file system that makes each request once."""
    files.filesystem(scheme)  # says what is missing where the package is not installed
    if scheme == "s3":
        from s3fs.core import S3FileSystem

        options = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 0}}
        amazon = S3FileSystem(use_listings_cache=False, config_kwargs=options)
        amazon.retries = 1
        return amazon
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    token = "anon" if os.environ.get("STORAGE_EMULATOR_HOST") else None
    return _google()(use_listings_cache=False, token=token, timeout=60)


@functools.cache
def _google() -> Any:
    """gcsfs's class without the retries that it wraps its requests in."""
    from gcsfs.core import GCSFileSystem

    once = {name: getattr(GCSFileSystem, name).__wrapped__ for name in ("_request", "_get_file_request")}
    return type("OnceGCSFileSystem", (GCSFileSystem,), once)


def _no_bucket(error: FileNotFoundError) -> bool:
    return faults.code_of(error) == "NoSuchBucket"


def _exists_already(error: OSError) -> bool:
    """Whether a condition "only where there is nothing" was not met, by S3's code."""
    return faults.code_of(error) in ("PreconditionFailed", "412")


def _entry(info: dict[str, Any]) -> Entry:
    changed = info.get("LastModified") or info.get("mtime")
    stamp = changed.timestamp() if isinstance(changed, datetime) else 0.0
    return Entry(int(info["size"] or 0), functools.partial(_md5, info), stamp)


def _md5(info: dict[str, Any]) -> str | None:
    """The content's MD5 in a listing: GCS's md5Hash, S3's ETag where the object came in one part."""
    if text := info.get("md5Hash"):
        return base64.b64decode(text).hex()
    tag = str(info.get("ETag", "")).strip('"')
    return tag if len(tag) == 32 and all(c in "0123456789abcdef" for c in tag) else None


def _passed_over(name: str) -> bool:
    """Whether a file is none of those that a tree is about."""
    return name == EMPTY or (name.startswith(".") and name.endswith(PART))
