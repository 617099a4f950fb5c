"""The metrics of `pipeline.gates` as functions of weights: one call gives a metric's value for each of many weightings.

    auc = statistic("auc", label, target, answers)
    auc(np.ones((1, rows)))           the value, as TFMA has it within 1e-6
    auc(weights)                      [resamples], for a bootstrap

What does not depend on weights (scores, order, losses of rows) is computed once. A metric of rows with an unknown label
is NaN, as in `pipeline.class_metrics`, whose definitions are these.
"""

from collections.abc import Callable

import numpy as np

from pipeline.evidence.areas import Statistic, precision_recall_area, roc_area
from pipeline.labels import Classes, Label, MultiLabel

_SMALLEST = 1e-7
"""Probability below which a cross-entropy grows no more; Keras has the same."""
_FROM_NOTHING = frozenset({"binary_cross_entropy", "cross_entropy", "mae", "mse", "rmse", "example_count"})
_UNBOUNDED = frozenset({"mean_label", "mean_prediction", "calibration"})


def statistic(name: str, label: Label, target: np.ndarray, answers: np.ndarray) -> Statistic:
    """A metric of some rows.

    Args:
      name: one of `label.measures`.
      label: the task's.
      target: [rows, *shape], NaN where unknown.
      answers: the label's main output, [rows] or [rows, classes].

    Returns:
      A function of weights [weightings, rows] to [weightings].
    """
    if name == "example_count":
        return lambda weights: np.asarray(weights.sum(1), np.float64)
    if not np.isfinite(target).all() or not np.isfinite(answers).all() or not len(target):
        return lambda weights: np.full(len(weights), np.nan)
    if isinstance(label, Classes):
        return _of_classes(name, label, target, np.asarray(answers))
    return _of_one_number(name, target.reshape(-1).astype(np.float64), answers.reshape(-1).astype(np.float64))


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


def _of_one_number(name: str, target: np.ndarray, answers: np.ndarray) -> Statistic:
    """Of Binary and Regression labels."""
    positive, chosen = target > 0.5, answers > 0.5
    off = answers - target
    if name == "auc":
        return roc_area(positive, answers)
    if name == "auc_pr":
        return precision_recall_area(positive, answers)
    if name == "rmse":
        mean_square = _mean(off * off)
        return lambda weights: np.sqrt(mean_square(weights))
    if name == "squared_pearson":
        return _squared_pearson(target, answers)
    rows = {
        "binary_accuracy": lambda: _mean(positive == chosen),
        "precision": lambda: _ratio(positive & chosen, chosen),
        "recall": lambda: _ratio(positive & chosen, positive),
        "binary_cross_entropy": lambda: _mean(_losses(target, answers)),
        "mae": lambda: _mean(np.abs(off)),
        "mse": lambda: _mean(off * off),
        "mean_label": lambda: _mean(target),
        "mean_prediction": lambda: _mean(answers),
        "calibration": lambda: _ratio(answers, target),
    }
    return rows[name]()


