"""Requests that are turned away are repeated: longer waits each time, the server's own `Retry-After` where it gives one.

What is repeated: 429, 500, 502, 503, 504, a time-out, a connection that is refused or breaks. What is not: everything that would
be answered the same again, such as 401, 404 or an unknown name of the host.

A request that makes something is sent again only after a look whether the first one made it: Kubeflow Pipelines has no key that
would keep a second run from being made. After a 500 it is not sent again: that is also what Kubeflow Pipelines answers to a spec
that it can't read.
"""

import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeVar

import tenacity

T = TypeVar("T")
Kind = Literal["status", "refused", "timeout", "broken", "name", "tls", "no_api", "credentials"]
_AGAIN: tuple[Kind, ...] = ("refused", "timeout", "broken")
_STATUSES = (429, 500, 502, 503, 504)


class Clock(Protocol):
    """The time, and a way to let it pass; tests have one that does not wait."""

    def monotonic(self) -> float:
        """Seconds, from some moment."""

    def now(self) -> datetime:
        """The time of day, with its zone."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class SystemClock:
    """This machine's clock."""

    def monotonic(self) -> float:
        """Seconds, from some moment."""
        return time.monotonic()

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Patience:
    """How often and how long a request is repeated.

    Attributes:
      attempts: of them, the first included.
      first: seconds before the second; each later wait is twice as long.
      longest: seconds of one wait, unless the server asks for more.
      total: seconds of all waits together; a server that asks for more is not waited for.
      renewals: how often a 401 is repeated: a token that ran out may be renewed by whoever keeps its file.
    """

    attempts: int = 6
    first: float = 1.0
    longest: float = 30.0
    total: float = 90.0
    renewals: int = 0


WHILE_WAITING = Patience(attempts=40, first=2.0, longest=60.0, total=1800.0, renewals=4)
"""For looks at a run that is under way: half an hour without the server ends nothing but the look."""


def while_waiting(within: float | None) -> Patience:
    """For a look at a run that need not be answered before so many seconds have passed; None for any other request."""
    return Patience() if within is None else replace(WHILE_WAITING, total=min(WHILE_WAITING.total, within))


class Fault(Exception):
    """A request that failed.

    Attributes:
      kind: what happened; `status` where the server answered.
      status: of HTTP, or None.
      message: the server's, or the network's.
      retry_after: seconds that the server asks to wait, or None.
      attempts: how often it was sent.
    """

    def __init__(
        self, kind: Kind, message: str = "", *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(kind, status, message)
        self.kind = kind
        self.status = status
        self.message = " ".join(message.split())[:600]
        self.retry_after = retry_after
        self.attempts = 1

    @property
    def repeatable(self) -> bool:
        """Whether another attempt may end otherwise."""
        return self.kind in _AGAIN or self.status in _STATUSES

    @property
    def undelivered(self) -> bool:
        """Whether the server surely did nothing."""
        return self.kind == "refused" or self.status == 429


def seconds_of(header: str | None, now: datetime) -> float | None:
    """Reads `Retry-After`: seconds, or a date."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(header) - now).total_seconds())
    except (TypeError, ValueError):
        return None


def patiently(
    send: Callable[[], T],
    clock: Clock,
    patience: Patience = Patience(),
    made: Callable[[], T | None] | None = None,
) -> T:
    """Sends a request until it is answered.

    Args:
      send: the request; raises `Fault`.
      clock: whose `sleep` the waits are.
      patience: its bounds.
      made: looks for what an earlier attempt may have made; without it, the request may be sent twice.

    Raises:
      Fault: the last one.
    """
    last: list[Fault] = []

    def attempt() -> T:
        try:
            if made and last and not last[-1].undelivered:
                found = made()
                if found is not None:
                    return found
            return send()
        except Fault as fault:
            last.append(fault)
            raise

    def again(error: BaseException) -> bool:
        if not isinstance(error, Fault):
            return False
        if error.status == 401:
            return sum(fault.status == 401 for fault in last) <= patience.renewals
        return error.repeatable and not (made and error.status == 500)

    def wait(state: tenacity.RetryCallState) -> float:
        asked = last[-1].retry_after if last else None
        return max(min(patience.first * 2 ** (state.attempt_number - 1), patience.longest), asked or 0.0)

    def enough(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= patience.attempts or state.idle_for + wait(state) > patience.total

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(again),
        wait=wait,
        stop=enough,
        sleep=clock.sleep,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except Fault as fault:
        fault.attempts = len(last)
        raise
