"""How often and how long a request is tried again: waits that double, each with some chance in it.

The chance keeps many nodes that failed together from coming back together.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.ingest import faults

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Retries:
    """A rule for trying again, and the clock that it goes by.

    Attributes:
      tries: how often in all.
      first: the longest first wait, in seconds; each next one is twice as long.
      most: no wait is longer, in seconds.
      seconds: no try begins later than this after the first.
      sleep: waits so many seconds.
      chance: a number from 0 to 1; a wait is between a half of its length and all of it.
      clock: seconds from any point.
    """

    tries: int = 8
    first: float = 0.5
    most: float = 20.0
    seconds: float = 120.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    def call(self, act: Callable[[int], _Value]) -> _Value:
        """Calls a function until it ends without a transient error.

        Args:
          act: is told how often it was tried before.

        Raises:
          Exception: the last one that it raised.
        """
        began = self.clock()
        for attempt in range(self.tries):
            try:
                return act(attempt)
            except Exception as error:
                wait = min(self.most, self.first * 2**attempt) * (0.5 + self.chance() / 2)
                late = self.clock() + wait - began > self.seconds
                if attempt + 1 == self.tries or late or not faults.transient(error):
                    raise
            self.sleep(wait)
        raise AssertionError("tries is at least 1")
