"""A version in a bucket, through fsspec: all files, `saved_model.pb` last, then read back.

    <url>/<task>/<version>/…            what a model server or KServe reads
    <url>/<task>/history.jsonl          a copy of the history
    <url>/withdrawn/<task>/<version>/…  rolled back

A bucket has no rename. A server that looks for `saved_model.pb` sees a version once all else is there, and no longer
sees it before anything else goes.
"""

import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.errors import MillraceError
from pipeline.ingest import files
from pipeline.push.settings import ObjectStore
from pipeline.push.versions import SAVED_MODEL


def serve(target: ObjectStore, task: str, version: int, folder: Path, keep: int | None) -> bool:
    """Makes a version the highest in the bucket, and keeps the newest; what is there already is not sent again.

    Args:
      target: the bucket.
      task: name of the model.
      version: to be served.
      folder: its files.
      keep: how many versions stay; None removes none.

    Returns:
      Whether anything had to be done.

    Raises:
      MillraceError: the bucket can't be reached or written, or holds something else afterwards.
    """
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    with files.translated(target.url, MillraceError):
        store = _Store(target, task)
        done = store.upload(version, folder, sizes)
        for later in store.versions(above=version):
            store.withdraw(later)
            done = True
        for old in store.versions()[:-keep] if keep else ():
            store.remove(f"{store.base}/{old}")
            done = True
    return done


def put_history(target: ObjectStore, task: str, history: Path) -> None:
    """Copies the history beside the versions.

    Raises:
      MillraceError: the bucket can't be written.
    """
    with files.translated(target.url, MillraceError):
        store = _Store(target, task)
        store.fs.pipe_file(f"{store.base}/{history.name}", history.read_bytes())


class _Store:
    """A task's part of a bucket."""

    def __init__(self, target: ObjectStore, task: str) -> None:
        self.fs: Any = files.filesystem(files.scheme(target.url))
        self.base = f"{files.object_key(target.url)}/{task}"
        self._url = target.url
        self._aside = f"{files.object_key(target.url)}/withdrawn/{task}"

    def upload(self, version: int, folder: Path, sizes: dict[str, int]) -> bool:
        """Sends the files that are not there in their size; returns whether any was not."""
        prefix = f"{self.base}/{version}"
        present = self._sizes(prefix)
        missing = [name for name, size in sizes.items() if present.get(name) != size]
        if missing and SAVED_MODEL in present:
            self.fs.rm_file(f"{prefix}/{SAVED_MODEL}")
            missing = sorted({*missing, SAVED_MODEL})
        for name in sorted(missing, key=lambda name: name == SAVED_MODEL):
            self.fs.put_file(str(folder / name), f"{prefix}/{name}")
        received = self._sizes(prefix)
        wrong = [name for name, size in sizes.items() if received.get(name) != size]
        if wrong:
            raise MillraceError(
                f"{self._url} holds version {version} otherwise than it was sent. Expected {wrong[0]} of "
                f"{sizes[wrong[0]]} bytes. Received: {received.get(wrong[0], 'no such file')}. Next: push again"
            )
        if missing:
            self.remove(f"{self._aside}/{version}")  # it is back
        return bool(missing)

    def versions(self, above: int = 0) -> list[int]:
        """The versions above a number, ascending."""
        names = {name.split("/")[0] for name in self._sizes(self.base)}
        return sorted(int(name) for name in names if name.isascii() and name.isdigit() and int(name) > above)

    def withdraw(self, version: int) -> None:
        """Moves a version away: copied, then removed."""
        source = f"{self.base}/{version}"
        for name in self._sizes(source):
            self.fs.copy(f"{source}/{name}", f"{self._aside}/{version}/{name}")
        self.remove(source)

    def remove(self, prefix: str) -> None:
        """Removes all below a name, `saved_model.pb` first."""
        for name in sorted(self._sizes(prefix), key=lambda name: name != SAVED_MODEL):
            self.fs.rm_file(f"{prefix}/{name}")

    def _sizes(self, prefix: str) -> dict[str, int]:
        """Name below a prefix -> bytes; nothing where there is nothing."""
        try:
            found: Iterable[dict[str, Any]] = self.fs.find(prefix, detail=True).values()
        except FileNotFoundError:
            return {}
        files_of = [info for info in found if info["type"] == "file" and info["name"] != prefix]
        return {posixpath.relpath(info["name"], prefix): int(info["size"]) for info in files_of}
