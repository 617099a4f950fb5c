"""What a report is made from: the record of a run and the artifacts that it made or took from the cache."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import tasks
from pipeline.config import RunConfig
from pipeline.errors import MillraceError
from pipeline.task import Task

if TYPE_CHECKING:
    from pipeline.runners.results import Outputs


@dataclass(frozen=True)
class Run:
    """One run, as far as it came.

    Attributes:
      record: run.json.
      folder: `<root>/<task>/runs/<run_id>`.
      task: with the run's overrides; None where it can't be loaded any more.
      artifacts: (node id, output key) -> the artifact, of the nodes that ended well.
    """

    record: Mapping[str, Any]
    folder: Path
    task: Task | None
    artifacts: "Outputs"

    @property
    def home(self) -> Path:
        """`<root>/<task>`."""
        return self.folder.parent.parent

    def uri(self, node: str, key: str) -> Path | None:
        """The folder of an artifact, or None where there is none."""
        found = self.artifacts.get((node, key))
        return Path(found.uri) if found is not None and Path(found.uri).exists() else None

    def json(self, node: str, key: str, name: str) -> Any:
        """A JSON file in an artifact, or None where there is none."""
        folder = self.uri(node, key)
        path = folder / name if folder else None
        return json.loads(path.read_text("utf-8")) if path and path.is_file() else None


def open_run(folder: Path) -> Run:
    """Reads a run.

    Args:
      folder: `<root>/<task>/runs/<run_id>`.

    Raises:
      OSError: there is no run.json, or it can't be read.
    """
    record = json.loads((folder / "run.json").read_text("utf-8"))
    root = str(folder.parent.parent.parent)
    overrides = tuple(record.get("config", {}).get("overrides") or ())
    try:
        task = tasks.load(record["task"], overrides)
    except MillraceError:
        task = None
    config = RunConfig(task=record["task"], root=root)
    return Run(record, folder, task, _artifacts(config, record))


def _artifacts(config: RunConfig, record: Mapping[str, Any]) -> "Outputs":
    """Those of the run; ML Metadata, and with it TFX, is imported only where there can be some."""
    if not record.get("nodes") or not config.metadata.exists():
        return {}
    from pipeline.runners import results

    return results.artifacts_of(config, record["run_id"])
