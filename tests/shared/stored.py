"""What files hold, to compare runs by."""

import gzip
from pathlib import Path


def content(path: Path) -> bytes:
    """The bytes of a file; of a gzipped one what is in it, since the compressor is free in how it does it."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
