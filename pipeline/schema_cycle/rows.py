"""All rows of a task's source, for inference: every span and every split of it."""

from collections.abc import Iterator

from pipeline.errors import UsageError
from pipeline.ingest import read, selection
from pipeline.ingest.batch import RawBatch
from pipeline.sources import BigQuery, Csv, Source
from pipeline.splits import Split

_EVERY = 1 << 30
"""Spans in a window that holds all of them."""


class Rows:
    """The batches of all files; counts the records that are no rows.

    Attributes:
      malformed: how many of these came by.
      first: where the first of them is, with the reason.
    """

    def __init__(self, source: Source, split: Split) -> None:
        """Lists the files.

        Raises:
          UsageError: there is none, or the source is a query.
        """
        self.malformed = 0
        self.first = ""
        self._source = source
        self._files = files_of(source, split)

    def __iter__(self) -> Iterator[RawBatch]:
        for file in self._files:
            for batch in read.batches(file, self._source, {}):
                if batch.malformed and not self.first:
                    self.first = f"{file}:{batch.malformed[0].line} ({batch.malformed[0].message})"
                self.malformed += len(batch.malformed)
                yield batch


def files_of(source: Source, split: Split) -> list[str]:
    """The files of a source, of every span and split, in order.

    Raises:
      UsageError: there is none, or the source is a query.
    """
    if isinstance(source, BigQuery):
        raise UsageError("schema init reads files, and the task's source is a query. Next: add --data with an extract")
    spans = selection.selected(source, split, window=_EVERY if source.spans else 1)
    return [file for found in spans.values() for file in found]


def decimal(source: Source) -> str:
    """The decimal point of a source's text."""
    return source.decimal if isinstance(source, Csv) else "."
