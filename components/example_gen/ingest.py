"""A group of files to its parts: what a thread does here, and a worker of a Beam cluster there.

Whole shards are written, under a name of this attempt, and only what was written is told: rows are not passed on.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.example_gen import duplicates
from pipeline.errors import UsageError
from pipeline.ingest import checking, files, work


@dataclass(frozen=True)
class Group:
    """Files whose rows are written together.

    Attributes:
      units: the files, of one span.
      repeated: where those of their rows are listed whose key an earlier row has.
    """

    units: Sequence[checking.Unit]
    repeated: Sequence[duplicates.Extent] = ()


@dataclass(frozen=True)
class Ingest:
    """Writes the parts of a group.

    Attributes:
      job: what is alike for all files.
      folder: where they are written.
    """

    job: checking.Job
    folder: str

    def __call__(self, group: Group) -> dict[str, Any]:
        """The manifest of what was written; it has the errors of files that can't be used, so that all are told."""
        prefix = f"{self.folder}/{group.units[0].index:05d}-{uuid.uuid4().hex}"
        written = work.ingest(self.job, group.units, prefix, repeated=duplicates.load(group.repeated))
        hashes = {f"hashes/{name}": sample for name, sample in written.hashes.items()}
        hashes |= {f"entities/{name}": sample for name, sample in written.entities.items()}
        arrays: dict[str, Any] = {name: sample.values for name, sample in hashes.items()}
        with files.create(f"{prefix}-hashes") as stream:
            np.savez(stream, **arrays)
        return {
            "failed": [[str(error), isinstance(error, UsageError)] for error in written.failed],
            "shards": written.shards,
            "columns": {name: [vars(shard) for shard in shards] for name, shards in written.columns.items()},
            "span": group.units[0].span,
            "quarantine": written.quarantine,
            "account": written.account.record(),
            "hashes": f"{prefix}-hashes",
            "bits": {name: sample.bits for name, sample in hashes.items()},
        }
