"""uvicorn's HTTP protocol, with what it lacks for a server that anybody may connect to.

- A request's head has to arrive within 20 seconds and in 64 KiB; uvicorn would wait, and grow, without end.
- The head and the body of an answer leave in one write: one system call and one packet, and the client wakes up once.

    uvicorn.Config(app, http=Protocol)
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_SECONDS = 20.0
_HEAD_BYTES = 1 << 16
_JOINED_BYTES = 1 << 16
_REFUSED = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """One connection."""

    _timer: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """The first head has to come in time."""
        super().connection_made(_OneWrite(transport, self.loop))  # type: ignore[arg-type]
        self._timer = self.loop.call_later(_HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses; a head that is not whole after that has a limit in time and size."""
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > _HEAD_BYTES:
            self.transport.write(_REFUSED)
            self.transport.close()
        elif self._timer is None:
            self._timer = self.loop.call_later(_HEAD_SECONDS, self._give_up)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is whole."""
        self._head_is_there()
        super().on_headers_complete()

    def _head_is_there(self) -> None:
        self._in_head = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        self.transport.close()


class _OneWrite:
    """A transport that holds the head of an answer back until its body comes, or the loop's next round."""

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Writes, sooner or later."""
        if self._held and len(data) < _JOINED_BYTES:
            data, self._held = self._held + data, b""
        elif not self._held and data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._held = data
            self._loop.call_soon(self._flush)
            return
        self._flush()
        self._transport.write(data)

    def close(self) -> None:
        """Writes what is held, and closes."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)
