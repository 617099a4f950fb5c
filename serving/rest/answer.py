"""What goes back over HTTP: a status, JSON, and little else."""

import json
from collections.abc import Iterable

from starlette.types import Send

Headers = Iterable[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")


async def send_json(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """Sends a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [_JSON, (b"content-length", b"%d" % len(body)), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


def error_json(message: str) -> bytes:
    """`{"error": message}`, TF Serving's form of all errors; what is no Unicode in it is replaced."""
    return json.dumps({"error": message}, ensure_ascii=False).encode(errors="replace")
