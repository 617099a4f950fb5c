"""Whether two Examples artifacts hold the same rows, in any order and any split.

compare(rows_of(folder_of_stock), rows_of(folder_of_ours)).equal
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Row = tuple[tuple[str, str, tuple[object, ...]], ...]
"""Column, kind (bytes_list, int64_list, float_list) and values, sorted by column; without columns that have no value."""
_SHOWN = 3


@dataclass(frozen=True)
class Compared:
    """The outcome.

    Attributes:
        left: rows of the first.
        right: rows of the second.
        only_left: up to three rows that the second lacks, or has fewer times.
        only_right: up to three rows that the first lacks, or has fewer times.
        missing: how many rows the second lacks, plus how many the first lacks.
    """

    left: int
    right: int
    only_left: tuple[Row, ...]
    only_right: tuple[Row, ...]
    missing: int

    @property
    def equal(self) -> bool:
        """Whether there are rows, and the same ones as often."""
        return self.missing == 0 and self.left > 0


def rows_of(folder: Path) -> Iterator[Row]:
    """Every row of every split, decoded.

    Args:
        folder: of an Examples artifact, holding `Split-…` folders of gzipped TFRecord files.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    files = sorted(str(file) for file in folder.glob("Split-*/*.gz"))
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        found = []
        for name, feature in features.items():
            kind = feature.WhichOneof("kind")
            values = tuple(getattr(feature, kind).value) if kind else ()
            if values:
                found.append((name, kind, values))
        yield tuple(sorted(found))


def compare(left: Iterator[Row], right: Iterator[Row]) -> Compared:
    """Counts each different row on both sides.

    Args:
        left: rows.
        right: rows.
    """
    first, second = Counter(left), Counter(right)
    less, more = first - second, second - first
    return Compared(
        left=first.total(),
        right=second.total(),
        only_left=tuple(sorted(less, key=repr)[:_SHOWN]),
        only_right=tuple(sorted(more, key=repr)[:_SHOWN]),
        missing=less.total() + more.total(),
    )
