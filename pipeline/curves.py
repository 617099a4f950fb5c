"""Areas under the ROC and the precision-recall curve, as metrics of TFMA.

TFMA's own cut the probability into 10,000 equal steps. A model that is sure of most rows puts most of them into one
step: on the taxi trips that was 0.0005 off, and in a slice that has one class only the area came out as 0. Here the
steps are equal in the log-odds (0.0001, up to 90 on either side, where float32 ends), which keeps sure rows apart, and
an area that is not defined is NaN. A slice's accumulator grows with its distinct predictions.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from pipeline.evidence.areas import LIMIT, STEP

Counts = dict[int, list[float]]
"""Step of the log-odds -> weight of the negative and of the positive rows in it."""


class Auc(metric_types.Metric):
    """Area under the ROC curve: the chance that a positive row scores above a negative one; ties count half."""

    def __init__(self, name: str = "auc", code: str = "") -> None:
        """`code`, a fingerprint of this module, only makes the Evaluator's cache key depend on it."""
        super().__init__(
            metric_util.merge_per_key_computations(computations),
            name=name,
            counted="_curve",
            combiner=_Combiner,
            value=roc_area,
        )


class AucPr(metric_types.Metric):
    """Area under the precision-recall curve, interpolated as in Davis & Goadrich (2006)."""

    def __init__(self, name: str = "auc_pr", code: str = "") -> None:
        """See Auc."""
        super().__init__(
            metric_util.merge_per_key_computations(computations),
            name=name,
            counted="_curve",
            combiner=_Combiner,
            value=precision_recall_area,
        )


def computations(
    name: str,
    counted: str,
    combiner: Callable[[metric_types.MetricKey, Any], beam.CombineFn],
    value: Callable[[Any], float],
    eval_config: Any = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
    **_: Any,
) -> list[Any]:
    """What TFMA runs for a model and an output: a count, made once for all metrics that ask for it, and what is read off it.

    Args:
      name: of the metric.
      counted: of the count; metrics of the same name share it.
      combiner: a function of the count's key and of TFMA's configuration to what counts.
      value: a function of the count to the metric's value.
      eval_config: this and the rest is TFMA's.
    """
    place = {"model_name": model_name, "output_name": output_name, "example_weighted": example_weighted}
    key, count = (metric_types.MetricKey(name=own, **place) for own in (name, counted))

    def read_off(results: dict[Any, Any]) -> dict[Any, float]:
        return {key: value(results[count])}

    return [
        metric_types.MetricComputation([count], None, combiner(count, eval_config)),
        metric_types.DerivedMetricComputation([key], read_off),
    ]


class _Combiner(beam.CombineFn):
    """Counts rows by the step of their log-odds."""

    def __init__(self, key: metric_types.MetricKey, eval_config: Any) -> None:
        self._key = key
        self._eval_config = eval_config

    def create_accumulator(self) -> Counts:
        return {}

    def add_input(self, accumulator: Counts, element: metric_types.StandardMetricInputs) -> Counts:
        for label, prediction, weight in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            example_weighted=self._key.example_weighted,
        ):
            counts = accumulator.setdefault(step_of(float(prediction.item())), [0.0, 0.0])
            counts[int(label.item() > 0)] += float(weight.item())
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Counts]) -> Counts:
        merged: Counts = {}
        for accumulator in accumulators:
            for step, (negative, positive) in accumulator.items():
                counts = merged.setdefault(step, [0.0, 0.0])
                counts[0] += negative
                counts[1] += positive
        return merged

    def extract_output(self, accumulator: Counts) -> dict[metric_types.MetricKey, Counts]:
        return {self._key: accumulator}


def step_of(probability: float) -> int:
    """The step of the log-odds that a probability falls in."""
    if not 0.0 < probability < 1.0:
        return round(math.copysign(LIMIT / STEP, probability - 0.5))
    odds = math.log(probability) - math.log1p(-probability)
    return round(max(-LIMIT, min(LIMIT, odds)) / STEP)


def _falling(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Negatives and positives in each step, the highest score first."""
    steps = sorted(counts, reverse=True)
    weights = np.array([counts[step] for step in steps], float).reshape(-1, 2)
    return weights[:, 0], weights[:, 1]


def roc_area(counts: Counts) -> float:
    """The area under the ROC curve, by trapezoids; NaN where a class is absent."""
    negative, positive = _falling(counts)
    pairs = negative.sum() * positive.sum()
    if not pairs:
        return math.nan
    above = np.cumsum(positive) - positive
    return float(np.sum(negative * (above + positive / 2)) / pairs)


def precision_recall_area(counts: Counts) -> float:
    """The area under the precision-recall curve; NaN where there is no positive row.

    Between two thresholds false positives grow linearly with true positives: with `slope` the share of positives among
    the rows between them, the area is `slope * (dTP + intercept * log(P1 / P0)) / positives`.
    """
    negative, positive = _falling(counts)
    if not positive.sum():
        return math.nan
    added = negative + positive
    true, predicted = np.cumsum(positive), np.cumsum(added)
    slope = positive / added
    intercept = true - slope * predicted
    before = predicted - added
    growth = np.divide(predicted, before, out=np.ones_like(predicted), where=before > 0)
    return float(np.sum(slope * (positive + intercept * np.log(growth))) / positive.sum())
