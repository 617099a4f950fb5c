"""Small runs of a task as they are on disk: run.json, and artifacts where a test wants some."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from ml_metadata.proto import metadata_store_pb2

from pipeline import tasks
from pipeline.report.sources import Run
from pipeline.task import Task

TASK = "taxi_tips"
ENVIRONMENT = {
    "python": "3.11.7",
    "libraries": [{"name": "tfx", "version": "1.21.0"}, {"name": "keras", "version": None}],
    "code": {"version": "0.1.0", "commit": "c0ffee" * 6, "dirty": False, "digest": "0123456789abcdef"},
    "machine": {"system": "Linux x86_64", "cores": 2, "memory_mb": 16000},
    "schema": None,
    "settings": {"training.steps": "1000", "split": "HashSplit"},
    "changed": [],
}


def metric(
    value: float | None, width: float = 0.01, baseline: float | None = None, moved: float | None = None
) -> dict[str, Any]:
    """A metric as evidence.json has it; `width` is half the interval's, `moved` half that of the difference's."""
    difference = None if value is None or baseline is None else value - baseline
    around = moved or width
    return {
        "candidate": value,
        "interval": None if value is None else [value - width, value + width],
        "baseline": baseline,
        "difference": difference,
        "difference_interval": None if difference is None else [difference - around, difference + around],
        "reason": "it is not defined on these rows" if value is None else None,
    }


def evidence(metrics: Mapping[str, Any], slices: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """evidence.json; `slices` is name -> (rows, metrics), judged from 30 rows on."""
    found = {
        name: {"columns": [name.partition("=")[0]], "n": rows, "judged": rows >= 30, "metrics": dict(own)}
        for name, (rows, own) in (slices or {}).items()
    }
    return {
        "version": 1, "task": TASK, "split": "eval", "rows": 4980, "confidence": 0.95, "resamples": 1000, "seed": 1,
        "min_slice": 30, "baseline": {"status": "none", "said": "", "uri": ""}, "metrics": dict(metrics), "slices": found,
        "fairness": {}, "verdicts": [], "passed": True, "blessed": True, "forced": False, "force_reason": "", **more,
    }  # fmt: skip


def account(rows: int, files: Sequence[tuple[str, int, str]]) -> dict[str, Any]:
    """account.json; `files` are (name, rows, digest)."""
    return {
        "rows": rows, "splits": {"train": rows - 10, "eval": 9}, "quarantined": 1, "span_name": "0",
        "files": [
            {"file": name, "span": 0, "span_name": "0", "rows": of, "quarantined": 0, "digest": digest}
            for name, of, digest in files
        ],
    }  # fmt: skip


def statistics(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """FeatureStats.pb of a split, by TFDV."""
    return bytes(tfdv.generate_statistics_from_dataframe(pd.DataFrame(columns)).SerializeToString())


@dataclass
class History:
    """The runs of a root.

    Attributes:
      root: `--root`.
      task: of the runs that are added; None where it can't be loaded.
    """

    root: Path
    task: Task | None = field(default_factory=lambda: tasks.load(TASK))

    @property
    def home(self) -> Path:
        """`<root>/taxi_tips`."""
        return self.root / TASK

    def add(self, day: int, files: Mapping[tuple[str, str, str], Any] | None = None, **record: Any) -> Run:
        """A run of that day.

        Args:
          day: of January.
          files: (node, output, file's name) -> JSON, bytes or text.
          **record: of run.json.
        """
        run_id = f"202601{day:02d}T000000"
        plain = {
            "run_id": run_id, "task": TASK, "started": f"2026-01-{day:02d}T00:00:00+00:00", "outcome": "pushed",
            "exit_code": 0, "reason": None, "seconds": 12.5, "nodes": {}, "gates": [], "pushed": None, "metrics": {},
            "config": {"task": TASK, "root": str(self.root)}, "environment": ENVIRONMENT,
        }  # fmt: skip
        artifacts: dict[tuple[str, str], metadata_store_pb2.Artifact] = {}
        for (node, key, name), content in (files or {}).items():
            folder = self.home / "artifacts" / node / key / str(day)
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, bytes | str) else json.dumps(content)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
            artifacts[node, key] = metadata_store_pb2.Artifact(id=100 * day + len(artifacts), uri=str(folder), type=key)
        folder = self.home / "runs" / run_id
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(plain | record))
        return Run(plain | record, folder, self.task, artifacts)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


@pytest.fixture
def make() -> SimpleNamespace:
    """What runs are made of."""
    return SimpleNamespace(
        metric=metric, evidence=evidence, account=account, statistics=statistics, environment=ENVIRONMENT
    )
