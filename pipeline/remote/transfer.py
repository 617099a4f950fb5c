"""Whole trees and single objects between this machine and a bucket, several at a time.

Each address is `s3://bucket/key`, `gs://bucket/key`, or a local absolute path: then all is copied, or linked where the
disk allows, so that what uses a bucket can be tried without one. Transient errors are tried again (`retries.py`); what
is left is one clear error with the address in it and no credentials.

    transfer.upload(folder, "s3://bucket/runs/7", last=("run.json",))   # who sees run.json sees all of it
    transfer.download("s3://bucket/runs/7", folder)                     # what is there already is not brought again
"""

import contextlib
import os
import posixpath
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pipeline.errors import MillraceError
from pipeline.ingest import faults, files
from pipeline.remote import stores
from pipeline.remote.retries import Retries
from pipeline.remote.stores import Entry, Store

_AT_A_TIME = 8
_COMPARED = 8 << 20
_PASSES = 3
_STALE = 3600.0
_RECENT = 5.0
_ROOM = 64 << 20
_RETRIES = Retries()

_Item = TypeVar("_Item")


def join(url: str, *parts: str) -> str:
    """An address below another: `join("s3://bucket/root/", "a", "b")` is `s3://bucket/root/a/b`."""
    cleaned = [part.strip("/") for part in parts]
    return posixpath.join(url.rstrip("/") or "/", *filter(None, cleaned))


def download(url: str, to: Path, retries: Retries = _RETRIES) -> int:
    """Brings a tree, or one file.

    A file that is there is kept if it has the same size and, up to 8 MiB, the same time or the same content as far as
    the store tells it. Each file appears under its name when it is complete, with the time of the store's.

    Args:
      url: of the folder or file.
      to: the folder, or the file, that is to be like it. Other files in it stay.
      retries: how often a request is tried.

    Returns:
      Bytes brought.

    Raises:
      files.NotFound: there is nothing at the address.
      MillraceError: it can't be read, or there is no room for it here.
    """
    with _told(url, "read", to):
        store = stores.of(url)
        found = _whole(retries.call(lambda _: store.tree()))
        if not found and retries.call(lambda _: store.made()):
            to.mkdir(parents=True, exist_ok=True)
            return 0
        if not found:
            raise files.NotFound(f"{url} does not exist. Next: check the bucket and the key")
        wanted = {name: entry for name, entry in found.items() if not _same(to / name, entry)}
        _sweep(to)
        total = sum(entry.size for entry in wanted.values())
        _check_room(url, to, total)
        _each(wanted.items(), lambda item: _bring(store, item[0], item[1], to / item[0], retries))
    return total


def upload(path: Path, url: str, last: Sequence[str] = (), retries: Retries = _RETRIES) -> int:
    """Sends a tree, or one file; what is there already with the same content, as far as the store tells, is not sent.

    Args:
      path: the folder or file.
      url: the address that is to be like it. Nothing that is there is removed.
      last: base names that are sent after all others, in this order, each when what came before is there.
      retries: how often a request is tried.

    Returns:
      Bytes sent.

    Raises:
      files.NotFound: there is no such folder or file here.
      MillraceError: it can't be written, or is not there in its size afterwards.
    """
    with _told(url, "written", path):
        local = stores.local_tree(path)
        if not local and not path.is_dir():
            raise files.NotFound(f"{path} does not exist. Expected a folder or file to send to {url}")
        groups = [[name for name in local if _base(path, name) not in last]]
        groups += [[name for name in local if _base(path, name) == base] for base in last]
        store = stores.of(url)
        if not local:
            retries.call(lambda _: store.make())
            return 0
        present = retries.call(lambda _: store.tree())
        return sum(_send(store, url, local, names, present, retries) for names in groups if names)


def read(url: str, retries: Retries = _RETRIES) -> bytes | None:
    """The content of an object or file; None where there is none.

    Raises:
      MillraceError: it can't be read, or the bucket does not exist.
    """
    with _told(url, "read"):
        return retries.call(lambda _: stores.of(url).get())


def write(url: str, data: bytes, create: bool = False, retries: Retries = _RETRIES) -> bool:
    """Writes an object or file as a whole.

    Args:
      url: its address.
      data: its content.
      create: only where there is none yet; of several that try at the same time, one does.
      retries: how often a request is tried.

    Returns:
      Whether it was written.

    Raises:
      MillraceError: it can't be written.
    """
    with _told(url, "written"):
        store = stores.of(url)

        def act(attempt: int) -> bool:
            written = store.put(data, create)
            # The answer to an earlier try may have been lost after the object was written.
            return written or (attempt > 0 and store.get() == data)

        return retries.call(act)


def names(url: str, retries: Retries = _RETRIES) -> list[str]:
    """The files and folders directly in a folder, sorted; none where there is no such folder.

    Raises:
      MillraceError: it can't be listed, or the bucket does not exist.
    """
    with _told(url, "read"):
        return retries.call(lambda _: stores.of(url).children())


