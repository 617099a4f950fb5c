"""Places in a bucket as folders of this machine, for as long as a block lasts: for what reads and writes local files only.

    with brought.here("s3://models/7") as folder: SessionModel(folder)
    with brought.sent("s3://runs/7/evaluation") as folder: write(folder)

A local path is itself, in both.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pipeline.ingest import files
from pipeline.remote import transfer

_PREFIX = "millrace-"


@contextmanager
def here(url: str) -> Iterator[str]:
    """A file or folder, brought here where it is in a bucket.

    Raises:
      files.NotFound: there is nothing at the address.
      MillraceError: it can't be read, or there is no room for it here.
    """
    if not files.scheme(url):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        to = Path(folder, PurePosixPath(url.rstrip("/")).name)
        transfer.download(url, to)
        yield str(to)


@contextmanager
def sent(url: str) -> Iterator[str]:
    """A folder that is to be filled, sent at the end where its place is in a bucket; nothing is, where the block raises.

    Raises:
      MillraceError: it can't be written.
    """
    if not files.scheme(url):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        yield folder
        transfer.upload(Path(folder), url)
