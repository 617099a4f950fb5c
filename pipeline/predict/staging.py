"""Where workers write their parts: beside the place of the answers, or in a bucket, where they don't see this machine's folders.

In a bucket are then the parts, their manifests and the model, in a folder of this prediction alone; the parts that count are
brought here, and the folder is removed, however the prediction ends.
"""

import json
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.ingest import files
from pipeline.ingest.account import Account
from pipeline.predict.inputs import Job
from pipeline.predict.work import Part
from pipeline.remote import transfer


@dataclass(frozen=True)
class Stage:
    """Of one prediction.

    Attributes:
      job: as workers get it.
      at: the folder that they write to.
      folder: of this machine, for what is made of the parts.
    """

    job: Job
    at: str
    folder: Path

    def manifest(self, index: int) -> dict[str, Any]:
        """What became of a file, once it is settled."""
        with files.open_binary(manifest_path(self.at, index)) as stream:
            found: dict[str, Any] = json.load(stream)
        return found

    def part(self, manifest: dict[str, Any]) -> Part:
        """The part of a file that was answered, in files of this machine."""
        return Part(
            [(self._here(path), rows) for path, rows in manifest["shards"]],
            self._here(manifest["errors"]),
            Account.of_record(manifest["account"]),
            manifest["absent"],
        )

    def _here(self, path: str) -> str:
        if self.at == str(self.folder):
            return path
        to = self.folder / posixpath.basename(path)
        transfer.download(path, to)
        return str(to)


def manifest_path(at: str, index: int) -> str:
    """The manifest of a file's settled attempt."""
    return f"{at}/manifest-{index:06d}.json"


@contextmanager
def staged(job: Job, staging: str | None, folder: Path) -> Iterator[Stage]:
    """A stage, for as long as the prediction lasts.

    Args:
      job: of the prediction.
      staging: a place in a bucket; None: workers write to the folder.
      folder: of this machine.

    Raises:
      MillraceError: the bucket can't be written.
    """
    if staging is None:
        yield Stage(job, str(folder), folder)
        return
    at = transfer.join(staging, uuid.uuid4().hex)
    try:
        if not files.scheme(job.model):
            transfer.upload(Path(job.model), f"{at}/model")
            job = replace(job, model=f"{at}/model")
        yield Stage(job, at, folder)
    finally:
        transfer.remove(at)
