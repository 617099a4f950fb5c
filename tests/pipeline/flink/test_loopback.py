"""The patch of the one class of Beam's, on a class of this test's with the same call."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from pipeline.flink import loopback


def _text(value: str) -> bytes:
    return struct.pack(">BH", 1, len(value)) + value.encode()


def _class(calls: int = 1) -> bytes:
    """A constant pool as Beam's class has it, and its code. The descriptor of `forPort` is also that of another method."""
    pool = [
        _text("getPort"),  # 1
        _text("()I"),
        struct.pack(">BHH", 12, 1, 2),
        struct.pack(">BHH", 10, 1, 3),  # 4: getPort
        _text("forPort"),
        _text("(I)LBuilder;"),
        struct.pack(">BHH", 12, 5, 6),
        struct.pack(">BHH", 10, 1, 7),  # 8: forPort
        _text("maxSize"),
        struct.pack(">BHH", 12, 9, 6),
        struct.pack(">BHH", 10, 1, 10),  # 11: maxSize
        struct.pack(">Bq", 5, 20),  # 12 and 13: a long
        _text("last"),  # 14
    ]
    code = b"\x2a" + b"\x2b\xb6\x00\x04\xb8\x00\x08" * calls + b"\xb6\x00\x0b\xb0"
    return b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + struct.pack(">H", 15) + b"".join(pool) + code


def test_the_call_is_of_the_address() -> None:
    before = _class()
    after = loopback.patch(before)
    assert after is not None
    assert after.endswith(b"\x2a\x2b\x00\x00\x00\xb8\x00\x08\xb6\x00\x0b\xb0")
    entries = {index: content for index, _, _, content in loopback._constants(after)}

    def method(index: int) -> tuple[str, str]:
        word, described = struct.unpack(">HH", entries[struct.unpack(">HH", entries[index])[1]])
        return entries[word].decode(), entries[described].decode()

    assert method(8) == ("forAddress", "(Ljava/net/SocketAddress;)LBuilder;")
    assert method(11) == ("maxSize", "(I)LBuilder;")
    assert len(after) == len(before) + 3 + 10 + 3 + 35 + 5


def test_another_class_is_left_alone(tmp_path: Path, any_jar: Callable[..., Path]) -> None:
    assert loopback.patch(_class(calls=0)) is None
    assert loopback.patch(_class(calls=2)) is None
    for files in ({}, {loopback.CLASS: "none"}):
        assert not loopback.write(any_jar(tmp_path / "server.jar", files), tmp_path / "ahead.jar")
        assert not (tmp_path / "ahead.jar").exists()


def test_the_jar_has_the_one_class(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "server.jar", "w") as jar:
        jar.writestr(loopback.CLASS, _class())
        jar.writestr("other", "x")
    assert loopback.write(tmp_path / "server.jar", tmp_path / "ahead.jar")
    with zipfile.ZipFile(tmp_path / "ahead.jar") as jar:
        assert jar.namelist() == [loopback.CLASS]
        assert jar.read(loopback.CLASS) == loopback.patch(_class())
