"""Images: whole ones of every kind, broken ones, and those whose header says more than a machine can hold."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa

from pipeline.features.image import PNG
from tests.bad_inputs.build import parquet
from tests.bad_inputs.case import clean, quarantine

SIDE = 20_000


def pixels(height: int, width: int) -> np.ndarray:
    """A colourful image, uint8 [height, width, 3]."""
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def picture(kind: str = "PNG", mode: str = "RGB", height: int = 6, width: int = 8, **settings: Any) -> bytes:
    """An encoded image of a format and a mode, such as RGB, L, LA, P, RGBA, CMYK or 1."""
    encoded = io.BytesIO()
    PIL.Image.fromarray(pixels(height, width)).convert(mode).save(encoded, kind, **settings)
    return encoded.getvalue()


def deep_png() -> bytes:
    """A grey PNG of 16 bits a pixel, [2, 2]: 0, 256, 32768, 65535."""
    encoded = io.BytesIO()
    PIL.Image.fromarray(np.array([[0, 256], [32768, 65535]], np.uint16)).save(encoded, "PNG")
    return encoded.getvalue()


def png_of(height: int, width: int, data: bytes) -> bytes:
    """A grey PNG of 8 bits a pixel, whatever its data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in parts)
    return PNG + b"".join(chunks)


def bomb() -> bytes:
    """A whole PNG of 20,000 x 20,000 pixels in 400 kB."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes((SIDE + 1) * 100)) for _ in range(SIDE // 100)) + packer.flush()
    return png_of(SIDE, SIDE, data)


def damaged(encoded: bytes, at: int) -> bytes:
    """With one byte turned over."""
    return encoded[:at] + bytes([encoded[at] ^ 0xFF]) + encoded[at + 1 :]


WHOLE = {
    "a PNG": picture(),
    "a grey PNG": picture(mode="L"),
    "a PNG with a palette": picture(mode="P"),
    "a PNG with transparency": picture(mode="RGBA"),
    "a grey PNG with transparency": picture(mode="LA"),
    "a black and white PNG": picture(mode="1"),
    "a PNG of 16 bits": deep_png(),
    "a JPEG": picture("JPEG"),
    "a grey JPEG": picture("JPEG", "L"),
    "a progressive JPEG": picture("JPEG", progressive=True),
    "an image of one pixel": picture(height=1, width=1),
}
NO_IMAGES = {
    "no bytes": b"",
    "a GIF": picture("GIF", "P"),
    "a BMP": picture("BMP"),
    "a WebP": picture("WEBP"),
    "a path in place of an image": b"photos/1.png",
    "a web page": b"<html>404</html>",
    "zeros": bytes(100),
}
DAMAGED = {
    "a truncated PNG": picture()[:-20],
    "a truncated JPEG": picture("JPEG")[:-2],
    "a PNG's first bytes": PNG,
    "a PNG and zeros": PNG + bytes(100),
    "a JPEG and noise": b"\xff\xd8\xff" + b"noise" * 20,
    "a PNG with a wrong checksum": damaged(picture(), 60),
    "a PNG of no pixels": png_of(0, 0, zlib.compress(b"")),
    "a PNG of minus one pixels": png_of(2**32 - 1, 1, zlib.compress(b"")),
}
TOO_LARGE = {
    "a PNG of 20,000 x 20,000": bomb(),
    "a PNG that claims 20,000 x 20,000": png_of(SIDE, SIDE, b""),
}


def _second(value: bytes) -> Any:
    return parquet(photo=pa.array([picture(), value, picture("JPEG")], pa.binary()))


def _kept_out(group: dict[str, bytes], message: str) -> list[Any]:
    return [
        quarantine(f"image: {name}", _second(value), (1, 3), ((2, "image"),), message) for name, value in group.items()
    ]


IMAGES = (
    *(clean(f"image: {name}", _second(value)) for name, value in WHOLE.items()),
    clean("image: a CMYK JPEG, as colours", _second(picture("JPEG", "CMYK"))),
    *_kept_out(NO_IMAGES, "the bytes of a PNG or a JPEG file"),
    *_kept_out(DAMAGED, "that can be decoded to colours"),
    *_kept_out(TOO_LARGE, "at most 50,000,000 pixels"),
)
