"""The folders of a served model: the one that a server watches, what was withdrawn from it, and what is being removed.

    <root>/<task>/serving/
      <task>/<version>/             watched: the server takes the highest number
      withdrawn/<task>/<version>/   rolled back, and not served any more
      .trash/<version>/             being removed
      history.jsonl                 see history.py

All are on one file system, so that a version moves between them by a rename: it is in a folder whole or not at all.
Who moves versions holds the lock of the task's root.
"""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

SAVED_MODEL = "saved_model.pb"
INCOMING = ".incoming"
"""What a push names a version that it still copies."""


@dataclass(frozen=True)
class Places:
    """Where the versions of a model are.

    Attributes:
      watched: the folder that a server watches; its name is the model's.
    """

    watched: Path

    @property
    def withdrawn(self) -> Path:
        """The versions that were rolled back."""
        return self.watched.parent / "withdrawn" / self.watched.name

    @property
    def trash(self) -> Path:
        """The versions that are being removed."""
        return self.watched.parent / ".trash"

    @property
    def history(self) -> Path:
        """What was served when and why."""
        return self.watched.parent / "history.jsonl"

    def served(self) -> int | None:
        """The version that a server with TF Serving's default policy serves: the highest that is whole."""
        return max(whole(self.watched), default=None)

    def find(self, version: int) -> Path | None:
        """The folder of a version, watched or withdrawn."""
        for folder in (self.watched, self.withdrawn):
            if (folder / str(version) / SAVED_MODEL).is_file():
                return folder / str(version)
        return None


def whole(folder: Path) -> list[int]:
    """The versions in a folder that have a model in them, ascending; a name such as `007` is none."""
    found = [name for name in names(folder) if (folder / name / SAVED_MODEL).is_file()]
    return [int(name) for name in found if name == str(int(name))]


def names(folder: Path) -> list[str]:
    """All names in a folder that are numbers, ascending, whatever is in them."""
    with contextlib.suppress(FileNotFoundError):
        return sorted((name for name in os.listdir(folder) if name.isascii() and name.isdigit()), key=int)
    return []


def move(source: Path, destination: Path) -> None:
    """Renames a version, and makes that last."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    source.rename(destination)
    sync(destination.parent)
    sync(source.parent)


def clean(places: Places) -> None:
    """Removes what a killed push has half copied, and ends the removals that were interrupted."""
    if places.watched.is_dir():
        for path in places.watched.glob(f"{INCOMING}*"):
            shutil.rmtree(path)
    if places.trash.is_dir():
        shutil.rmtree(places.trash)


def surplus(places: Places, keep: int, protected: set[int]) -> list[Path]:
    """What may be removed: below the newest `keep` whole versions, in the watched folder and in the withdrawn ones.

    Args:
      places: the folders.
      keep: how many stay in each.
      protected: versions that stay however old they are. So does the served one.
    """
    stay = protected | {places.served() or 0}
    found = []
    for folder in (places.watched, places.withdrawn):
        newest = whole(folder)[-keep:]
        if len(newest) == keep:
            found += [folder / name for name in names(folder) if int(name) < newest[0] and int(name) not in stay]
    return found


def remove(places: Places, path: Path) -> None:
    """Takes a version away: out of sight by a rename, then deleted. `clean` ends it where that is interrupted."""
    move(path, places.trash / path.name)
    shutil.rmtree(places.trash / path.name, ignore_errors=True)


def sync(folder: Path) -> None:
    """Makes the names in a folder last through a loss of power, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_files(folder: Path) -> None:
    """Makes all files below a folder last.

    Raises:
      OSError: the disk is full or broken.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            handle = os.open(os.path.join(parent, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync(Path(parent))
