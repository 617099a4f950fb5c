"""Where answers go: under temporary names while they are made, under their own once all of them are there.

`--out tips.parquet` is one file, with `tips.parquet.errors.csv` and `tips.parquet.account.json` beside it. `--out tips/`,
and any name without a suffix, is a folder of shards, with `errors/` and `account.json` in it.

Beside it, while it is made, is `.tips.parquet.partial/`. What a killed prediction left there the next one of the same
name removes; a lock in it, which ends with its process, tells one that is still at work.
"""

import contextlib
import fcntl
import fnmatch
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import MillraceError, UsageError
from pipeline.ingest import files

ACCOUNT = "account.json"
ERRORS = "errors"
_SUFFIXES: Mapping[str, Literal["parquet", "csv"]] = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}
_LOCK = ".lock"


@dataclass(frozen=True)
class Place:
    """Of one prediction.

    Attributes:
      path: absolute, of the file or folder.
      folder: whether it is a folder.
      format: of what is written.
    """

    path: Path
    folder: bool
    format: Literal["parquet", "csv"]

    @classmethod
    def of(cls, out: str, shards: Literal["parquet", "csv"]) -> "Place":
        """The place that `--out` names; one in a bucket is for `pipeline.predict.bucket`.

        Args:
          out: a file ending in .parquet, .pq or .csv; a name without a suffix, or what ends in /, is a folder.
          shards: the format of a folder's shards.

        Raises:
          UsageError: it is in a bucket, or of another format.
        """
        if "://" in out:
            raise UsageError(f"predict: --out: expected a local path. Received: {out}. Next: write here, then copy")
        path = Path(os.path.abspath(out))
        format_ = _SUFFIXES.get(path.suffix.lower())
        if out.endswith("/") or path.is_dir() or not path.suffix:
            return cls(path, True, shards)
        if format_ is None:
            raise UsageError(f"predict: --out: expected .parquet, .csv, or a folder, ending in /. Received: {out}")
        return cls(path, False, format_)

    @property
    def account(self) -> Path:
        """The JSON account."""
        return self.path / ACCOUNT if self.folder else self.path.with_name(f"{self.path.name}.{ACCOUNT}")

    @property
    def errors(self) -> Path:
        """The rows without an answer: a folder beside shards, else a CSV file."""
        return self.path / ERRORS if self.folder else self.path.with_name(f"{self.path.name}.{ERRORS}.csv")

    def check(self, data: str, read: Sequence[str], *, overwrite: bool) -> None:
        """Looks at what is there before anything is read.

        Args:
          data: what is read, as it was given.
          read: its files.
          overwrite: whether an earlier prediction may be replaced.

        Raises:
          UsageError: something is there; or the next prediction would read what this one writes.
        """
        if self.folder and self.path.exists() and not self.path.is_dir():
            raise UsageError(f"predict: --out: expected a folder. Received: {self.path}, a file")
        ours = [self.path] if self.folder else [self.path, self.errors, self.account]
        inputs = {os.path.abspath(path) for path in read if not files.scheme(path)}
        where = os.path.abspath(data)
        mixed = [
            path
            for path in ours
            if str(path) in inputs or str(path.parent) == where or fnmatch.fnmatchcase(str(path), where)
        ]
        if "://" not in data and (mixed or any(Path(name).is_relative_to(self.path) for name in inputs)):
            raise UsageError(
                f"predict: --out {self.path} is among the data, {data}: the next prediction would read it. "
                "Next: give a place outside of it"
            )
        present = [path for path in ours if path.exists() and (not self.folder or any(path.iterdir()))]
        if not present:
            return
        if not overwrite:
            raise UsageError(f"predict: {present[0]} is there already. Next: give another --out, or add --overwrite")
        if self.folder:
            strange = sorted(entry.name for entry in self.path.iterdir() if not is_ours(entry.name))
            if strange:
                raise UsageError(
                    f"predict: --overwrite replaces predictions only. Expected nothing else in {self.path}. "
                    f"Received: {', '.join(strange[:5])}. Next: give another --out"
                )

    @contextlib.contextmanager
    def partial(self) -> Iterator[Path]:
        """A folder beside the place, locked, and removed at the end.

        Raises:
          UsageError: another prediction is at work on the place, or the folder can't be made.
        """
        folder = self.path.with_name(f".{self.path.name}.partial")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / _LOCK).open("wb")
        except OSError as error:
            raise UsageError(f"predict: --out {self.path} can't be written: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"predict: another prediction is writing {self.path}. Next: wait for it, or give another --out"
                ) from error
            for left in folder.iterdir():
                if left.name != _LOCK:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def publish(self, made: Sequence[Path], errors: Path, account: Path) -> list[Path]:
        """Renames what was made to its own names; the answers come last.

        Args:
          made: the files of answers, in order; one, where the place is a file.
          errors: the rows without an answer, as `errors` is.
          account: the account.

        Returns:
          The files of answers.

        Raises:
          MillraceError: they can't be renamed.
        """
        whole = account.parent / "whole"
        try:
            if self.folder:
                whole.mkdir()
                names = [f"part-{n:05d}-of-{len(made):05d}.{self.format}" for n in range(len(made))]
                moves = {whole / name: part for name, part in zip(names, made, strict=True)}
                moves |= {whole / ERRORS: errors, whole / ACCOUNT: account}
            else:
                names = [self.path.name]
                moves = {self.account: account, self.errors: errors, self.path: made[0]}
            for part in (*made, account, *(errors.iterdir() if errors.is_dir() else (errors,))):
                _sync(part)
            for target, part in moves.items():
                part.replace(target)
            if self.folder:
                self.put(whole)
            _sync(self.path.parent)
        except OSError as error:
            raise MillraceError(f"predict: {self.path} can't be written: {error.strerror}") from error
        return [self.path / name for name in names] if self.folder else [self.path]

    def put(self, whole: Path) -> None:
        """Renames a folder to the place's name; the one that is there is aside until the new one has its name."""
        if self.path.exists():
            self.path.rename(whole.with_name("old"))
        whole.rename(self.path)


def is_ours(name: str) -> bool:
    """Whether a name in a folder of answers is one that `publish` gives."""
    return name in (ERRORS, ACCOUNT) or fnmatch.fnmatchcase(name, "part-[0-9]*-of-[0-9]*.*")


def _sync(path: Path) -> None:
    """Makes a file or a folder last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
