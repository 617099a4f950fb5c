"""Makes the parts of an iterator in a thread, ahead of the one who takes them."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

_AHEAD = 2

Part = TypeVar("Part")


class _End:
    """Marks the end of a queue, with the error that ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(parts: Iterator[Part]) -> Iterator[Part]:
    """The same parts, made by a thread that is at most two ahead."""
    ready: queue.Queue[Part | _End] = queue.Queue(_AHEAD)
    stopped = threading.Event()

    def produce() -> None:
        end = _End()
        try:
            for part in parts:
                if stopped.is_set():
                    return
                ready.put(part)
        except BaseException as error:
            end = _End(error)
        ready.put(end)

    thread = threading.Thread(target=produce, name="millrace-read", daemon=True)
    thread.start()
    try:
        while not isinstance(part := ready.get(), _End):
            yield part
        if part.error is not None:
            raise part.error
    finally:
        stopped.set()
        while thread.is_alive():
            _drain(ready)
            thread.join(0.01)


def _drain(ready: "queue.Queue[Part | _End]") -> None:
    try:
        while True:
            ready.get_nowait()
    except queue.Empty:
        return
