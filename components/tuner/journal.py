"""Finished trials on disk, so that a search that was killed goes on where it was.

    <root>/<task>/tuning/<digest>/<digest of a trial's settings>/trial.json

The first digest is of the data, the code and the task's settings; the second of the values that a trial replaces. A
search is repeatable: with the same seed and the same results it asks for the same trials in the same order. So what was
found once is answered from here, and the search arrives where it was killed. Another search over the same data and task
finds here what it has in common with the earlier ones.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_NAME = "trial.json"


@dataclass(frozen=True)
class Trial:
    """A finished trial.

    Attributes:
      settings: what it replaced, as `--set` takes it.
      value: the best of the objective; None where it failed.
      step: at which.
      metrics: all that was measured at that step.
      seconds: that it took.
      reason: why it failed, or "".
    """

    settings: tuple[str, ...]
    value: float | None
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""


class Journal:
    """The finished trials of one task on one set of data."""

    def __init__(self, folder: Path, *of: object) -> None:
        """A journal in a subfolder for this task and data.

        Args:
          folder: of all journals of a task.
          *of: all that results depend on beside a trial's settings.
        """
        self._folder = folder / _digest(of)

    def folder(self, settings: Sequence[str]) -> Path:
        """Of one trial."""
        return self._folder / _digest(tuple(settings))

    def find(self, settings: Sequence[str]) -> Trial | None:
        """The finished trial with these settings; None where there is none, or what there is can't be read."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            found: dict[str, Any] = json.loads((self.folder(settings) / _NAME).read_text(encoding="utf-8"))
            if found["settings"] == list(settings):
                return Trial(**{**found, "settings": tuple(settings)})
        return None

    def add(self, trial: Trial) -> None:
        """Writes a trial down; it is there whole or not at all."""
        folder = self.folder(trial.settings)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{_NAME}-{os.getpid()}"
        temporary.write_text(json.dumps(asdict(trial), indent=1) + "\n", encoding="utf-8")
        temporary.replace(folder / _NAME)


def _digest(of: object) -> str:
    return hashlib.sha256(repr(of).encode()).hexdigest()[:16]
