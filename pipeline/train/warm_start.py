"""Warm start: a new model begins with the weights of an earlier one, as far as they mean the same.

    local_runner.py --warm-start latest         # the latest blessed model of the task
    local_runner.py --warm-start 20260101T020000  # the model that this run trained, blessed or not

A weight is taken by its name. Where it is known what its rows stand for (ids of a table, numbers that a dense layer
reads, classes of the scores) each row is taken by that: a term keeps its vector though its rank has changed, a feature
its weights though others were put before it. What is new keeps the values that the model was initialised with. A
regression's scores are in standard deviations of the label; where mean or deviation have moved, the last layer is
rescaled, so that the model still answers as it did. The optimizer's state is never taken.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from pipeline.errors import MillraceError
from pipeline.labels import Regression, Scale
from pipeline.task import Task
from pipeline.train import provenance, weights
from pipeline.train.provenance import UNUSED
from pipeline.train.weights import Stored, Weight

NAME = "warm_start.json"
LATEST = "latest"
_EXAMPLES = 3
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transfer:
    """What became of one weight.

    Attributes:
      weight: its path.
      outcome: taken whole, partly, fresh (initialised anew), or left (only the earlier model has it).
      rows: how many of its rows were taken; None where it is taken as a whole or not at all.
      of: how many rows it has that stand for something; None likewise.
      reason: why it is not whole, or what is to be known; "" where there is nothing to say.
    """

    weight: str
    outcome: Literal["taken", "partly", "fresh", "left"]
    rows: int | None = None
    of: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class WarmStart:
    """Sets a model's initial weights; plain values, so that it passes to other processes.

    Attributes:
      folder: of the earlier model's stored weights.
      task: what is trained now.
      transform: folder of its transform graph.
      scale: of the label now.
    """

    folder: str
    task: Task
    transform: str
    scale: Scale

    def __call__(self, model: keras.Model) -> None:
        """Sets the weights that are taken; the others stay.

        Raises:
          MillraceError: there are no weights, or they are another task's.
        """
        taken, _ = carry(self._earlier(), self._described(model))
        for path, variable in provenance.keyed(model).items():
            if path in taken:
                variable.assign(taken[path])

    def report(self, model: keras.Model) -> dict[str, Any]:
        """What was taken, for a model of the same structure.

        Returns:
          `from`: id of the earlier run; `taken`, `partly`, `fresh`, `left`: numbers of weights; `rows`: `taken` and
          `of`; `notes`: sentences; `weights`: a `Transfer` each.
        """
        earlier, now = self._earlier(), self._described(model)
        _, transfers = carry(earlier, now)
        counts = {
            outcome: sum(transfer.outcome == outcome for transfer in transfers)
            for outcome in ("taken", "partly", "fresh", "left")
        }
        return {
            "from": earlier.run,
            **counts,
            "rows": {
                key: sum(getattr(t, name) or 0 for t in transfers) for key, name in (("taken", "rows"), ("of", "of"))
            },
            "notes": _notes(earlier, now),
            "weights": [asdict(transfer) for transfer in transfers],
        }

    def _described(self, model: keras.Model) -> Stored:
        return weights.describe(self.task, model, self.scale, tft.TFTransformOutput(self.transform))

    def _earlier(self) -> Stored:
        earlier = weights.load(Path(self.folder))
        if earlier.task != self.task.name:
            raise MillraceError(
                f"warm start: the model is another task's. Expected: {self.task.name!r}. Received: {earlier.task!r}. "
                "Next: start from a run of this task"
            )
        return earlier


def of_run(fn_args: FnArgs, task: Task, scale: Scale) -> WarmStart | None:
    """What a Trainer's model begins with; None where that is nothing.

    Raises:
      MillraceError: the run that `--warm-start` names has a model without weights.
    """
    base = getattr(fn_args, "base_model", None)
    folder = weights.beside(base) if base else None
    if folder is None or (task.training.warm_start == LATEST and not folder.exists()):
        return None
    return WarmStart(str(folder), task, fn_args.transform_output, scale)


def report_run(fn_args: FnArgs, task: Task, start: WarmStart | None, model: keras.Model) -> None:
    """Writes what was taken to `warm_start.json` in the folder of a Trainer's logs, where it was asked for."""
    if start:
        write(start.report(model), Path(fn_args.model_run_dir))
    elif task.training.warm_start:
        why = "has no stored weights" if getattr(fn_args, "base_model", None) else "is not there yet"
        note = f"the latest blessed model {why}: trained from scratch"
        write({"from": None, "notes": [note]}, Path(fn_args.model_run_dir))


