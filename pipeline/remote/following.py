"""A folder that grows, and its copy in a bucket that follows it: checkpoints and logs of a training that goes on.

    with following.uploads(Path("scratch/taxi_tips/training"), "s3://bucket/runs/taxi_tips/training"):
        train()

A file that is new is sent within seconds, one that has changed with the others every 30 seconds, all of them once more at
the end. Files go in the order in which they were written, so that what says that the rest is complete, and was written
last, also arrives last. What was removed from the folder is removed there, the newest first; what this folder never held
stays. A bucket that can't be reached is logged and tried again: it never ends what the folder is for.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from pipeline.errors import MillraceError
from pipeline.ingest import files
from pipeline.remote import transfer
from pipeline.remote.retries import Retries

_LOG = logging.getLogger(__name__)
_LOOK_EVERY = 2.0
_RETRIES = Retries(tries=3, seconds=20.0)
_State = tuple[int, int]
_followed: dict[Path, "Following"] = {}


class Following:
    """Sends what changes in a folder; as a context, from a thread of its own."""

    def __init__(
        self,
        folder: Path,
        url: str,
        every: float = 30.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Nothing is read or sent yet.

        Args:
          folder: the one that grows; it need not be there yet. Names that begin with a dot are passed over.
          url: the folder that follows it.
          every: seconds between two times that changed files are sent.
          clock: seconds from any point.
          wait: waits so many seconds, or returns True where it is over.
        """
        self._folder, self._url, self._every, self._clock = folder, url, every, clock
        self._over = threading.Event()
        self._wait = wait or self._over.wait
        self._sent: dict[str, _State] = {}
        self._due = clock() + every
        self._thread = threading.Thread(target=self._follow, name="millrace-following", daemon=True)

    def __enter__(self) -> "Following":
        # What is there was brought from the bucket, or is sent with the first changes.
        self._sent = {name: (0, 0) for name in self._present()}
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._attempt()

    def look(self) -> None:
        """Sends what is to be sent now: everything if a file is new or gone, or if it is time.

        Raises:
          MillraceError: the bucket can't be reached; what is left is sent at the next look.
        """
        present = self._present()
        if present.keys() != self._sent.keys() or self._clock() >= self._due:
            self.send()

    def send(self) -> None:
        """Sends all that has changed, and removes what is gone.

        Raises:
          MillraceError: see `look`.
        """
        self._due = self._clock() + self._every
        present = self._present()
        for name in sorted(present, key=lambda name: (present[name], name)):
            if self._sent.get(name) != present[name]:
                # A file that is gone by now is none any more.
                with contextlib.suppress(files.NotFound):
                    transfer.upload(self._folder / name, transfer.join(self._url, name), retries=_RETRIES)
                    self._sent[name] = present[name]
        gone = [name for name in self._sent if name not in present]
        for name in sorted(gone, key=lambda name: (self._sent[name], name), reverse=True):
            transfer.remove(transfer.join(self._url, name), retries=_RETRIES)
            del self._sent[name]

    def _present(self) -> dict[str, _State]:
        """Name -> time of the last change and size, of the files that are there."""
        found = {}
        for path in self._folder.rglob("*"):
            name = path.relative_to(self._folder)
            if any(part.startswith(".") for part in name.parts):
                continue
            with contextlib.suppress(OSError):
                if path.is_file():
                    state = path.stat()
                    found[name.as_posix()] = (state.st_mtime_ns, state.st_size)
        return found

    def _follow(self) -> None:
        while not self._wait(min(_LOOK_EVERY, self._every)):
            self._attempt(self.look)

    def _attempt(self, act: Callable[[], None] | None = None) -> None:
        try:
            (act or self.send)()
        except Exception as error:
            reason = str(error) if isinstance(error, MillraceError) else f"{type(error).__name__}: {error}"
            _LOG.warning("%s does not follow %s: %s. It is tried again", self._url, self._folder, reason)


@contextlib.contextmanager
def uploads(local: Path, url: str, every: float = 30.0) -> Iterator[Following]:
    """Has a folder in a bucket follow a local one as long as the context lasts; see `Following`.

    A folder that this process has followed already is not followed twice.
    """
    if local in _followed:
        yield _followed[local]
        return
    with Following(local, url, every) as following:
        _followed[local] = following
        try:
            yield following
        finally:
            del _followed[local]
