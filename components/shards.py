"""The files of an Examples artifact, with what ExampleGen said about each in its index of columns."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tfx.dsl.io import fileio
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils

from components import remote_files
from pipeline.errors import DataBlocked
from pipeline.ingest import columnar
from pipeline.remote import brought


@dataclass(frozen=True)
class Shard:
    """A file of rows.

    Attributes:
      records: a gzipped TFRecord file of tf.Examples.
      columns: the file of the same rows as columns, or None.
      span: of the files that the rows came from; None where that is not known, or there are none.
      digest: of the rows; None where it is not known.
    """

    records: str
    columns: str | None = None
    span: int | None = None
    digest: str | None = None


def shards(examples: Artifact, split: str) -> list[Shard]:
    """The files of a split, in their order.

    Args:
      examples: an Examples artifact.
      split: its name.
    """
    remote_files.register()
    (folder,) = artifact_utils.get_split_uris([examples], split)
    records = sorted(fileio.glob(io_utils.all_files_pattern(folder)))
    about = [shard for shard in columnar.index(examples.uri) if shard.split == split]
    if [os.path.basename(shard.records) for shard in about] != list(map(os.path.basename, records)):
        return [Shard(path) for path in records]
    columns = columnar.shards(examples.uri, split)
    return [
        Shard(path, columns[number] if columns else None, shard.span, shard.digest)
        for number, (path, shard) in enumerate(zip(records, about, strict=True))
    ]


@contextmanager
def brought_here(shard: Shard) -> Iterator[Shard]:
    """A shard whose rows are read more than once, or by what knows no buckets: its columns, or the records of one without.

    Raises:
      DataBlocked: as the block raises it, with the shard's own name.
      MillraceError: it can't be brought.
    """
    path = shard.columns or shard.records
    with brought.here(path) as local:
        try:
            yield replace(shard, columns=local) if shard.columns else replace(shard, records=local)
        except DataBlocked as error:
            raise DataBlocked(str(error).replace(local, path)) from error
