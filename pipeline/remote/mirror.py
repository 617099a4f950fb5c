"""A folder of this machine that stands for a task's part of a root in a bucket.

    <url>/metadata/records/<run>.<node>.json    what each node did, written once, last; see metadata.py
    <url>/metadata/snapshot.db                  a store made of the records up to some moment
    <url>/artifacts, runs, reports, serving, training        as in a local root

    mirror = Mirror.of(config)
    mirror.metadata()                           # a metadata.db of all that is known
    mirror.bring([artifact.uri])                # its files
    mirror.send_artifacts([artifact.uri]); mirror.commit(run_id, "Trainer", graph)

What is not in a record never happened: a node that is killed half-way leaves files that nothing names, and is run again.
Places are local paths here and addresses in the bucket there; in what is stored they are the latter.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.config import RunConfig
from pipeline.errors import MillraceError
from pipeline.ingest import files
from pipeline.push.versions import SAVED_MODEL, Places, names
from pipeline.remote import transfer

_READERS = 16
_LEASE_SECONDS = 3600
_TEXTS = (".json", ".html", ".log", ".txt", ".md", ".jsonl")
_TEXT_BYTES = 16 << 20
_MOUNTS = {"gs": "/gcs", "s3": "/s3"}
"""Where Vertex AI mounts buckets, and KFP's launcher puts the inputs of a step."""


