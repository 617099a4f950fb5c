"""Metrics of labels of one class a row and of any number, as functions of weights; `pipeline.class_metrics` defines them.

Whatever is averaged over classes is made of three counts of each class: the rows where it is true, chosen, and both.
"""

from collections.abc import Callable

import numpy as np

from pipeline.evidence.areas import Falling, roc_area
from pipeline.evidence.statistic import Statistic, divided, mean
from pipeline.labels import Classes, MultiLabel

_SMALLEST = 1e-7
"""Probability below which a cross-entropy grows no more; Keras has the same."""


class Decisions:
    """Which classes are true and which are chosen, of some rows.

    Attributes:
      classes: how many there are.
      true: the position of each row's class, [rows], or which classes it has, booleans [rows, classes].
      chosen: likewise.
    """

    def __init__(self, label: Classes, target: np.ndarray, probabilities: np.ndarray) -> None:
        """Decides by the largest probability, or by the label's threshold.

        Args:
          label: the task's.
          target: [rows, *shape], without unknown ones.
          probabilities: [rows, classes].
        """
        self.classes = len(label.names)
        self.several = isinstance(label, MultiLabel)
        self.probabilities = probabilities
        if isinstance(label, MultiLabel):
            self.true, self.chosen = target > 0.5, probabilities > label.threshold
        else:
            self.true, self.chosen = target.reshape(-1).astype(np.int32), probabilities.argmax(1).astype(np.int32)

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is true, chosen and both: positions with -1 for no class, [rows], or booleans, [rows, classes]."""
        if self.several:
            return self.true, self.chosen, self.true & self.chosen
        return self.true, self.chosen, np.where(self.true == self.chosen, self.true, np.int32(-1))

    def counts(self) -> np.ndarray:
        """The rows where each class is true, chosen and both, float64 [3, classes]."""
        if self.several:
            return np.stack([part.sum(0) for part in self.parts()]).astype(np.float64)
        return np.stack([np.bincount(own[own >= 0], minlength=self.classes) for own in self.parts()]).astype(np.float64)

    def summed(self) -> Callable[[np.ndarray], np.ndarray]:
        """A function of weights, [weightings, rows], to `counts` of each, [3, weightings, classes]."""
        if self.several:
            sides = [part.astype(np.float64) for part in self.parts()]
            return lambda weights: np.stack([weights @ side for side in sides])
        sums = [_sums_by(codes, self.classes) for codes in self.parts()]
        return lambda weights: np.stack([by(weights) for by in sums])

    def spread(self, by_class: np.ndarray) -> np.ndarray:
        """Values of each class for what is true, chosen and both, [3, classes], summed over what each row is, [rows]."""
        if self.several:
            return np.asarray(sum(part @ own for part, own in zip(self.parts(), by_class, strict=True)))
        padded = np.concatenate([by_class, np.zeros((3, 1))], axis=1)  # position -1 is the last one
        return np.asarray(sum(own[codes] for codes, own in zip(self.parts(), padded, strict=True)))


def of_classes(name: str, decisions: Decisions) -> Statistic:
    """A metric by its name, see `pipeline.class_metrics.Tally.value`."""
    true, chosen, probabilities = decisions.true, decisions.chosen, decisions.probabilities
    if name.endswith("_auc"):
        return _area(name, true if decisions.several else true[:, None] == np.arange(decisions.classes), probabilities)
    if decisions.several and name == "cross_entropy":
        yes = np.where(true, probabilities, 1.0 - probabilities.astype(np.float64))
        return mean(-np.log(np.maximum(yes, _SMALLEST)).mean(1))
    if name in ("exact_match", "hamming_accuracy"):
        return mean((true == chosen).all(1) if name == "exact_match" else (true == chosen).mean(1))
    if name == "accuracy":
        return mean(chosen == true)
    if name == "cross_entropy" or name.startswith("top_"):
        own = probabilities[np.arange(len(true)), true]
        if name == "cross_entropy":
            return mean(-np.log(np.maximum(own.astype(np.float64), _SMALLEST)))
        before = (probabilities == own[:, None]) & (np.arange(probabilities.shape[1]) < true[:, None])
        return mean((probabilities > own[:, None]).sum(1) + before.sum(1) < int(name.split("_")[1]))
    return _of_counts(name, decisions)


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


_PARTS = {"precision": ((0, 0, 1), (0, 1, 0)), "recall": ((0, 0, 1), (1, 0, 0)), "f1": ((0, 0, 2), (1, 1, 0))}
"""Share -> how often what is true, chosen and both counts in the part, and in the whole."""


def _of_counts(name: str, decisions: Decisions) -> Statistic:
    """Of the counts by class: shares of all classes together, the mean of each class's, or the lowest recall."""
    kind, _, of = name.partition("_")
    in_part, in_whole = (np.array(side, np.float64) for side in _PARTS["recall" if kind == "lowest" else of])
    summed = decisions.summed()

    def sides(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        part, whole = (np.tensordot(side, counts, 1) for side in (in_part, in_whole))
        return (part.sum(-1, keepdims=True), whole.sum(-1, keepdims=True)) if kind == "micro" else (part, whole)

    def counted(counts: np.ndarray) -> np.ndarray:
        """Which classes take part."""
        return np.asarray(counts[0] > 0 if kind == "lowest" else counts[0] + counts[1] > 0)

    def values(weights: np.ndarray) -> np.ndarray:
        counts = summed(weights)
        shares = divided(*sides(counts), otherwise=0.0)
        if kind == "micro":
            return np.asarray(shares[:, 0])
        there = counted(counts)
        if kind == "lowest":
            return np.where(there.any(1), np.where(there, shares, np.inf).min(1), np.nan)
        return np.where(there.any(1), np.where(there, shares, 0).sum(1) / np.maximum(there.sum(1), 1), np.nan)

    def influence() -> np.ndarray:
        """A class's share moves as any ratio does. The lowest recall moves as that of the class which has it."""
        counts = decisions.counts()
        part, whole = sides(counts)
        shares, there = divided(part, whole, 0.0), counted(counts)
        if kind == "lowest":
            there = np.arange(decisions.classes) == np.where(there, shares, np.inf).argmin()
        pace = divided(np.ones_like(whole), whole, 0.0) * (1.0 if kind == "micro" else there / there.sum())
        by_class = np.multiply.outer(in_part, pace) - np.multiply.outer(in_whole, pace * shares)
        return decisions.spread(np.broadcast_to(by_class, (3, decisions.classes)))

    return Statistic(values, influence)


def _area(name: str, has: np.ndarray, probabilities: np.ndarray) -> Statistic:
    """`micro_auc`: of all pairs of a row and a class; `macro_auc`: the mean of the classes that have both kinds of row."""
    rows, classes = has.shape
    if name == "micro_auc":
        area = roc_area(Falling(has.ravel(), probabilities.ravel()))
        return Statistic(
            lambda weights: area(np.repeat(weights, classes, axis=1)),
            lambda: area.influence().reshape(rows, classes).sum(1),
            area.carriers,
        )
    areas = [roc_area(Falling(has[:, i], probabilities[:, i])) for i in range(classes)]

    def averaged(weights: np.ndarray) -> np.ndarray:
        each = np.stack([own(weights) for own in areas])
        known = np.isfinite(each)
        return divided(np.where(known, each, 0).sum(0), known.sum(0).astype(np.float64))

    def influence() -> np.ndarray:
        known = [own for own in areas if min(own.carriers)]
        return np.asarray(sum(own.influence() for own in known) / len(known))

    return Statistic(averaged, influence, max((own.carriers for own in areas), key=min))
