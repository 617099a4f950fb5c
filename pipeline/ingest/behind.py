"""Does one thing after another in a thread, behind the one who asks for them."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec

_MOST = 4

P = ParamSpec("P")


class Behind:
    """A thread that is at most four things behind; the opposite of `ahead`.

    An error in it comes out of a later call, at the latest of `close`.
    """

    def __init__(self) -> None:
        """Starts nothing before there is something to do."""
        self._thread = ThreadPoolExecutor(1, "millrace-write")
        self._pending: deque[Future[object]] = deque()

    def do(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Asks for one more.

        Raises:
          Exception: what an earlier one raised.
        """
        while len(self._pending) >= _MOST:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(function, *args, **kwargs))

    def close(self) -> None:
        """Waits for all.

        Raises:
          Exception: what one raised.
        """
        try:
            while self._pending:
                self._pending.popleft().result()
        finally:
            self._thread.shutdown(cancel_futures=True)
