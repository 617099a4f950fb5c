"""How far a training is, in a small file that other processes read; imports no TensorFlow.

<root>/<task>/training/progress.json: {"step": 400, "steps": 1000, "loss": 0.31, "examples_per_second": 45000.0, "eta": 2.7}
"""

import json
import math
import os
from pathlib import Path

_NAME = "progress.json"


def write(folder: Path, *, step: int, steps: int, loss: float, examples_per_second: float, eta: float) -> None:
    """Writes the file; a reader never sees half of it.

    Args:
      folder: of the training.
      step: how many steps are done.
      steps: of how many.
      loss: of the last one.
      examples_per_second: rows of all replicas.
      eta: seconds left, if no validation says otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{_NAME}-{os.getpid()}"
    values = {"step": step, "steps": steps, "loss": loss, "examples_per_second": examples_per_second, "eta": eta}
    temporary.write_text(json.dumps(values), encoding="utf-8")
    temporary.replace(folder / _NAME)


def clear(folder: Path) -> None:
    """Removes the file: nothing is known of this training yet, or it is over."""
    (folder / _NAME).unlink(missing_ok=True)


def read(folder: Path) -> str | None:
    """A line for people: `step 400 of 1,000, loss 0.3102, 45,000 examples/s, 0:03 left`; None where there is no training."""
    try:
        found = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        minutes, seconds = divmod(math.ceil(found["eta"]), 60)
        return (
            f"step {found['step']:,} of {found['steps']:,}, loss {found['loss']:.4g}, "
            f"{found['examples_per_second']:,.0f} examples/s, {minutes:,}:{seconds:02d} left"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
