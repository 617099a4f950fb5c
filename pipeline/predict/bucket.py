"""Answers in a bucket: `--out s3://bucket/tips/`, `--out gs://bucket/tips.parquet`.

They are made on this machine and sent when all of them are there; what others look at goes last: the account of a folder,
the file of answers itself. A bucket has no lock: two predictions to one place at the same time are for who starts them to
keep apart.
"""

import fnmatch
import json
import posixpath
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.predict.place import ACCOUNT, Place, is_ours
from pipeline.remote import transfer


class Delivery:
    """Of one prediction."""

    def __init__(self, out: str, data: str, folder: Path, *, overwrite: bool) -> None:
        """Looks at what is there before anything is read.

        Args:
          out: `--out`, in a bucket.
          data: what is read, as it was given.
          folder: where the answers are made.
          overwrite: whether an earlier prediction may be replaced.

        Raises:
          UsageError: something is there; or the next prediction would read what this one writes.
        """
        self._out = out.rstrip("/")
        self._folder = folder
        self._overwrite = overwrite
        name = posixpath.basename(self._out)
        self.local = str(folder / name) + ("/" if out.endswith("/") else "")
        self._place = Place.of(self.local, "parquet")
        within = f"{data.rstrip('/')}/"
        if self._out == data or f"{self._out}/".startswith(within) or fnmatch.fnmatchcase(self._out, data):
            raise UsageError(
                f"predict: --out {out} is among the data, {data}: the next prediction would read it. "
                "Next: give a place outside of it"
            )
        self._check_present()

    def send(self, record: dict[str, Any]) -> dict[str, Any]:
        """Sends what was made.

        Args:
          record: the account.

        Returns:
          It, with the places in the bucket.

        Raises:
          MillraceError: the bucket can't be written.
        """
        named = {
            **record,
            "out": self._out,
            "errors_at": f"{self._parent}/{self._place.errors.relative_to(self._folder)}",
        }
        self._place.account.write_text(json.dumps(named, indent=1) + "\n", encoding="utf-8")
        if self._place.folder:
            put_folder(self._place.path, self._out)
        else:
            transfer.upload(self._folder, self._parent, last=(self._place.path.name,))
        return named

    @property
    def _parent(self) -> str:
        return self._out.rpartition("/")[0]

    def _check_present(self) -> None:
        if self._place.folder:
            check_folder(self._out, overwrite=self._overwrite)
            return
        ours = {self._place.path.name, self._place.errors.name, self._place.account.name}
        present = sorted(ours.intersection(transfer.names(self._parent)))
        if present and not self._overwrite:
            raise _present(f"{self._parent}/{present[0]}")


def check_folder(out: str, *, overwrite: bool) -> None:
    """Looks at what is in a folder of a bucket.

    Raises:
      UsageError: an earlier prediction, without `overwrite`, or something else.
    """
    present = transfer.names(out)
    if present and not overwrite:
        raise _present(out)
    strange = [name for name in present if not is_ours(name)]
    if strange:
        raise UsageError(
            f"predict: predictions only are replaced. Expected nothing else in {out}. "
            f"Received: {', '.join(strange[:5])}. Next: give another place"
        )


def put_folder(made: Path, out: str) -> None:
    """Sends a folder of answers in place of those that are there.

    Raises:
      UsageError: something else is there.
      MillraceError: the bucket can't be written.
    """
    check_folder(out, overwrite=True)
    transfer.remove(out, first=(ACCOUNT,))
    transfer.upload(made, out, last=(ACCOUNT,))


def _present(what: str) -> UsageError:
    return UsageError(f"predict: {what} is there already. Next: give another --out, or add --overwrite")
