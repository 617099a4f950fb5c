"""How well classes are told apart, as metrics of TFMA: of labels of one class a row and of any number.

One pass counts for all metrics of a label: rows by the rank of the true class, and for each class how often it was true,
chosen and both. TFMA makes a pass for each metric and class in its place, and its macro averages take in classes of which
a slice has no row.

- A row's classes are chosen by the largest probability (one class) or by a threshold (any number). Of equal
  probabilities the first class is the larger one.
- Macro averages are over the classes that a slice has, in its labels or in its answers, and precision without an answer
  or recall without a row is 0: as in scikit-learn.
- Areas under the ROC curve take each class against the rest; a class without both kinds of row is left out.
- A metric of rows with an unknown label is NaN.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from pipeline.curves import Counts, computations, roc_area, step_of

_SMALLEST = 1e-7
"""Probability below which the cross-entropy of a sure and wrong answer grows no more; Keras has the same."""
PER_CLASS = ("precision", "recall", "f1", "example_count")
"""What PerClass says of each class."""


@dataclass
class Tally:
    """Sums over rows.

    Attributes:
      rows: how many.
      unknown: how many more have no known label.
      loss: sum of the cross-entropies.
      exact: rows where what was chosen is right as a whole.
      counts: [3, classes]: rows where the class is true, chosen, both.
      ranks: [classes]: rows by the rank of the true class, 0 the best; of labels of one class only.
    """

    rows: float
    unknown: float
    loss: float
    exact: float
    counts: np.ndarray
    ranks: np.ndarray

    @classmethod
    def empty(cls, classes: int) -> "Tally":
        """Of no row."""
        return cls(0.0, 0.0, 0.0, 0.0, np.zeros((3, classes)), np.zeros(classes))

    def add(self, target: np.ndarray, probabilities: np.ndarray, weight: float, threshold: float | None) -> None:
        """Counts a row.

        Args:
          target: the class's position, or 0 and 1 for each class.
          probabilities: [classes].
          weight: of the row.
          threshold: above which a class is chosen; None for labels of one class.
        """
        if not np.isfinite(target).all():
            self.unknown += weight
            return
        if threshold is None:
            self._add_one(int(target.item()), probabilities, weight)
        else:
            self._add_any(target > 0.5, probabilities, weight, threshold)
        self.rows += weight

    def _add_one(self, true: int, probabilities: np.ndarray, weight: float) -> None:
        own, chosen = probabilities[true], int(probabilities.argmax())
        above = np.count_nonzero(probabilities > own) + np.count_nonzero(probabilities[:true] == own)
        self.ranks[above] += weight
        self.counts[0, true] += weight
        self.counts[1, chosen] += weight
        if chosen == true:
            self.counts[2, true] += weight
            self.exact += weight
        self.loss -= weight * math.log(max(float(own), _SMALLEST))

    def _add_any(self, has: np.ndarray, probabilities: np.ndarray, weight: float, threshold: float) -> None:
        said = probabilities > threshold
        self.counts += weight * np.stack([has, said, has & said])
        self.exact += weight * bool((has == said).all())
        yes = probabilities.astype(np.float64)
        self.loss -= weight * float(np.log(np.maximum(np.where(has, yes, 1.0 - yes), _SMALLEST)).mean())

    def merged(self, other: "Tally") -> "Tally":
        """Of the rows of both."""
        return Tally(
            self.rows + other.rows,
            self.unknown + other.unknown,
            self.loss + other.loss,
            self.exact + other.exact,
            self.counts + other.counts,
            self.ranks + other.ranks,
        )

    def by_class(self) -> dict[str, np.ndarray]:
        """Each of PER_CLASS, [classes]."""
        true, chosen, both = self.counts
        return {
            "precision": _share(both, chosen),
            "recall": _share(both, true),
            "f1": _share(2 * both, true + chosen),
        } | {"example_count": true}

    def value(self, name: str) -> float:
        """A metric by name; NaN where it is not defined."""
        if self.unknown or not self.rows:
            return math.nan
        true, chosen, both = self.counts
        kind, _, of = name.partition("_")
        if kind == "macro":
            return float(self.by_class()[of][true + chosen > 0].mean()) if (true + chosen).any() else math.nan
        if name == "lowest_recall":
            return float(self.by_class()["recall"][true > 0].min()) if true.any() else math.nan
        if kind == "micro":
            total = {"precision": chosen.sum(), "recall": true.sum(), "f1": (true + chosen).sum() / 2}[of]
            return float(both.sum() / total) if total else 0.0
        if kind == "top":
            return float(self.ranks[: int(of.partition("_")[0])].sum() / self.rows)
        if name == "hamming_accuracy":
            return 1.0 - float((true + chosen - 2 * both).sum() / (self.rows * true.size))
        return {"cross_entropy": self.loss, "accuracy": self.exact, "exact_match": self.exact}[name] / self.rows


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """A part of a whole, 0 where there is no whole."""
    shares: np.ndarray = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return shares


class Classified(metric_types.Metric):
    """A metric of the decisions, see Tally.value."""

    def __init__(self, name: str, classes: int, threshold: float | None = None, code: str = "") -> None:
        """Of labels of one class, or, with a threshold, of any number.

        `code`, a fingerprint of this module, only makes the Evaluator's cache key depend on it.
        """
        super().__init__(
            metric_util.merge_per_key_computations(computations),
            name=name,
            counted="_tally",
            combiner=lambda key, config: _TallyFn(_Reader(key, config), classes, threshold),
            value=lambda tally: tally.value(name),
        )


class PerClass(metric_types.Metric):
    """PER_CLASS, each under the class's number, as TFMA names what is of one class only."""

    def __init__(self, name: str, classes: int, threshold: float | None = None, code: str = "") -> None:
        """See Classified."""
        super().__init__(
            metric_util.merge_per_key_computations(_of_each_class), name=name, classes=classes, threshold=threshold
        )


