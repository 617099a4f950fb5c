"""Everything that an evaluation found, as `evidence.json` has it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evidence import bootstrap
from pipeline.evidence.cuts import Cut, Values, cuts
from pipeline.evidence.fairness import fairness
from pipeline.evidence.intervals import Interval, quantile
from pipeline.evidence.standing import Standing
from pipeline.evidence.tables import BASELINE, CANDIDATE, Measured, Table, table
from pipeline.evidence.verdicts import verdicts
from pipeline.task import Task

NAME = "evidence.json"
VERSION = 1


@dataclass(frozen=True)
class Columns:
    """What evidence is made from.

    Attributes:
      target: [rows, *shape] float32, NaN where unknown.
      answers: "candidate" and, where it is comparable, "baseline" -> the label's main output, [rows] or [rows, classes].
      slices: raw column -> text or the name of a range, None where there is no value.
    """

    target: np.ndarray
    answers: Mapping[str, np.ndarray]
    slices: Mapping[str, Values]


@dataclass(frozen=True)
class Found:
    """What was measured, before it is judged.

    Attributes:
      cuts: the slices, all rows first.
      table: each metric of each of them.
    """

    cuts: Sequence[Cut]
    table: Table


def measure(task: Task, columns: Columns) -> Found:
    """The metrics of all rows and of each slice, with their noise."""
    rules = task.evaluation
    found = cuts(columns.slices, rules.crosses, len(columns.target))
    measured = table(
        rules.metrics,
        task.label,
        columns.target,
        columns.answers,
        found,
        min_slice=rules.min_slice,
        resamples=rules.resamples,
        seed=rules.seed,
    )
    return Found(found, measured)


def report(
    task: Task, columns: Columns, standing: Standing, split: str, force: str = "", found: Found | None = None
) -> dict[str, Any]:
    """Measures and judges.

    Args:
      task: whose evaluation it is.
      columns: of all rows of the split.
      standing: of the baseline.
      split: its name.
      force: why a candidate is to be promoted even where gates fail; "" where it is not.
      found: what `measure` gives, where it is known.

    Returns:
      What can be written as JSON: `{"version", "task", "split", "rows", "confidence", "resamples", "seed", "min_slice",
      "baseline": {"status", "said", "uri"}, "metrics": {name: …}, "slices": {name: {"columns", "n", "judged", "metrics":
      {name: …}}}, "fairness": {column: {"candidate": …, "baseline": …}}, "verdicts": […], "passed", "blessed", "forced",
      "force_reason"}`. A metric is `{"candidate", "interval", "baseline", "difference", "difference_interval", "reason"}`;
      what has no value is None, and `reason` says why.
    """
    rules, label, rows = task.evaluation, task.label, len(columns.target)
    found = found or measure(task, columns)
    fair = {
        column: fairness(
            [cut for cut in found.cuts if cut.cross == (column,)],
            label,
            rules.favourable,
            columns.target,
            columns.answers,
            min_slice=rules.min_slice,
            confidence=rules.confidence,
        )
        for column in rules.groups
    }
    judged = verdicts(rules, found.cuts, found.table, fair, standing)
    passed = all(verdict["passed"] for verdict in judged)
    forced = bool(force) and not passed
    return as_json(
        {
            "version": VERSION,
            "task": task.name,
            "split": split,
            "rows": rows,
            "confidence": rules.confidence,
            "resamples": rules.resamples if rows <= bootstrap.MOST_ROWS else 0,
            "seed": rules.seed,
            "min_slice": rules.min_slice,
            "baseline": {"status": standing.status, "said": standing.said, "uri": standing.uri},
            "metrics": _metrics(found.cuts[0], rules.metrics, found.table, quantile(rules.confidence)),
            "slices": _slices(found.cuts[1:], task, found.table),
            "fairness": fair,
            "verdicts": judged,
            "passed": passed,
            "blessed": passed or forced,
            "forced": forced,
            "force_reason": force if forced else "",
        }
    )


def _slices(found: Sequence[Cut], task: Task, measured: Table) -> dict[str, Any]:
    """Each slice; the intervals of a cross are corrected for its slices that are judged."""
    rules = task.evaluation
    large = {cross: 0 for cross in {cut.cross for cut in found}}
    for cut in found:
        large[cut.cross] += cut.count >= rules.min_slice
    return {
        cut.name: {
            "columns": list(cut.cross),
            "n": cut.count,
            "judged": cut.count >= rules.min_slice,
            "metrics": _metrics(cut, rules.metrics, measured, quantile(rules.confidence, max(large[cut.cross], 1))),
        }
        for cut in found
    }


def _metrics(cut: Cut, metrics: tuple[str, ...], measured: Table, z: float) -> dict[str, Any]:
    return {metric: _metric(measured[cut.name, metric], z) for metric in metrics}


def _metric(found: Measured, z: float) -> dict[str, Any]:
    return {
        CANDIDATE: found.candidate,
        "interval": _pair(found.interval(z)),
        BASELINE: found.baseline,
        "difference": found.difference,
        "difference_interval": _pair(found.difference_interval(z)),
        "reason": found.problem or None,
    }


def _pair(interval: Interval) -> list[float] | None:
    return None if math.isnan(interval[0]) else list(interval)


def as_json(value: Any) -> Any:
    """A value with plain numbers and lists; what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, np.generic):
        return as_json(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
