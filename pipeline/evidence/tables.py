"""Each metric of each slice: the candidate's value, the baseline's, their difference, and how far these would move."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.evidence import bootstrap, linear, measures
from pipeline.evidence.cuts import Cut
from pipeline.evidence.intervals import UNKNOWN, Interval, around, rule_of_three
from pipeline.evidence.statistic import Statistic
from pipeline.labels import Label

CANDIDATE = "candidate"
BASELINE = "baseline"
Table = dict[tuple[str, str], "Measured"]
"""(Slice's name, metric) -> what was measured."""


@dataclass(frozen=True)
class Measured:
    """A metric of a slice.

    Attributes:
      metric: its name.
      cut: the slice.
      candidate: the value; NaN where it is not defined, with the reason in `problem`.
      baseline: likewise; NaN without a baseline.
      error: standard error of the candidate's value; NaN where it was not estimated.
      difference_error: of the difference, on the same rows.
      support: how many rows the metric rests on.
      same: candidate and baseline answer alike in each row.
      problem: why there is no value, or "".
    """

    metric: str
    cut: Cut
    candidate: float
    baseline: float
    error: float
    difference_error: float
    support: int
    same: bool
    problem: str

    @property
    def difference(self) -> float:
        """The candidate's value less the baseline's."""
        return self.candidate - self.baseline

    def interval(self, z: float) -> Interval:
        """Of the candidate's value."""
        bounds = measures.range_of(self.metric)
        return around(self.candidate, self._spread(self.error, z) / z, z, bounds)

    def difference_interval(self, z: float) -> Interval:
        """Of the difference; without width where both answer alike, and UNKNOWN without a baseline."""
        if math.isnan(self.difference):
            return UNKNOWN
        if self.same:
            return self.difference, self.difference
        return around(self.difference, self._spread(self.difference_error, z) / z, z)

    def _spread(self, error: float, z: float) -> float:
        """How far an interval reaches. A share that no resample moves is known as well as its rows are many."""
        if error == 0 and math.isfinite(measures.range_of(self.metric)[1]):
            return rule_of_three(self.support, z)
        return z * error


def table(
    metrics: Sequence[str],
    label: Label,
    target: np.ndarray,
    answers: Mapping[str, np.ndarray],
    cuts: Sequence[Cut],
    *,
    min_slice: int,
    resamples: int,
    seed: int,
) -> Table:
    """Each metric of each slice.

    Args:
      metrics: names.
      label: the task's.
      target: [rows, *shape].
      answers: CANDIDATE and, where there is one, BASELINE -> the label's main output, [rows] or [rows, classes].
      cuts: the slices, `overall` among them.
      min_slice: slices of fewer rows get values only.
      resamples: of the bootstrap; past `bootstrap.MOST_ROWS` rows there is none, see `pipeline.evidence.linear`.
      seed: of it.
    """
    rows = len(target)
    found: Table = {}
    resampled: dict[tuple[str, str, str], tuple[Statistic, np.ndarray | None]] = {}
    for cut in cuts:
        chosen = slice(None) if cut.rows is None else cut.rows
        own_target, own = target[chosen], {model: given[chosen] for model, given in answers.items()}
        statistics = {model: measures.statistics(metrics, label, own_target, given) for model, given in own.items()}
        same = BASELINE in own and np.array_equal(own[CANDIDATE], own[BASELINE])
        for metric in metrics:
            of_models = {model: known[metric] for model, known in statistics.items()}
            values = {model: _value(statistic, cut.count) for model, statistic in of_models.items()}
            spread = {model: of_models[model] for model, value in values.items() if math.isfinite(value)}
            if cut.count < min_slice or metric == "example_count":
                spread = {}
            if rows <= bootstrap.MOST_ROWS:
                resampled |= {(model, cut.name, metric): (own, cut.rows) for model, own in spread.items()}
                spread = {}
            error, difference_error = _linear_errors(spread)
            found[cut.name, metric] = Measured(
                metric=metric,
                cut=cut,
                candidate=values[CANDIDATE],
                baseline=values.get(BASELINE, math.nan),
                error=0.0 if metric == "example_count" else error,  # the number of rows is what it is
                difference_error=difference_error,
                support=measures.support(metric, label, own_target, own[CANDIDATE]),
                same=same,
                problem=problem_of(own_target, own[CANDIDATE]) if math.isnan(values[CANDIDATE]) else "",
            )
    samples = bootstrap.resampled(resampled, rows, resamples, seed) if resampled else {}
    for (model, name, metric), sample in samples.items():
        if model == CANDIDATE:
            base = samples.get((BASELINE, name, metric))
            found[name, metric] = replace(
                found[name, metric],
                error=bootstrap.standard_error(sample),
                difference_error=math.nan if base is None else bootstrap.standard_error(sample - base),
            )
    return found


def _value(statistic: Statistic, rows: int) -> float:
    """Of the rows as they are."""
    return float(statistic(np.ones((1, rows)))[0]) if rows else math.nan


def _linear_errors(statistics: Mapping[str, Statistic]) -> tuple[float, float]:
    """Standard errors of the candidate's value and of the difference; NaN of what is not among the statistics."""
    influences = {model: linear.influence(statistic) for model, statistic in statistics.items()}
    own, base = influences.get(CANDIDATE), influences.get(BASELINE)
    apart = None if own is None or base is None else own - base
    return linear.standard_error(own), linear.standard_error(apart)


def problem_of(target: np.ndarray, answers: np.ndarray) -> str:
    """Why a metric of some rows has no value."""
    if not len(target):
        return "there is no row"
    broken = int((~np.isfinite(answers.reshape(len(answers), -1))).any(axis=1).sum())
    if broken:
        return f"the candidate's answer is not a number in {broken:,} rows"
    unknown = int((~np.isfinite(target.reshape(len(target), -1))).any(axis=1).sum())
    if unknown:
        return f"the label of {unknown:,} rows is unknown"
    return "it is not defined on these rows, which lack a class or differ in nothing"
