"""What the analyses kept of the rows of each span, for a later run whose window has some of the same spans.

A file for each span, named by a digest of its rows and of the code and settings of the features: whatever changes gives
another name. It holds what TFT's own coders make of accumulators, as an Arrow table. A file that can't be read is as
good as none.
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
from tensorflow_transform.beam.analyzer_cache import DatasetKey

from components.transform.rows import Shard

_LOG = logging.getLogger(__name__)
_MOST = 64

Entries = Mapping[bytes, Sequence[bytes]]
"""Key of an operation, as TFT makes it, -> its encoded accumulators."""


class KnownSpans:
    """The folder of them, for one version of the features."""

    def __init__(self, folder: Path, code: str) -> None:
        """See the class.

        Args:
          folder: where they are kept; need not exist.
          code: changes where the features, or the libraries that analyse them, do.
        """
        self._folder = folder
        self._code = code

    def key(self, files: Sequence[Shard]) -> DatasetKey:
        """TFT's name of the rows of a span.

        Args:
          files: its shards, with span and digest.
        """
        text = "\n".join([self._code, *(f"{file.span} {file.digest}" for file in files)])
        return DatasetKey(hashlib.sha256(text.encode()).hexdigest())

    def load(self, key: DatasetKey) -> Entries:
        """What is known of a span; empty where nothing is."""
        path = self._path(key)
        try:
            table = feather.read_table(path, memory_map=False)
            os.utime(path)
            return dict(zip(table["key"].to_pylist(), table["values"].to_pylist(), strict=True))
        except FileNotFoundError:
            return {}
        except (OSError, KeyError, pa.ArrowException) as error:
            _LOG.warning("%s can't be read, its span is analysed again: %s", path, error)
            return {}

    def save(self, key: DatasetKey, entries: Entries) -> None:
        """Keeps what was found out about a span, whole or not at all; of many the 64 that were last used.

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
            for path in kept[_MOST:]:
                path.unlink(missing_ok=True)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            _LOG.warning("What the analyses found out about a span can't be kept in %s: %s", self._folder, error)

    def _path(self, key: DatasetKey) -> Path:
        return self._folder / f"{key.key}.arrow"


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
