"""Writes rows as columns beside their TFRecord shards; `columnar.py` says how they are laid out, and reads them.

What a writer holds is one batch, whatever the number of rows. Rows whose mean size is above 4 KB, such as images, are
not written a second time: reading them is no more than copying bytes, and they would take as much space again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.ingest import columnar

_HEAVY = 4 << 10
_BATCH_ROWS = 8_192
_BATCH_BYTES = 16 << 20
# Of zstd's levels the fastest: against lz4 it takes a third more time to write, and makes files of 0.6 the size.
_CODEC, _LEVEL = "zstd", 1


@dataclass(frozen=True)
class Written:
    """One shard.

    Attributes:
      path: of its columns; None where its rows are heavy.
      rows: how many.
      digest: of the hashes of its rows in their order, hexadecimal.
    """

    path: str | None
    rows: int
    digest: str


class ColumnShards:
    """Writes the columns of one split from some files, a new shard wherever its TFRecords have one."""

    def __init__(self, prefix: str, create: Callable[[str], BinaryIO], shard_rows: int) -> None:
        """See the class.

        Args:
          prefix: path of the shards, to which a number and `.arrow` are appended.
          create: opens a path for writing.
          shard_rows: rows of a shard.
        """
        self._prefix = prefix
        self._create = create
        self._shard_rows = shard_rows
        self._file: _File | None = None
        self._paths: list[str] = []
        self._shards: list[tuple[int, str]] = []
        self._rows = self._bytes = 0
        self._heavy = False

    def write(self, batch: pa.RecordBatch, hashes: np.ndarray) -> None:
        """Appends rows.

        Args:
          batch: int64, float32 or binary columns, or lists of them; null where a value is missing.
          hashes: of the rows, uint64.

        Raises:
          OSError: they could not be written.
        """
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        at = 0
        while at < batch.num_rows:
            if self._file is None:
                self._paths.append(f"{self._prefix}-{len(self._paths):05d}.arrow")
                self._file = _File(self._paths[-1], self._create)
            left = self._shard_rows - self._file.rows
            self._file.add(batch.slice(at, left), hashes[at : at + left])
            if self._file.full:
                self._flush(self._file)
            if self._file.rows == self._shard_rows:
                self._end(self._file)
            at += left

    def close(self) -> None:
        """Ends the last shard.

        Raises:
          OSError: it could not be written.
        """
        if self._file is not None:
            self._end(self._file)

    @property
    def written(self) -> list[Written]:
        """The shards, in order; complete when closed."""
        found = zip(self._paths, self._shards, strict=True)
        return [Written(None if self._heavy else path, rows, digest) for path, (rows, digest) in found]

    def _flush(self, file: "_File") -> None:
        """Judges rows by their mean size so far, and writes what is held."""
        self._heavy = self._heavy or self._bytes > _HEAVY * self._rows
        file.flush(drop=self._heavy)

    def _end(self, file: "_File") -> None:
        self._flush(file)
        file.close()
        self._shards.append((file.rows, file.digest))
        self._file = None


class _File:
    """The file of one shard."""

    def __init__(self, path: str, create: Callable[[str], BinaryIO]) -> None:
        self._path = path
        self._create = create
        self._stream: BinaryIO | None = None
        self._writer: Any = None
        self._schema: pa.Schema | None = None
        self._held: list[pa.RecordBatch] = []
        self._held_rows = self._held_bytes = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self.rows = 0

    @property
    def full(self) -> bool:
        """Whether as much is held as is written at once."""
        return self._held_rows >= _BATCH_ROWS or self._held_bytes >= _BATCH_BYTES

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def add(self, batch: pa.RecordBatch, hashes: np.ndarray) -> None:
        self.rows += batch.num_rows
        self._digest.update(hashes.astype("<u8").tobytes())
        self._held.append(batch)
        self._held_rows += batch.num_rows
        self._held_bytes += batch.nbytes

    def flush(self, drop: bool) -> None:
        """Writes what is held, or forgets it."""
        held, self._held = self._held, []
        self._held_rows = self._held_bytes = 0
        if held and not drop:
            self._write(columnar.join(held).to_batches()[0] if len(held) > 1 else held[0])

    def close(self) -> None:
        if self._stream is not None:
            with self._stream:
                self._writer.close()

    def _write(self, batch: pa.RecordBatch) -> None:
        if self._stream is None:
            self._stream = self._create(self._path)
        if self._schema != batch.schema:
            if self._schema is not None:
                self._writer.close()
            options = pa.ipc.IpcWriteOptions(compression=pa.Codec(_CODEC, _LEVEL), use_threads=False)
            self._writer = pa.ipc.new_stream(self._stream, batch.schema, options=options)
            self._schema = batch.schema
        self._writer.write_batch(batch)


def empty(stream: BinaryIO) -> None:
    """Writes the file of a shard without rows."""
    with pa.ipc.new_stream(stream, pa.schema([])):
        pass
