"""Compressed streams: every member and checksum, and a clear stop where the end is missing."""

import gzip
import io
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataBlocked
from pipeline.ingest.inflate import ZLIB, inflate

TEXT = bytes(range(256)) * 3000


def inflated(data: bytes) -> bytes:
    return inflate(io.BytesIO(data), "trips.gz").read()


def test_members_padding_and_zlib() -> None:
    assert inflated(gzip.compress(TEXT)) == TEXT
    assert inflated(gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(TEXT)) == b"a" + TEXT
    assert inflated(gzip.compress(TEXT) + b"\0" * 100_000) == TEXT
    assert inflate(io.BytesIO(zlib.compress(TEXT)), "trips", wbits=ZLIB).read() == TEXT


def test_what_was_read_before_is_the_start() -> None:
    data = gzip.compress(TEXT)
    assert inflate(io.BytesIO(data[7:]), "trips.gz", start=data[:7]).read() == TEXT


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "trips.gz: the compressed file is truncated. Expected the end of its data. Next: copy or write it again"),
        (gzip.compress(TEXT, mtime=0)[:-1], "the compressed file is truncated"),
        (gzip.compress(TEXT, mtime=0) + gzip.compress(TEXT, mtime=0)[:9], "the compressed file is truncated"),
        (gzip.compress(TEXT, mtime=0)[:-8] + b"\1\2\3\4" + gzip.compress(TEXT, mtime=0)[-4:], "damaged"),
        (gzip.compress(TEXT, mtime=0) + b"more", "the compressed file is damaged"),
        (b"fare,hour\n", "not a compressed file, or damaged at its start"),
    ],
    ids=["empty", "end", "second member", "checksum", "rest", "text"],
)
def test_what_is_no_whole_compressed_file(data: bytes, message: str) -> None:
    with pytest.raises(DataBlocked, match="trips") as caught:
        inflated(data)
    assert message in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000), st.data())
def test_no_truncation_is_missed(text: bytes, data: st.DataObject) -> None:
    whole = gzip.compress(text)
    with pytest.raises(DataBlocked, match="truncated"):
        inflated(whole[: data.draw(st.integers(0, len(whole) - 1))])
