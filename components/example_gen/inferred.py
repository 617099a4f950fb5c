"""The types of columns that no schema knows, of all rows: each file for itself, and then together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components import by_shard
from pipeline import sources
from pipeline.ingest import infer, read


def types(
    paths: Sequence[str], source: sources.Source, accepted: Mapping[str, Sequence[str]], spread: by_shard.Spread
) -> dict[str, str]:
    """Column -> "INT", "FLOAT" or "BYTES".

    Args:
      paths: of all files.
      source: their format and dialect.
      accepted: column -> the types that the task takes there.
      spread: who reads them.

    Raises:
      MillraceError: a file can't be used.
    """
    records = spread.each("Types", Summarise(source), paths, by_shard.JSON)
    found = infer.merged({name: infer.of_record(one) for name, one in record.items()} for record in records)
    return infer.types(found, accepted)


@dataclass(frozen=True)
class Summarise:
    """What is in each column of a file.

    Attributes:
      source: format and dialect.
    """

    source: sources.Source

    def __call__(self, path: str) -> dict[str, dict[str, object]]:
        """Column -> the record of its summary."""
        batches = read.batches(path, self.source, {})
        found = infer.infer(batches, decimal=getattr(self.source, "decimal", "."))
        return {name: infer.record(one) for name, one in found.items()}
