"""What a reader yields: some rows of a file as columns, and the records among them that are no rows."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

LONGEST_TEXT = 1000
"""Characters of a malformed record that are kept."""


@dataclass(frozen=True)
class Malformed:
    """A record of the input that is no row.

    Attributes:
      line: of a text file (1 is the first); of a binary file the number of the record, from 1.
      message: what was expected and received.
      text: the record as it is, at most LONGEST_TEXT characters.
    """

    line: int
    message: str
    text: str


@dataclass(frozen=True)
class RawBatch:
    """Rows as they are in the file.

    Attributes:
      columns: every column that the file has. Text files: binary or string columns, missing = null; other formats:
        the file's own Arrow types.
      lines: int64, shape [rows]: where each row is, as in Malformed.
      malformed: records among these rows that are no rows.
    """

    columns: pa.RecordBatch
    lines: np.ndarray
    malformed: tuple[Malformed, ...] = ()