class ClassAuc(metric_types.Metric):
    """`micro_auc`: of all pairs of a row and a class; `macro_auc`: the mean of the classes."""

    def __init__(self, name: str, classes: int, threshold: float | None = None, code: str = "") -> None:
        """See Classified."""
        super().__init__(
            metric_util.merge_per_key_computations(computations),
            name=name,
            counted="_steps",
            combiner=lambda key, config: _StepsFn(_Reader(key, config), classes, threshold),
            value=lambda steps: area(name, steps),
        )


def _of_each_class(
    name: str,
    classes: int,
    threshold: float | None = None,
    eval_config: Any = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
    **_: Any,
) -> list[Any]:
    """The count of Classified, class by class."""
    place = {"model_name": model_name, "output_name": output_name, "example_weighted": example_weighted}
    counted = metric_types.MetricKey(name="_tally", **place)
    keys = {
        (part, number): metric_types.MetricKey(name=part, sub_key=metric_types.SubKey(class_id=number), **place)
        for part in PER_CLASS
        for number in range(classes)
    }

    def read_off(results: dict[Any, Any]) -> dict[Any, float]:
        parts = results[counted].by_class()
        return {key: float(parts[part][number]) for (part, number), key in keys.items()}

    counting = _TallyFn(_Reader(counted, eval_config), classes, threshold)
    return [
        metric_types.MetricComputation([counted], None, counting),
        metric_types.DerivedMetricComputation(list(keys.values()), read_off),
    ]


def area(name: str, steps: list[Counts] | None) -> float:
    """`micro_auc` or `macro_auc` of each class's counts; NaN where it is not defined."""
    if steps is None:
        return math.nan
    if name == "micro_auc":
        return roc_area(merged_counts(steps))
    areas = [own for own in map(roc_area, steps) if not math.isnan(own)]
    return float(np.mean(areas)) if areas else math.nan


def merged_counts(several: Iterable[Counts]) -> Counts:
    """Of the rows of all."""
    total: Counts = {}
    for counts in several:
        for step, (negative, positive) in counts.items():
            sums = total.setdefault(step, [0.0, 0.0])
            sums[0] += negative
            sums[1] += positive
    return total


@dataclass(frozen=True)
class _Reader:
    """Target, probabilities and weight of a row of TFMA's."""

    key: metric_types.MetricKey
    eval_config: Any

    def __call__(self, element: metric_types.StandardMetricInputs) -> tuple[np.ndarray, np.ndarray, float]:
        (row,) = metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self.eval_config,
            model_name=self.key.model_name,
            output_name=self.key.output_name,
            example_weighted=self.key.example_weighted,
            flatten=False,
        )
        target, probabilities, weight = row
        return np.ravel(target), np.ravel(probabilities), float(np.ravel(weight)[0])


class _TallyFn(beam.CombineFn):
    """Counts rows, see Tally."""

    def __init__(self, reader: _Reader, classes: int, threshold: float | None) -> None:
        self._reader = reader
        self._classes = classes
        self._threshold = threshold

    def create_accumulator(self) -> Tally:
        return Tally.empty(self._classes)

    def add_input(self, accumulator: Tally, element: metric_types.StandardMetricInputs) -> Tally:
        accumulator.add(*self._reader(element), self._threshold)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Tally]) -> Tally:
        total = Tally.empty(self._classes)
        for accumulator in accumulators:
            total = total.merged(accumulator)
        return total

    def extract_output(self, accumulator: Tally) -> dict[metric_types.MetricKey, Tally]:
        return {self._reader.key: accumulator}


class _StepsFn(beam.CombineFn):
    """Counts, for each class, rows by the step of their log-odds, see `pipeline.curves`; None for an unknown label."""

    def __init__(self, reader: _Reader, classes: int, threshold: float | None) -> None:
        self._reader = reader
        self._classes = classes
        self._single = threshold is None

    def create_accumulator(self) -> list[Counts] | None:
        return [{} for _ in range(self._classes)]

    def add_input(
        self, accumulator: list[Counts] | None, element: metric_types.StandardMetricInputs
    ) -> list[Counts] | None:
        target, probabilities, weight = self._reader(element)
        if accumulator is None or not np.isfinite(target).all():
            return None
        has = np.arange(self._classes) == int(target[0]) if self._single else target > 0.5
        for counts, probability, positive in zip(accumulator, probabilities, has, strict=True):
            counts.setdefault(step_of(float(probability)), [0.0, 0.0])[int(positive)] += weight
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[Counts] | None]) -> list[Counts] | None:
        all_of_them = list(accumulators)
        if any(accumulator is None for accumulator in all_of_them):
            return None
        columns = zip(*(own for own in all_of_them if own is not None), strict=True)
        return [merged_counts(column) for column in columns] or self.create_accumulator()

    def extract_output(self, accumulator: list[Counts] | None) -> dict[metric_types.MetricKey, list[Counts] | None]:
        return {self._reader.key: accumulator}
