"""Work on shards in threads, results in their order: TensorFlow, Arrow and zlib let go of Python's lock."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_MOST = 4


def in_order(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """The function of each item, in their order; as many at a time as there are processors, four at most.

    Raises:
      Exception: whatever the function raised, of the first item that it failed for.
    """
    threads = min(_MOST, len(os.sched_getaffinity(0)), max(1, len(items)))
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, "millrace-shard") as pool:
        for item in items:
            if len(pending) > threads:
                yield pending.popleft().result()
            pending.append(pool.submit(function, item))
        while pending:
            yield pending.popleft().result()
