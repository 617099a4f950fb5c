"""Writes the rows of one split from some files: as TFRecords of tf.Examples, and as columns beside them."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.ingest import column_shards, shards
from pipeline.ingest.behind import Behind


class RowsWriter:
    """Both have the same rows in the same order, and as many shards."""

    def __init__(self, prefix: str, create: Callable[[str], BinaryIO], pool: Executor) -> None:
        """See the class.

        Args:
          prefix: path of all that is written, under temporary names.
          create: opens a path for writing.
          pool: whose threads serialise and compress.
        """
        self.records = shards.Shards(prefix, create, pool)
        self.columns = column_shards.ColumnShards(prefix, create, shards.ROWS)
        self._behind = Behind()

    def write(self, columns: Mapping[str, pa.Array], hashes: np.ndarray) -> None:
        """Appends rows.

        Args:
          columns: name -> int64, float32 or binary, or lists of them, each of shape [rows]; null where a value is
            missing.
          hashes: of the rows, uint64.

        Raises:
          OSError: these or earlier ones could not be written.
        """
        batch = pa.RecordBatch.from_pydict(dict(columns))
        self.records.encode(batch)
        self._behind.do(self.columns.write, batch, hashes)

    def close(self) -> None:
        """Ends the last shards.

        Raises:
          OSError: something could not be written.
        """
        try:
            self._behind.do(self.columns.close)
        finally:
            try:
                self._behind.close()
            finally:
                self.records.close()