def _losses(target: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The cross-entropy of each row, as Keras has it in float32."""
    one = np.float32(1)
    sure = np.clip(answers.astype(np.float32), np.float32(_SMALLEST), one - np.float32(_SMALLEST))
    yes, no = np.log(sure + np.float32(_SMALLEST)), np.log(one - sure + np.float32(_SMALLEST))
    return np.asarray(-(target * yes + (1 - target) * no), np.float64)


def _mean(values: np.ndarray) -> Statistic:
    return _ratio(values, np.ones(len(values)))


def _ratio(part: np.ndarray, whole: np.ndarray) -> Statistic:
    """A sum over a sum; NaN where the second is 0."""
    both = np.stack([part, whole], 1).astype(np.float64)

    def ratio(weights: np.ndarray) -> np.ndarray:
        sums = weights @ both
        return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] != 0)

    return ratio


def _squared_pearson(target: np.ndarray, answers: np.ndarray) -> Statistic:
    one, other = target - target.mean(), answers - answers.mean()
    moments = np.stack([np.ones_like(one), one, other, one * one, other * other, one * other], 1)

    def squared(weights: np.ndarray) -> np.ndarray:
        count, x, y, xx, yy, xy = (weights @ moments).T
        shared = (count * xy - x * y) ** 2
        spread = (count * xx - x * x) * (count * yy - y * y)
        return np.divide(shared, spread, out=np.full(len(spread), np.nan), where=spread > 0)

    return squared


def _of_classes(name: str, label: Classes, target: np.ndarray, probabilities: np.ndarray) -> Statistic:
    """Of labels of one class a row and of any number, see `pipeline.class_metrics.Tally`."""
    several = isinstance(label, MultiLabel)
    if name.endswith("_auc"):
        has = target > 0.5 if several else target.reshape(-1, 1) == np.arange(len(label.names))
        return _area_of_classes(name, has, probabilities)
    if isinstance(label, MultiLabel):
        has, said = target > 0.5, probabilities > label.threshold
        if name == "cross_entropy":
            yes = np.where(has, probabilities, 1.0 - probabilities.astype(np.float64))
            return _mean(-np.log(np.maximum(yes, _SMALLEST)).mean(1))
        if name in ("exact_match", "hamming_accuracy"):
            return _mean((has == said).all(1) if name == "exact_match" else (has == said).mean(1))
        parts = [part.astype(np.float64) for part in (has, said, has & said)]
        return _of_counts(name, lambda weights: np.stack([weights @ part for part in parts]))
    true = target.reshape(-1).astype(np.int64)
    own = probabilities[np.arange(len(true)), true]
    chosen = probabilities.argmax(1)
    if name == "cross_entropy":
        return _mean(-np.log(np.maximum(own.astype(np.float64), _SMALLEST)))
    if name == "accuracy":
        return _mean(chosen == true)
    if name.startswith("top_"):
        before = (probabilities == own[:, None]) & (np.arange(probabilities.shape[1]) < true[:, None])
        return _mean((probabilities > own[:, None]).sum(1) + before.sum(1) < int(name.split("_")[1]))
    classes = len(label.names)
    sums = [_sums_by(codes, classes) for codes in (true, chosen, np.where(true == chosen, true, -1))]
    return _of_counts(name, lambda weights: np.stack([by(weights) for by in sums]))


def _sums_by(codes: np.ndarray, count: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function of weights to their sums by code, [weightings, count]; code -1 is left out."""
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] >= 0]
    present, starts = np.unique(codes[order], return_index=True)

    def sums(weights: np.ndarray) -> np.ndarray:
        found = np.zeros((len(weights), count))
        if len(present):
            found[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
        return found

    return sums


def _of_counts(name: str, counts: Callable[[np.ndarray], np.ndarray]) -> Statistic:
    """Of what is true, chosen and both, by class: [3, weightings, classes]."""
    kind, _, of = name.partition("_")

    def value(weights: np.ndarray) -> np.ndarray:
        true, chosen, both = counts(weights)
        parts = {"precision": (both, chosen), "recall": (both, true), "f1": (2 * both, true + chosen)}
        if kind == "micro":
            part, whole = (side.sum(1) for side in parts[of])
            return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
        part, whole = parts["recall" if name == "lowest_recall" else of]
        shares = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
        counted = true > 0 if name == "lowest_recall" else true + chosen > 0
        some = counted.any(1)
        if name == "lowest_recall":
            return np.where(some, np.where(counted, shares, np.inf).min(1), np.nan)
        return np.where(some, np.where(counted, shares, 0).sum(1) / np.maximum(counted.sum(1), 1), np.nan)

    return value


def _area_of_classes(name: str, has: np.ndarray, probabilities: np.ndarray) -> Statistic:
    """`micro_auc`: of all pairs of a row and a class; `macro_auc`: the mean of the classes that have both kinds of row."""
    if name == "micro_auc":
        area = roc_area(has.ravel(), probabilities.ravel())
        return lambda weights: area(np.repeat(weights, has.shape[1], axis=1))
    areas = [roc_area(has[:, i], probabilities[:, i]) for i in range(has.shape[1])]

    def mean(weights: np.ndarray) -> np.ndarray:
        each = np.stack([area(weights) for area in areas])
        known = np.isfinite(each)
        count = known.sum(0)
        return np.divide(np.where(known, each, 0).sum(0), count, out=np.full(len(weights), np.nan), where=count > 0)

    return mean