def remove(url: str, first: Sequence[str] = (), retries: Retries = _RETRIES) -> None:
    """Removes a tree, or one file; what is not there is no error.

    Args:
      url: its address.
      first: base names that go before all others, in this order: those that say that the rest is complete.
      retries: how often a request is tried.

    Raises:
      MillraceError: it can't be removed.
    """
    with _told(url, "removed"):
        store = stores.of(url)
        found = list(retries.call(lambda _: store.tree()))
        groups = [[name for name in found if posixpath.basename(name) == base] for base in first]
        groups.append([name for name in found if posixpath.basename(name) not in first])
        for group in groups:
            _each(group, lambda name: retries.call(lambda _: store.drop(name)))
        retries.call(lambda _: store.sweep())


def _bring(store: Store, name: str, entry: Entry, to: Path, retries: Retries) -> None:
    """One file, to a name of its own first."""
    to.parent.mkdir(parents=True, exist_ok=True)

    def act(_: int) -> None:
        part = stores.part_of(to)
        try:
            store.fetch(name, part, entry.size)
            if part.stat().st_size != entry.size:
                raise _Changed(f"{part.stat().st_size} bytes in place of {entry.size}")
            if 0 < entry.changed < time.time() - _RECENT:  # S3 tells seconds: one may hide a second change
                os.utime(part, (entry.changed, entry.changed))
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    retries.call(act)


def _send(
    store: Store, url: str, local: dict[str, Path], names: list[str], present: dict[str, Entry], retries: Retries
) -> int:
    """Sends files, and again those that changed meanwhile; returns the bytes sent."""
    sent = 0
    sizes = {name: local[name].stat().st_size for name in names}
    missing = [name for name in names if not _sent(local[name], sizes[name], present.get(name))]
    for _ in range(_PASSES):
        if not missing:
            return sent
        _each(missing, lambda name: retries.call(lambda _: store.send(local[name], name, sizes[name])))
        sent += sum(sizes[name] for name in missing)
        received = retries.call(lambda _: store.tree())
        sizes.update({name: local[name].stat().st_size for name in missing})
        missing = [name for name in missing if name not in received or received[name].size != sizes[name]]
    if missing:
        name = missing[0]
        size = received[name].size if name in received else "no such file"
        raise MillraceError(
            f"{join(url, name)} is not there as it was sent. Expected {sizes[name]} bytes. Received: {size}. "
            "Next: see that nothing writes to it, and repeat it"
        )
    return sent


def _sent(path: Path, size: int, there: Entry | None) -> bool:
    """Whether the store has this very content."""
    if there is None or there.size != size or size > _COMPARED:
        return False
    return there.md5() == stores.md5_of(path)


def _same(path: Path, entry: Entry) -> bool:
    """Whether a local file is what the store has, as far as is worth finding out."""
    if not path.is_file() or path.stat().st_size != entry.size:
        return False
    if entry.size > _COMPARED or abs(path.stat().st_mtime - entry.changed) < 0.001:
        return True
    return entry.md5() in (None, stores.md5_of(path))


def _whole(found: dict[str, Entry]) -> dict[str, Entry]:
    """A bucket can have a file and a folder of the same name, which a disk can't: the folder is what is meant."""
    return {name: entry for name, entry in found.items() if name} if len(found) > 1 else found


def _each(items: Iterable[_Item], act: Callable[[_Item], object]) -> None:
    """Does something for each, several at a time; the first error ends it."""
    todo = list(items)
    if len(todo) == 1:
        act(todo[0])
        return
    with ThreadPoolExecutor(min(_AT_A_TIME, max(len(todo), 1)), "millrace-transfer") as pool:
        try:
            for done in [pool.submit(act, item) for item in todo]:
                done.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _check_room(url: str, to: Path, needed: int) -> None:
    """Raises MillraceError where a disk has less room than is needed."""
    there = next(folder for folder in (to, *to.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed and needed + _ROOM > free:
        raise MillraceError(
            f"{url} needs {needed / 1e9:.2f} GB, and {there} has room for {free / 1e9:.2f} GB. "
            "Next: make room there, or set MILLRACE_CACHE to a folder on another disk"
        )


def _sweep(to: Path) -> None:
    """Removes what downloads that were killed have left half; not what is being written now."""
    for part in to.rglob(f".*{stores.PART}") if to.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _STALE:
                part.unlink()


def _base(path: Path, name: str) -> str:
    return posixpath.basename(name) or path.name


class _Changed(ConnectionError):
    """A file that came in another size than it was listed with."""


@contextlib.contextmanager
def _told(url: str, done: str, local: Path | None = None) -> Iterator[None]:
    """Turns what a store raises into one clear error."""
    try:
        yield
    except MillraceError:
        raise
    except _Changed as error:
        raise MillraceError(f"{url} changes while it is read ({error}). Next: repeat it when it is complete") from error
    except FileNotFoundError as error:
        if files.scheme(url) and faults.code_of(error) == "NoSuchBucket":
            raise files.NotFound(f"{url} can't be {done}: {faults.reason(error)}") from error
        missing = "check the bucket and the key" if files.scheme(url) else "repeat it"
        raise files.NotFound(
            f"{url} can't be {done}: it, or what it is made of, does not exist. Next: {missing}"
        ) from error
    except Exception as error:
        if faults.full(error):
            at = local if done == "read" and local else url
            raise MillraceError(
                f"{at}: there is no room left on its disk. Next: make room, or set MILLRACE_CACHE to another disk"
            ) from error
        raise MillraceError(f"{url} can't be {done}: {faults.reason(error)}") from error
