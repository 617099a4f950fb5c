"""What was found out about the rows of each span, for a later run whose window has some of the same spans.

A file for each span, named by a digest of its rows and of the code and settings of whoever reads them: whatever changes
gives another name. It holds encoded accumulators as an Arrow table. A file that can't be read is as good as none.
Transform keeps its analyses so, and StatisticsGen its counts.
"""

import hashlib
import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from pyarrow import feather

from components.shards import Shard

_LOG = logging.getLogger(__name__)

Entries = Mapping[bytes, Sequence[bytes]]
"""Name of an operation -> its encoded accumulators."""


class KnownSpans:
    """The folder of them, for one version of code and settings."""

    def __init__(self, folder: Path, code: str, most: int = 64) -> None:
        """See the class.

        Args:
          folder: where they are kept; need not exist.
          code: changes where anything but the rows changes that what is found out depends on.
          most: files that are kept, those that were last used.
        """
        self._folder = folder
        self._code = code
        self._most = most

    def key(self, files: Sequence[Shard]) -> str:
        """The name of the rows of a span.

        Args:
          files: its shards, with span and digest.
        """
        text = "\n".join([self._code, *(f"{file.span} {file.digest}" for file in files)])
        return hashlib.sha256(text.encode()).hexdigest()

    def has(self, key: str) -> bool:
        """Whether there is a file; not whether it can be read."""
        return self._path(key).exists()

    def load(self, key: str) -> Entries:
        """What is known of a span; empty where nothing is."""
        path = self._path(key)
        try:
            table = feather.read_table(path, memory_map=False)
            os.utime(path)
            return dict(zip(table["key"].to_pylist(), table["values"].to_pylist(), strict=True))
        except FileNotFoundError:
            return {}
        except (OSError, KeyError, pa.ArrowException) as error:
            _LOG.warning("%s can't be read, its span is read again: %s", path, error)
            return {}

    def save(self, key: str, entries: Entries) -> None:
        """Keeps what was found out about a span, whole or not at all.

        Where it can't be written a later run does without.
        """
        names = pa.array(list(entries), pa.binary())
        values = pa.array([list(entry) for entry in entries.values()], pa.list_(pa.binary()))
        part = self._folder / f".{uuid.uuid4().hex}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            feather.write_feather(pa.table({"key": names, "values": values}), part, compression="zstd")
            part.rename(self._path(key))
            kept = sorted(self._folder.glob("*.arrow"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in kept[self._most :]:
                path.unlink(missing_ok=True)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            _LOG.warning("What was found out about a span can't be kept in %s: %s", self._folder, error)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.arrow"


def by_span(files: Sequence[Shard]) -> list[list[Shard]]:
    """The shards of each span.

    Args:
      files: all shards.

    Returns:
      In the order of the spans; none where ExampleGen did not say what is in a shard, or all are of one span.
    """
    filled = [file for file in files if file.span is not None]
    if any(file.digest is None for file in files) or len({file.span for file in filled}) < 2:
        return []
    return [[f for f in filled if f.span == span] for span in sorted({f.span for f in filled if f.span is not None})]
