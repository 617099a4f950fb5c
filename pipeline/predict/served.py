"""Which model answers: the one that is served, or another."""

import os
from pathlib import Path

from pipeline.errors import UsageError, nearest
from pipeline.push import versions

_TFX_FOLDER = "Format-Serving"


def served(folder: Path, version: str | None = None) -> tuple[str, str]:
    """The served model of a task.

    Args:
      folder: that a model server watches, a subfolder a version.
      version: one of them; None takes the highest, as a server does.

    Returns:
      Its folder and its version.

    Raises:
      UsageError: there is none.
    """
    known = [str(number) for number in versions.whole(folder)]
    if version is None and not known:
        raise UsageError(f"predict: no model is served in {folder}. Next: millrace run, or add --model PATH")
    if version is not None and version not in known:
        raise UsageError(f"predict: no version {version!r} in {folder}.{nearest(version, known)}")
    chosen = version or known[-1]
    return str(folder / chosen), chosen


def at(path: str) -> tuple[str, str]:
    """The model in a folder: a SavedModel, a folder of versions, of which the highest counts, or TFX's Model artifact.

    Returns:
      Its folder, and its version: the folder's name where that is a number, else the path.

    Raises:
      UsageError: there is none.
    """
    folder = Path(os.path.abspath(path))
    for found in (folder, folder / _TFX_FOLDER):
        if (found / versions.SAVED_MODEL).is_file():
            return str(found), found.name if found.name.isdigit() else str(found)
    known = versions.whole(folder)
    if not known:
        raise UsageError(
            f"predict: no model in {path}. Expected a folder with {versions.SAVED_MODEL}, or a folder of versions"
        )
    return str(folder / str(known[-1])), str(known[-1])
