"""A request's body: whole, within its limits, and in time."""

import asyncio
import time
import zlib
from collections.abc import Iterable
from typing import Any

from starlette.types import Receive

from serving.errors import Code, ServingError

_LINGER_SECONDS = 1.0
_GZIP = zlib.MAX_WBITS + 16


class BodyError(Exception):
    """A body that is not read to its end; the connection is closed with the answer.

    Attributes:
      status: of HTTP: 408 or 413, which none of the canonical codes stands for.
      message: for people.
    """

    def __init__(self, status: int, message: str) -> None:
        """See the class."""
        super().__init__(message)
        self.status = status
        self.message = message


class Disconnected(Exception):
    """The client went away before its request was whole: nobody waits for an answer."""


async def read(headers: Iterable[tuple[bytes, bytes]], receive: Receive, limit: int, seconds: float) -> bytes:
    """The body, inflated where it came as gzip, as TF Serving does.

    Args:
      headers: of the request, names in lower case.
      receive: ASGI's.
      limit: the most bytes that are taken, on the wire and inflated.
      seconds: until all of it has to be there.

    Raises:
      BodyError: too large, by its Content-Length or by what came; or not there in time.
      ServingError: INVALID_ARGUMENT: an encoding that is not known, or broken gzip.
      Disconnected: see the class.
    """
    length = encoding = b""
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"content-encoding":
            encoding = value.strip().lower()
    if length and int(length) > limit:
        await _linger(receive)
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            body = await _whole(receive, limit)
    except TimeoutError:
        raise BodyError(408, f"The request's body was not there within {seconds:g} s") from None
    if encoding in (b"", b"identity"):
        return body
    if b"gzip" not in encoding:
        raise ServingError(
            Code.INVALID_ARGUMENT, f"Content-Encoding: expected gzip or none. Received: {encoding.decode('latin-1')}"
        )
    return _inflated(body, limit)


async def _whole(receive: Receive, limit: int) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts = []
    size = 0
    while True:
        part = _part(message)
        size += len(part)
        if size > limit:
            await _linger(receive)
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def _part(message: Any) -> bytes:
    if message["type"] != "http.request":
        raise Disconnected
    return message.get("body", b"")


async def _linger(receive: Receive) -> None:
    """Takes what still comes, for a moment, and drops it.

    A connection that is closed with unread data is reset, and many a client that is still sending then never sees the answer.
    """
    until = time.monotonic() + _LINGER_SECONDS
    while (left := until - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(receive(), left)
        except TimeoutError:
            return
        _part(message)
        if not message.get("more_body"):
            return


def _inflated(body: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    try:
        inflated = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise ServingError(Code.INVALID_ARGUMENT, f"The body is no gzip: {error}") from None
    if len(inflated) > limit:
        raise _too_large(limit)
    if not inflater.eof:
        raise ServingError(Code.INVALID_ARGUMENT, "The body is no gzip: it ends too early")
    return inflated


def _too_large(limit: int) -> BodyError:
    return BodyError(413, f"The request's body is too large. Expected: at most {limit} bytes")
