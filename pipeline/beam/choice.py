"""Which engine runs a node: where the data is small no cluster is as fast as this machine's threads."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline import sources
from pipeline.beam import NODES, settings
from pipeline.beam.engines import ENGINES
from pipeline.config import RunConfig
from pipeline.errors import MillraceError
from pipeline.ingest import files, selection
from pipeline.task import Task

_OF_PREDICTION = "BulkInferrer"


@dataclass(frozen=True)
class Choice:
    """For one node.

    Attributes:
      engine: its name.
      why: in a few words.
    """

    engine: str
    why: str

    def __str__(self) -> str:
        return f"{self.engine}: {self.why}" if self.why else self.engine


def choices(task: Task, config: RunConfig) -> dict[str, Choice]:
    """Node -> its engine, for every node of the run that works with Beam; the same data and flags give the same.

    By the size of the files that ExampleGen reads, as they are stored; for BulkInferrer by those that are answered.

    Raises:
      UsageError: `local_below` is no size.
    """
    engine = ENGINES[config.beam_runner]
    nodes = [node for node in NODES if node != _OF_PREDICTION or config.predict]
    if not engine.by_size:
        return {node: Choice(engine.name, "") for node in nodes}
    limit = settings.local_below(config)
    said = {node: settings.forced(config, node) for node in nodes}
    found = {node: Choice("local" if place == "local" else engine.name, "as asked") for node, place in said.items()}
    by_size = [node for node, place in said.items() if place is None]
    if any(node != _OF_PREDICTION for node in by_size):
        rows = _by(_inputs(task, config), limit, engine.name)
        found |= {node: rows for node in by_size if node != _OF_PREDICTION}
    if _OF_PREDICTION in by_size:
        found[_OF_PREDICTION] = _by(_answered(config), limit, engine.name)
    return {node: found[node] for node in nodes}


def _inputs(task: Task, config: RunConfig) -> list[str] | None:
    """The files of the run's rows; None where they can't be told."""
    if config.only_structure:
        return None
    source = task.source.at(config.data)
    if isinstance(source, sources.BigQuery):
        return None
    try:
        spans = selection.selected(source, task.split, config.span, config.window)
    except MillraceError:
        return None  # Who reads them says what is wrong.
    return [path for paths in spans.values() for path in paths]


def _answered(config: RunConfig) -> list[str] | None:
    """The files of rows that the model is to answer."""
    if config.only_structure or not config.predict:
        return None
    try:
        return files.list_files(config.predict)
    except MillraceError:
        return None


def _by(paths: list[str] | None, limit: int, engine: str) -> Choice:
    if not paths:
        return Choice(engine, "data of unknown size")
    total = _total(paths, limit)
    if total is None:
        return Choice(engine, "data of unknown size")
    name = PurePosixPath(paths[0]).name if len(paths) == 1 else f"{len(paths):,} files"
    if total < limit:
        return Choice("local", f"{name}, {text(total)} < {text(limit)}")
    return Choice(engine, f"{name}, {text(limit)} or more")


def _total(paths: Iterable[str], limit: int) -> int | None:
    """Bytes; at most a file past the limit, since no more needs to be known."""
    total = 0
    try:
        for path in paths:
            total += files.stat(path).size
            if total >= limit:
                break
    except MillraceError:
        return None
    return total


def text(size: int) -> str:
    """Bytes, as people say it: 1.9 MB."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} bytes"
