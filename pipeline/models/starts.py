"""Files that a model starts from: weights and SavedModels, on this machine, in a bucket or behind a link.

What is not on this machine is fetched once, into Keras's own folder (`~/.keras`, or KERAS_HOME), and only where a task
names it. Credentials for buckets are the ordinary ones, as for data.
"""

import hashlib
import os
import tarfile
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from pipeline.errors import MillraceError

_SECONDS = 30
_BUCKETS = ("s3", "gs")
_HUB = "tfhub.dev"


def local(address: str) -> Path:
    """Where it is on this machine; fetched first where it is not.

    Args:
      address: a path; `s3://…` or `gs://…`, a file or a folder; `https://…`, a .tar.gz or a handle of tfhub.dev.

    Raises:
      MillraceError: there is none, or it can't be reached.
    """
    scheme = _scheme(address)
    if not scheme:
        path = Path(address).expanduser()
        if not path.exists():
            raise MillraceError(f"{address}: no such file or folder. Expected what the model starts from")
        return path
    folder = keras_home() / "millrace" / hashlib.sha256(f"{address} {state(address)}".encode()).hexdigest()[:16]
    target = folder / Path(urllib.parse.urlsplit(address).path.rstrip("/")).name
    if not target.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
            fetched = Path(unfinished) / "fetched"
            fetched.mkdir()
            try:
                _fetch(scheme, address, fetched / target.name)
            except Exception as error:
                raise MillraceError(
                    f"{address}: can't be fetched: {_reason(error)}. Looked first in {folder.parent}. "
                    "Next: check the address and the network, or fetch it elsewhere and name the local path"
                ) from error
            if not target.exists():
                folder.mkdir(exist_ok=True)
                os.replace(fetched / target.name, target)
    return target


def state(address: str) -> str:
    """What changes when the files do: sizes and times, or the versions of objects; a link stands for itself.

    Raises:
      MillraceError: the bucket can't be reached.
    """
    scheme = _scheme(address)
    if scheme in _BUCKETS:
        try:
            system, path = _bucket(address)
            found = system.find(path, detail=True)
        except Exception as error:
            raise MillraceError(f"{address}: can't be reached: {_reason(error)}") from error
        if not found:
            raise MillraceError(f"{address}: no such file or folder. Expected what the model starts from")
        return "\n".join(f"{name} {info.get('size')} {_version(info)}" for name, info in sorted(found.items()))
    if scheme:
        return address
    root = Path(address).expanduser()
    files = sorted(file for file in root.rglob("*") if file.is_file()) if root.is_dir() else [root]
    return "\n".join(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files if file.exists())


def keras_home() -> Path:
    """Where Keras keeps what it downloads."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def _scheme(address: str) -> str:
    scheme, separator, _ = address.partition("://")
    if separator and scheme not in (*_BUCKETS, "https", "http"):
        raise MillraceError(f"{address}: {scheme}:// can't be read. Expected a local path, s3://, gs:// or https://")
    return scheme if separator else ""


def _bucket(address: str) -> tuple[Any, str]:
    import fsspec

    system, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    return system, path


def _version(info: dict[str, Any]) -> str:
    return str(info.get("ETag") or info.get("generation") or info.get("etag") or info.get("LastModified") or "")


def _fetch(scheme: str, address: str, target: Path) -> None:
    """Writes a file, or a folder, at `target`."""
    if scheme in _BUCKETS:
        system, path = _bucket(address)
        if system.isfile(path):
            system.get_file(path, str(target))
        else:
            target.mkdir()
            system.get(f"{path.rstrip('/')}/", f"{target}/", recursive=True)
        return
    parts = urllib.parse.urlsplit(address)
    if parts.hostname == _HUB:
        address = urllib.parse.urlunsplit(parts._replace(query="tf-hub-format=compressed"))
    with urllib.request.urlopen(address, timeout=_SECONDS) as response:  # noqa: S310 (_scheme has looked at it)
        if not parts.path.endswith((".tar.gz", ".tgz")) and parts.hostname != _HUB:
            raise ValueError("expected a link to a .tar.gz, or a handle of tfhub.dev")
        target.mkdir()
        with tarfile.open(fileobj=response, mode="r|gz") as archive:
            archive.extractall(target, filter="data")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