class Mirror:
    """See the module."""

    def __init__(self, url: str, home: Path, service: str | None = None) -> None:
        """Takes `<root>/<task>` as its address and as the folder that stands for it; both may be empty yet.

        Args:
          url: the address.
          home: the folder.
          service: `host:port` of an ML Metadata service that has the records, in place of the root.
        """
        self.url = url.rstrip("/")
        self.home = home
        self._service = service

    @classmethod
    def of(cls, config: RunConfig) -> "Mirror":
        """That of a run with a mirror."""
        return cls(config.home_url, config.home, config.metadata_service)

    def named(self, text: str) -> str:
        """A text with the folder's name replaced by the address, and that of the whole root by the root's."""
        text = text.replace(str(self.home), self.url)
        return text.replace(str(self.home.parent), self.url.rpartition("/")[0])

    def localised(self, text: str) -> str:
        """A text with the address replaced by the folder's name."""
        return text.replace(self.url, str(self.home))

    # What is known of earlier executions.

    def metadata(self) -> None:
        """Makes `metadata.db` from all records, and a folder for each artifact, empty where it was not brought yet.

        A store that is there is replaced: what it has beyond the records was never committed.
        """
        from pipeline.remote import metadata

        base = self.home / "metadata" / "base.db"
        base.parent.mkdir(parents=True, exist_ok=True)
        if not base.exists():
            with suppress(files.NotFound):
                transfer.download(self._at("metadata", "snapshot.db"), base)
                metadata.rename(base, self.url, str(self.home))
        graphs = self._new_records(metadata.names(base))
        working = base.with_suffix(".new")
        if base.exists():
            shutil.copy(base, working)
        metadata.replay(working, graphs)
        working.replace(base)
        shutil.copy(base, self.home / ".metadata.db")
        (self.home / ".metadata.db").replace(self.home / "metadata.db")
        for uri in metadata.uris(base):
            if Path(uri).is_relative_to(self.home):
                Path(uri).mkdir(parents=True, exist_ok=True)

    def snapshot(self) -> None:
        """Stores what `metadata` made, so that later ones have fewer records to read."""
        from pipeline.remote import metadata

        with tempfile.TemporaryDirectory(dir=self.home) as folder:
            copy = Path(folder) / "snapshot.db"
            shutil.copy(self.home / "metadata" / "base.db", copy)
            metadata.rename(copy, str(self.home), self.url)
            transfer.upload(copy, self._at("metadata", "snapshot.db"))

    def commit(self, run_id: str, node: str, graph: dict[str, Any]) -> None:
        """Writes what a node did; from then on it has happened."""
        if self._service:
            graph = self._from_service(self._services().commit(json.loads(self.named(json.dumps(graph)))))
        self.write(f"{self._records}/{run_id}.{node}.json", graph)

    def committed(self, run_id: str, node: str) -> dict[str, Any] | None:
        """What a node did in a run; None where it has not, or not to its end."""
        return self._record(f"{run_id}.{node}")

    def _new_records(self, known: set[str]) -> dict[str, Any]:
        if self._service:
            return {name: self._from_service(graph) for name, graph in self._services().graphs(known).items()}
        listed = [name.removesuffix(".json") for name in self.listed(self._records)]
        new = [name for name in listed if name not in known]
        with ThreadPoolExecutor(_READERS) as pool:
            return {name: graph for name, graph in zip(new, pool.map(self._record, new), strict=True) if graph}

    def _record(self, name: str) -> dict[str, Any] | None:
        return self.read(f"{self._records}/{name}.json")

    @property
    def _records(self) -> str:
        """The folder of records; of those that a service has, it has a copy, which says that a step was done."""
        return "metadata/of_service" if self._service else "metadata/records"

    def _services(self) -> Any:
        from pipeline.remote.service import Service

        return Service(str(self._service), self.home.name, self.url)

    def _from_service(self, graph: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads(self.localised(json.dumps(graph))))

    # Files.

    def bring(self, uris: Iterable[str]) -> None:
        """Brings the files of artifacts, by their places in the folder.

        Raises:
          MillraceError: they are no longer in the bucket.
        """
        for uri in uris:
            below = str(Path(uri).relative_to(self.home))
            if not self.fetch(below, nearest=True):
                raise MillraceError(
                    f"{self._at(below)} is recorded as made and is not there. Expected the files of an earlier step. "
                    "Next: run without the cache, which makes it anew"
                )

    def send(self, below: str, last: Iterable[str] = ()) -> None:
        """Sends a file or folder, by its path below the folder; where there is none, nothing.

        Texts that name places of this machine are sent with their addresses in the bucket.
        """
        source = self.home / below
        if not source.exists():
            return
        with tempfile.TemporaryDirectory(prefix=".send-", dir=self.home) as folder:
            told = Path(folder) / source.name
            for path in [source] if source.is_file() else source.rglob("*"):
                target = told / path.relative_to(source)
                if path.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                text = _text(path)
                if text is not None and str(self.home.parent) in text:
                    target.write_text(self.named(text), "utf-8", "surrogateescape")
                else:
                    _link(path, target)
            if source.is_dir():
                told.mkdir(exist_ok=True)
            transfer.upload(told, self._at(below), tuple(last))

    def fetch(self, below: str, nearest: bool = False) -> bool:
        """Brings a file or folder, by its path below the address; returns whether there is one.

        Texts that name places in the bucket name those of this machine then.
        """
        target = self.home / below
        try:
            transfer.download(self._nearest(below) if nearest else self._at(below), target)
        except files.NotFound:
            return False
        for path in [target] if target.is_file() else target.rglob("*"):
            text = _text(path)
            if text is not None and self.url in text:
                _replace(path, self.localised(text))
        return True

    def drop(self, below: str) -> None:
        """Removes a file or folder from the bucket."""
        transfer.remove(self._at(below))

    def read(self, below: str) -> Any:
        """A file of JSON, with local places; None where there is none."""
        data = transfer.read(self._at(below))
        return None if data is None else json.loads(self.localised(data.decode()))

    def write(self, below: str, value: Any, create: bool = False) -> bool:
        """Writes a file of JSON; `create`: only where there is none. Returns whether it did."""
        text = self.named(json.dumps(value, ensure_ascii=False, indent=1))
        return transfer.write(self._at(below), f"{text}\n".encode(), create)

    def listed(self, below: str) -> list[str]:
        """The names in a folder of the bucket."""
        return transfer.names(self._at(below))

    # What is served.

    def serving(self) -> None:
        """Makes the folder of served models like the one in the bucket."""
        present = set(self._versions_there())
        for version in self._versions_here():
            if version not in present:
                shutil.rmtree(self.home / version)
        if not self.fetch("serving"):
            shutil.rmtree(self.home / "serving", ignore_errors=True)

    @contextmanager
    def pushing(self, who: str) -> Iterator[None]:
        """Serving as it is in the bucket, for one writer at a time; what was changed in it is sent at the end,
        also where the writer fails: the folder's history says then how far it came.

        Versions come whole or not at all: `saved_model.pb`, without which none is served, goes last and is removed first.

        Args:
          who: for the message that another writer gets.

        Raises:
          MillraceError: another writer is at work.
        """
        with self._lease("serving.lock", who):
            self.serving()
            before = set(self._versions_here())
            try:
                yield
            finally:
                after = set(self._versions_here())
                for version in sorted(after - before):
                    self.send(version, last=(SAVED_MODEL,))
                self.send("serving/history.jsonl")
                for version in sorted(before - after):
                    transfer.remove(self._at(version), first=(SAVED_MODEL,))

    @contextmanager
    def _lease(self, name: str, who: str) -> Iterator[None]:
        now = datetime.now(UTC)
        mine = {"by": who, "since": now.isoformat(timespec="seconds")}
        if not self.write(name, mine, create=True):
            held = self.read(name) or mine
            if (now - datetime.fromisoformat(held["since"])).total_seconds() < _LEASE_SECONDS and held["by"] != who:
                raise MillraceError(
                    f"push: {held['by']} has been pushing to {self._at('serving')} since {held['since']}. "
                    f"Next: let it end and run again; if it is dead, remove {self._at(name)}"
                )
            self.write(name, mine)
        try:
            yield
        finally:
            self.drop(name)

    def _places(self) -> Places:
        return Places(self.home / "serving" / self.home.name)

    def _versions_here(self) -> list[str]:
        places = self._places()
        return [
            str((folder / name).relative_to(self.home))
            for folder in (places.watched, places.withdrawn)
            for name in names(folder)
        ]

    def _versions_there(self) -> list[str]:
        places = self._places()
        folders = [str(folder.relative_to(self.home)) for folder in (places.watched, places.withdrawn)]
        return [f"{folder}/{name}" for folder in folders for name in self.listed(folder) if name.isdigit()]

    def _at(self, *below: str) -> str:
        return transfer.join(self.url, *below)

    def _nearest(self, below: str) -> str:
        """The address of something, or the folder where the machine has it mounted or brought already."""
        scheme, _, key = self._at(below).partition("://")
        mounted = Path(_MOUNTS.get(scheme, ""), key)
        if scheme in _MOUNTS and mounted.is_dir() and any(mounted.iterdir()):
            return str(mounted)
        return self._at(below)


def _text(path: Path) -> str | None:
    """A file's text, where it is of a kind that may name places, and not too long; else None."""
    if path.suffix not in _TEXTS or not path.is_file() or path.stat().st_size > _TEXT_BYTES:
        return None
    return path.read_text("utf-8", "surrogateescape")


def _replace(path: Path, text: str) -> None:
    """Writes a text under another name first: the file may be linked to one that is to stay as it is."""
    part = path.with_name(f".{path.name}.named")
    part.write_text(text, "utf-8", "surrogateescape")
    part.replace(path)


def _link(path: Path, target: Path) -> None:
    try:
        target.hardlink_to(path)
    except OSError:
        shutil.copy(path, target)
