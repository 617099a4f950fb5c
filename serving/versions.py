"""The folders of a model's versions: which there are, which are wanted, and whether one is whole.

<base path>/<version>/saved_model.pb, variables/, assets/, assets.extra/
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.settings import VersionPolicy

_LARGEST = 2**63 - 1
_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
_SETTLED_SECONDS = 1.0

Listing = tuple[tuple[str, int, int], ...]
"""A folder's files: relative path, bytes, time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Found:
    """The versions in a base path.

    Attributes:
      paths: version -> its folder.
      ignored: version -> names of further folders of that number, as "1" beside "01"; the first by name is taken.
    """

    paths: Mapping[int, Path]
    ignored: Mapping[int, tuple[str, ...]]


def scan(base_path: str) -> Found | None:
    """Looks for versions; only folders that have a graph count.

    A pusher copies saved_model.pb last, so that a folder without it is empty, or not there as a whole yet.

    Args:
      base_path: the folder of the model.

    Returns:
      None where the folder is not there, or can't be read.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(base_path) if _is_version(entry.name) and entry.is_dir())
    except OSError:
        return None
    paths: dict[int, Path] = {}
    ignored: dict[int, tuple[str, ...]] = {}
    for name in names:
        version, path = int(name), Path(base_path, name)
        if version in paths:
            ignored[version] = (*ignored.get(version, ()), name)
        elif any((path / graph).is_file() for graph in _GRAPHS):
            paths[version] = path
    return Found(paths, ignored)


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) <= _LARGEST


def wanted(policy: VersionPolicy, versions: Mapping[int, Path]) -> list[int]:
    """The versions that a policy chooses, ascending."""
    there = sorted(versions)
    if policy.kind == "latest":
        return there[-max(policy.count, 1) :]
    if policy.kind == "specific":
        return [version for version in there if version in policy.versions]
    return there


def listing(path: Path) -> Listing:
    """A version's files; empty where they can't be read."""
    files = []
    try:
        for folder, _, names in os.walk(path):
            for name in names:
                file = os.path.join(folder, name)
                seen = os.stat(file)
                files.append((os.path.relpath(file, path), seen.st_size, seen.st_ctime_ns))
    except OSError:
        return ()
    return tuple(sorted(files))


def settled(now: Listing, before: Listing | None) -> bool:
    """Whether a folder is whole, as far as its files tell: none changed since the last look, or within a second.

    A folder that is moved here as a whole is settled at once, one that is being copied is not.
    """
    newest = max((changed for _, _, changed in now), default=0) / 1e9
    return now == before or _SETTLED_SECONDS <= time.time() - newest