def write(report: dict[str, Any], folder: Path) -> None:
    """Writes a report to a run's folder, and its table to the log."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    lines = [f"{t['outcome']:<7} {t['weight']}  {t['reason']}".rstrip() for t in report.get("weights", ())]
    _LOG.info("warm start from %s\n%s", report["from"] or "nothing", "\n".join([*report["notes"], *lines]))


def carry(earlier: Stored, now: Stored) -> tuple[dict[str, np.ndarray], list[Transfer]]:
    """The weights that a model takes from an earlier one.

    Args:
      earlier: what there is.
      now: the model's own, as it was initialised.

    Returns:
      Path -> value, of those that differ from the initial ones; and what became of each weight of either model.
    """
    values: dict[str, np.ndarray] = {}
    transfers = []
    for path, weight in now.weights.items():
        value, transfer = _carried(path, earlier.weights.get(path), weight)
        transfers.append(transfer)
        if value is not None:
            values[path] = value
    values |= _rescaled(earlier, now, values)
    transfers += [
        Transfer(path, "left", reason="the new model has none of this name")
        for path in earlier.weights
        if path not in now.weights
    ]
    return values, transfers


def _carried(path: str, old: Weight | None, new: Weight) -> tuple[np.ndarray | None, Transfer]:
    """The value of one weight, or None where nothing can be taken."""

    def fresh(reason: str) -> tuple[None, Transfer]:
        return None, Transfer(path, "fresh", reason=reason)

    if old is None:
        return fresh("the earlier model has none of this name")
    if old.value.dtype != new.value.dtype:
        return fresh(f"dtype was {old.value.dtype}, is {new.value.dtype}")
    if (old.names.rows is None) != (new.names.rows is None):
        return fresh("what its rows stand for is not known of both models")
    sides = ((0, old.names.rows, new.names.rows), (-1, old.names.columns, new.names.columns))
    named = [(axis, before, after) for axis, before, after in sides if before is not None and after is not None]
    free = {axis % max(new.value.ndim, 1) for axis, _, _ in named}
    pairs = enumerate(zip(old.value.shape, new.value.shape, strict=False))
    if old.value.ndim != new.value.ndim or any(axis not in free and a != b for axis, (a, b) in pairs):
        return fresh(f"shape was {old.value.shape}, is {new.value.shape}")
    if not named:
        return old.value, Transfer(path, "taken")
    return _by_name(path, old.value, new.value, named)


def _by_name(
    path: str, old: np.ndarray, new: np.ndarray, named: Sequence[tuple[int, list[str], list[str]]]
) -> tuple[np.ndarray | None, Transfer]:
    """A weight whose rows, columns or both have names."""
    value = new.copy()
    sources, targets = [np.arange(size) for size in new.shape], [np.arange(size) for size in new.shape]
    taken, count, reasons = [], [], []
    for axis, before, after in named:
        index = {name: position for position, name in enumerate(before) if name != UNUSED}
        kept = [(index[name], position) for position, name in enumerate(after) if name in index]
        sources[axis], targets[axis] = (np.array(side, int) for side in (zip(*kept, strict=True) if kept else ((), ())))
        wanted = [name for name in after if name != UNUSED]
        taken.append(len(kept))
        count.append(len(wanted))
        reasons += _differences("row" if axis == 0 else "column", wanted, list(index), kept)
    value[np.ix_(*targets)] = old[np.ix_(*sources)]
    rows, of = taken[0], count[0]
    if not all(taken):
        return None, Transfer(path, "fresh", 0, of, "; ".join(reasons))
    whole = taken == count
    return value, Transfer(path, "taken" if whole else "partly", rows, of, "; ".join(reasons))


def _differences(axis: str, wanted: Sequence[str], known: Sequence[str], kept: Sequence[tuple[int, int]]) -> list[str]:
    """What is to be said of names that are new, gone or elsewhere."""
    before, after = set(known), set(wanted)
    found = []
    for word, names in (
        ("new", [n for n in wanted if n not in before]),
        ("gone", [n for n in known if n not in after]),
    ):
        if names:
            shown = ", ".join(names[:_EXAMPLES]) + (", …" if len(names) > _EXAMPLES else "")
            found.append(f"{len(names):,} {axis}s {word}: {shown}")
    moved = sum(old != new for old, new in kept)
    if moved:
        found.append(f"{moved:,} {axis}s moved")
    return found


def _rescaled(earlier: Stored, now: Stored, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The last layers' weights, so that `scores * deviation + mean` stays what it was under another scale."""
    heads = [path for path, weight in now.weights.items() if weight.names.head]
    if not _moved(earlier, now) or not heads or any(path not in values for path in heads):
        return {}
    ratio = earlier.scale.deviation / now.scale.deviation
    changed = {path: values[path] * np.float32(ratio) for path in heads}
    bias = next((path for path in heads if path.endswith("/bias")), None)
    if bias is not None:
        changed[bias] = changed[bias] + np.float32((earlier.scale.mean - now.scale.mean) / now.scale.deviation)
    return changed


def _moved(earlier: Stored, now: Stored) -> bool:
    return all(model.label.startswith(Regression.__name__) for model in (earlier, now)) and earlier.scale != now.scale


def _notes(earlier: Stored, now: Stored) -> list[str]:
    """What has changed beside the weights."""
    found = []
    for what, before, after in (("model", earlier.model, now.model), ("label", earlier.label, now.label)):
        if before != after:
            found.append(f"{what} was {before}, is {after}")
    for name, kind in now.features.items():
        if name not in earlier.features:
            found.append(f"feature {name!r} is new")
        elif earlier.features[name] != kind:
            found.append(f"feature {name!r} was {earlier.features[name]}, is {kind}")
    found += [f"feature {name!r} is gone" for name in earlier.features if name not in now.features]
    if list(earlier.features) != list(now.features) and set(earlier.features) == set(now.features):
        found.append("the features come in another order")
    buckets = [
        name for name, kind in now.features.items() if kind.startswith("Bucketized") and "buckets=None" not in kind
    ]
    if buckets:
        found.append(f"quantiles are taken by their rank, though their edges may have moved: {', '.join(buckets)}")
    if _moved(earlier, now):
        found.append(
            f"the label's mean was {earlier.scale.mean:g}, is {now.scale.mean:g}, its deviation was "
            f"{earlier.scale.deviation:g}, is {now.scale.deviation:g}: the last layer is rescaled where all of it is taken"
        )
    return found
