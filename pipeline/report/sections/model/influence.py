"""Permutation importance of the candidate's features, in the metric that the task's gates go by."""

from typing import Any

import numpy as np

from pipeline.evidence import measures
from pipeline.gates import GAPS, HIGHER_IS_BETTER
from pipeline.importance import Importance, afford, chosen, importance
from pipeline.report.sections.model.rows import Asked
from pipeline.task import Task

BUDGET = 0.8
"""Seconds for all columns together."""
_SEED = 1


def metric_of(task: Task) -> str | None:
    """The metric of the first gate, or the first metric, that is better in one direction."""
    gated = [gate.metric for gate in task.evaluation.gates if gate.metric not in GAPS]
    return next((name for name in (*gated, *task.evaluation.metrics) if HIGHER_IS_BETTER.get(name) is not None), None)


def collect(task: Task, asked: Asked, budget: float = BUDGET) -> dict[str, Any]:
    """How much worse the metric becomes when a feature's column is shuffled among the rows.

    Args:
      task: whose features they are.
      asked: the candidate and the rows.
      budget: seconds.

    Returns:
      reason: why there is nothing, or None; metric, rows, repeats; features: name, mean, low, high: the mean, the least and
      the largest of the repeats, the most important first.
    """
    metric = metric_of(task)
    if len(task.features) == 1:
        return _none(f"The model reads one column only, {task.features[0].name}: there is nothing to compare it with.")
    if metric is None:
        return _none("No metric of the task is better in one direction.")
    plan = afford(asked.seconds_a_row, asked.rows, len(asked.columns), budget)
    if plan is None:
        return _none(f"Asking the model often enough would take more than {budget:g} seconds.")
    rows = chosen(asked.rows, plan, _SEED)
    sign = -1.0 if HIGHER_IS_BETTER[metric] else 1.0
    target, ones = asked.target[rows], np.ones((1, len(rows)))

    def loss(answers: np.ndarray) -> float:
        return sign * float(measures.statistic(metric, task.label, target, answers)(ones)[0])

    columns = {name: values[rows] for name, values in asked.columns.items()}
    found = importance(columns, asked.answer, loss, plan.repeats, seed=_SEED)
    if not all(np.isfinite(each.mean) for each in found):
        return _none(f"{metric} is not defined on the {len(rows):,} rows that were asked.")
    return {
        "reason": None,
        "metric": metric,
        "rows": len(rows),
        "repeats": plan.repeats,
        "features": [_told(each) for each in found],
    }


def _told(found: Importance) -> dict[str, Any]:
    return {"name": found.column, "mean": found.mean, "low": min(found.losses), "high": max(found.losses)}


def _none(reason: str) -> dict[str, Any]:
    return {"reason": reason, "metric": None, "rows": None, "repeats": None, "features": []}
