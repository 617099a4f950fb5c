import asyncio
import gzip
import zlib

import pytest

from serving.errors import Code, ServingError
from serving.rest import body


def read(*parts: bytes, headers=(), limit=100, seconds=5.0, end=None):
    """Reads a body that comes in parts; `end` is what comes when there are no more: nothing at all, or a message."""
    messages = [
        {"type": "http.request", "body": part, "more_body": end is not None or at < len(parts) - 1}
        for at, part in enumerate(parts)
    ]
    taken = []

    async def receive():
        if messages:
            taken.append(messages.pop(0))
            return taken[-1]
        if isinstance(end, dict):
            return end
        await asyncio.Event().wait()

    async def whole():
        return await body.read(headers, receive, limit, seconds)

    return asyncio.run(whole())


def test_parts_are_joined():
    assert read(b"abc") == b"abc"
    assert read(b"abc", b"", b"def") == b"abcdef"


@pytest.mark.parametrize("parts", [(b"x" * 101,), (b"x" * 60, b"x" * 60)])
def test_more_than_the_limit_is_413(parts):
    with pytest.raises(body.BodyError, match="Expected: at most 100 bytes") as error:
        read(*parts)
    assert error.value.status == 413


def test_a_length_above_the_limit_is_413_whatever_comes(monkeypatch):
    monkeypatch.setattr(body, "_LINGER_SECONDS", 0.05)
    with pytest.raises(body.BodyError) as error:
        read(b"x", headers=[(b"content-length", b"101")], end="silence")
    assert error.value.status == 413


def test_what_does_not_come_in_time_is_408():
    with pytest.raises(body.BodyError, match=r"not there within 0\.05 s") as error:
        read(b"x", end="silence", seconds=0.05)
    assert error.value.status == 408


def test_a_client_that_goes_away():
    with pytest.raises(body.Disconnected):
        read(b"x", end={"type": "http.disconnect"})


class TestGzip:
    HEADERS = ((b"content-encoding", b"gzip"),)

    def test_is_inflated(self):
        assert read(gzip.compress(b"abc"), headers=self.HEADERS) == b"abc"

    def test_only_up_to_the_limit(self):
        bomb = gzip.compress(b"\0" * 10_000)
        assert len(bomb) < 100
        with pytest.raises(body.BodyError) as error:
            read(bomb, headers=self.HEADERS)
        assert error.value.status == 413

    @pytest.mark.parametrize("broken", [b"abc", gzip.compress(b"abc", mtime=0)[:-9], zlib.compress(b"abc"), b""])
    def test_broken(self, broken):
        with pytest.raises(ServingError, match="The body is no gzip") as error:
            read(broken, headers=self.HEADERS)
        assert error.value.code is Code.INVALID_ARGUMENT

    def test_other_encodings(self):
        with pytest.raises(ServingError, match=r"expected gzip or none\. Received: br"):
            read(b"abc", headers=[(b"content-encoding", b"br")])
