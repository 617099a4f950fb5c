"""The metrics of `pipeline.gates` as functions of weights: one call gives a metric's value for each of many weightings.

    auc = statistic("auc", label, target, answers)
    auc(np.ones((1, rows)))           the value, as TFMA has it within 1e-6
    auc(weights)                      [resamples], for a bootstrap

    auc.influence()                   [rows], for a standard error without one

What does not depend on weights (scores, order, losses of rows) is computed once, and once for all metrics of the same rows.
A metric of rows with an unknown label is NaN, as in `pipeline.class_metrics`.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np

from pipeline.evidence.areas import Falling, precision_recall_area, roc_area
from pipeline.evidence.class_measures import Decisions, of_classes
from pipeline.evidence.statistic import Statistic, mean, ratio, undefined
from pipeline.labels import Classes, Label, MultiLabel

_SMALLEST = 1e-7
"""Probability below which a cross-entropy grows no more; Keras has the same."""
_FROM_NOTHING = frozenset({"binary_cross_entropy", "cross_entropy", "mae", "mse", "rmse", "example_count"})
_UNBOUNDED = frozenset({"mean_label", "mean_prediction", "calibration"})


def statistic(name: str, label: Label, target: np.ndarray, answers: np.ndarray) -> Statistic:
    """A metric of some rows, see `statistics`."""
    return statistics((name,), label, target, answers)[name]


def statistics(names: Iterable[str], label: Label, target: np.ndarray, answers: np.ndarray) -> dict[str, Statistic]:
    """Metrics of the same rows.

    Args:
      names: some of `label.measures`.
      label: the task's.
      target: [rows, *shape], NaN where unknown.
      answers: the label's main output, [rows] or [rows, classes].

    Returns:
      Name -> the metric.
    """
    rows = len(target)
    found = {"example_count": Statistic(lambda weights: weights.sum(1), lambda: np.ones(rows))}
    others = [name for name in dict.fromkeys(names) if name != "example_count"]
    if not rows or not np.isfinite(target).all() or not np.isfinite(answers).all():
        found |= {name: undefined(rows) for name in others}
    elif isinstance(label, Classes):
        decisions = Decisions(label, target, np.asarray(answers))
        found |= {name: of_classes(name, decisions) for name in others}
    else:
        found |= _of_one_number(others, target.reshape(-1), answers.reshape(-1))
    return {name: found[name] for name in names}


def range_of(name: str) -> tuple[float, float]:
    """The smallest and the largest value that a metric can have."""
    if name in _UNBOUNDED:
        return -np.inf, np.inf
    return (0.0, np.inf) if name in _FROM_NOTHING else (0.0, 1.0)


def support(name: str, label: Label, target: np.ndarray, answers: np.ndarray) -> int:
    """The number of rows that a metric rests on: for `rule_of_three` where resampling shows no spread.

    All rows of a share of rows; the positive ones of recall; those of the rarer class of an area or a macro average.
    """
    if name.startswith("macro_") or name == "lowest_recall":
        counts = target.sum(0) if isinstance(label, MultiLabel) else np.unique(target, return_counts=True)[1]
        return int(min((count for count in counts if count), default=0))
    if isinstance(label, Classes):
        return len(target)
    positive = int((target.reshape(-1) > 0.5).sum())
    chosen = int((answers.reshape(-1) > 0.5).sum())
    return {
        "auc": min(positive, len(target) - positive),
        "auc_pr": positive,
        "recall": positive,
        "precision": chosen,
    }.get(name, len(target))


def _of_one_number(names: Iterable[str], target: np.ndarray, answers: np.ndarray) -> dict[str, Statistic]:
    """Of Binary and Regression labels."""
    positive, chosen = target > 0.5, answers > 0.5

    @cache
    def falling() -> Falling:
        return Falling(positive, answers)

    makers = {
        "auc": lambda: roc_area(falling()),
        "auc_pr": lambda: precision_recall_area(falling()),
        "binary_accuracy": lambda: mean(positive == chosen),
        "precision": lambda: ratio(positive & chosen, chosen),
        "recall": lambda: ratio(positive & chosen, positive),
        "binary_cross_entropy": lambda: mean(_losses(target, answers)),
        "mae": lambda: mean(np.abs(_off(target, answers))),
        "mse": lambda: mean(_off(target, answers) ** 2),
        "rmse": lambda: _root(mean(_off(target, answers) ** 2)),
        "squared_pearson": lambda: _squared_pearson(target, answers),
        "mean_label": lambda: mean(target),
        "mean_prediction": lambda: mean(answers),
        "calibration": lambda: ratio(answers, target),
    }
    return {name: makers[name]() for name in names}


def _off(target: np.ndarray, answers: np.ndarray) -> np.ndarray:
    return np.asarray(answers.astype(np.float64) - target)


def _losses(target: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The cross-entropy of each row, as Keras has it in float32."""
    one = np.float32(1)
    sure = np.clip(answers.astype(np.float32), np.float32(_SMALLEST), one - np.float32(_SMALLEST))
    yes, no = np.log(sure + np.float32(_SMALLEST)), np.log(one - sure + np.float32(_SMALLEST))
    return -(target.astype(np.float64) * yes + (1 - target.astype(np.float64)) * no)


def _root(square: Statistic) -> Statistic:
    """The square root of a metric."""

    def influence() -> np.ndarray:
        own = square.influence()
        value = np.sqrt(square(np.ones((1, len(own)))))
        return own / (2 * value) if value > 0 else own

    return Statistic(lambda weights: np.sqrt(square(weights)), influence, square.carriers)


def _squared_pearson(target: np.ndarray, answers: np.ndarray) -> Statistic:
    one, other = (values - values.mean(dtype=np.float64) for values in (target, answers))

    def squared(weights: np.ndarray) -> np.ndarray:
        x, y, xx, yy, xy = (weights @ moment for moment in (one, other, one * one, other * other, one * other))
        count = weights.sum(1)
        shared = (count * xy - x * y) ** 2
        spread = (count * xx - x * x) * (count * yy - y * y)
        return np.divide(shared, spread, out=np.full(len(spread), np.nan), where=spread > 0)

    def influence() -> np.ndarray:
        """The means are 0 here, and move nothing to the first order."""
        xx, yy, xy = one @ one, other @ other, one @ other
        return np.asarray(2 * xy / (xx * yy) * one * other - xy**2 / (xx * yy) * (one**2 / xx + other**2 / yy))

    return Statistic(squared, influence)
