"""Where a root in a bucket is on this machine.

A node works on local files. Where the root is in a bucket, a folder of this machine stands for it: `pipeline.remote`
brings there what a node needs, and sends back what it made. Parameters of nodes name places by the root's own name, so
that a result is found in the cache wherever the next node runs; `local` says which folder is meant.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_folders: dict[str, str] = {}


def stand_in(root: str, folder: str | None) -> None:
    """Makes `local` know the folder of a root, in this process and those forked from it; None: it stands for itself."""
    if folder:
        _folders[root.rstrip("/")] = folder


def local(name: str) -> Path:
    """The folder or file of this machine that a place below a root means; a local path means itself."""
    for root, folder in _folders.items():
        if name == root or name.startswith(f"{root}/"):
            return Path(folder + name[len(root) :])
    return Path(name)


def named(path: str) -> str:
    """The root's own name of a folder or file below a folder that stands for one; another path is its own name.

    It leads back from `local`.
    """
    for root, folder in _folders.items():
        if path == folder or path.startswith(f"{folder}/"):
            return root + path[len(folder) :]
    return path


def stand_ins() -> dict[str, str]:
    """Root -> the folder that stands for it, for another process to be told."""
    return dict(_folders)


@contextmanager
def in_bucket(artifacts: Iterable[Any]) -> Iterator[None]:
    """Has artifacts be in the bucket itself meanwhile: workers on other machines have no folder that stands for it.

    Args:
      artifacts: with an attribute `uri`.
    """
    changed = list(artifacts)
    own = [artifact.uri for artifact in changed]
    for artifact in changed:
        artifact.uri = named(artifact.uri)
    try:
        yield
    finally:
        for artifact, uri in zip(changed, own, strict=True):
            artifact.uri = uri
