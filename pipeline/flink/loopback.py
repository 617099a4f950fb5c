"""Has Beam's services listen on loopback alone.

Beam makes an address of loopback for each of its services, of the job server and of those that workers connect to,
and then listens at that port of every interface (`NettyServerBuilder.forPort(socket.getPort())`, seen in 2.62; of
another Beam `write` looks for the same call). Who reaches the job server has it run programs. There is no flag for
it. So a jar before Beam's on the class path has the one class of that line, with
`NettyServerBuilder.forAddress(socket)` in it.
"""

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

CLASS = "org/apache/beam/sdk/fn/server/ServerFactory$InetSocketAddressServerFactory.class"
_FIXED_BYTES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
"""Tag of an entry of a class's constant pool -> bytes behind it; 1, a text, tells its own length."""
_TEXT, _WIDE, _METHOD, _NAME_AND_TYPE = 1, (5, 6), 10, 12
_ALOAD_1, _INVOKE_VIRTUAL, _INVOKE_STATIC, _NOP = b"\x2b", b"\xb6", b"\xb8", b"\x00"


def write(job_server: Path, target: Path) -> bool:
    """Makes the jar.

    Args:
      job_server: Beam's.
      target: to write.

    Returns:
      Whether it could be: False where the class is another than is known.
    """
    with zipfile.ZipFile(job_server) as jar:
        try:
            patched = patch(jar.read(CLASS))
        except (KeyError, struct.error, IndexError):
            return False
    if patched is None:
        return False
    with zipfile.ZipFile(target, "w") as jar:
        jar.writestr(CLASS, patched)
    return True


def patch(code: bytes) -> bytes | None:
    """The class with the other call; None where the call is not there once.

    Args:
      code: the class file.
    """
    constants = list(_constants(code))
    entries = {index: content for index, _, _, content in constants}

    def named(name: str) -> Iterator[tuple[int, int, str]]:
        """Index, place and descriptor of methods that the class calls by this name."""
        for index, tag, start, content in constants:
            if tag == _METHOD:
                word, described = struct.unpack(">HH", entries[struct.unpack(">HH", content)[1]])
                if entries[word] == name.encode():
                    yield index, start, entries[described].decode()

    calls = [
        (call, start, described)
        for get, _, _ in named("getPort")
        for static, start, described in named("forPort")
        if code.count(call := _call(_INVOKE_VIRTUAL, get) + _call(_INVOKE_STATIC, static)) == 1
        and code.count(_ALOAD_1 + call) == 1
    ]
    if len(calls) != 1:
        return None
    call, start, described = calls[0]
    _, _, last_start, last = constants[-1]
    count = struct.unpack_from(">H", code, 8)[0]
    end = last_start + len(last) + (2 if constants[-1][1] == _TEXT else 0)
    added = _text("forAddress") + _text(described.replace("(I)", "(Ljava/net/SocketAddress;)"))
    added += struct.pack(">BHH", _NAME_AND_TYPE, count, count + 1)
    pool = code[10 : start + 2] + struct.pack(">H", count + 2) + code[start + 4 : end] + added
    return code[:8] + struct.pack(">H", count + 3) + pool + code[end:].replace(call, _NOP * 3 + call[3:])


def _text(value: str) -> bytes:
    return struct.pack(">BH", _TEXT, len(value.encode())) + value.encode()


def _call(instruction: bytes, method: int) -> bytes:
    return instruction + struct.pack(">H", method)


def _constants(code: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Index, tag, place behind the tag, and content of each entry of the constant pool; of a text, without its length."""
    count = struct.unpack_from(">H", code, 8)[0]
    index, at = 1, 10
    while index < count:
        tag, start = code[at], at + 1
        if tag == _TEXT:
            length = struct.unpack_from(">H", code, start)[0]
            content, at = code[start + 2 : start + 2 + length], start + 2 + length
        else:
            content, at = code[start : start + _FIXED_BYTES[tag]], start + _FIXED_BYTES[tag]
        yield index, tag, start, content
        index += 2 if tag in _WIDE else 1
