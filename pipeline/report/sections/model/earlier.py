"""What the rows told of a model, of an earlier report: asking takes a second, and a cached run has the same model and rows."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import image
from pipeline.report.sources import Run
from pipeline.task import Task

PARTS = ("asked", "importance", "examples", "errors")
_READ = (("Trainer", "model"), ("ExampleGen", "examples"), ("Evaluator", "evaluation"))
_NEWEST = 3


def key_of(run: Run, task: Task) -> str | None:
    """What the parts are made from, as a digest: artifacts, task and the project's code; None where one is not there."""
    folders = [run.uri(node, key) for node, key in _READ]
    if None in folders:
        return None
    return hashlib.sha256(repr((folders, task, code())).encode()).hexdigest()[:16]


def found(home: Path, key: str) -> dict[str, Any] | None:
    """The parts of one of the newest reports that has them with this key, or None.

    Args:
      home: `<root>/<task>`.
      key: see `key_of`.
    """
    for path in sorted(home.glob("reports/*/report.json"), reverse=True)[:_NEWEST]:
        try:
            part = json.loads(path.read_text("utf-8"))["model"]
            if part["asked"]["key"] == key:
                return {name: part[name] for name in PARTS}
        except (OSError, ValueError, KeyError, TypeError):  # It has no such part, or is of another version.
            continue
    return None


@cache
def code() -> str:
    """The fingerprint of the code: an edit of any module has the model asked again."""
    return image.fingerprint()
