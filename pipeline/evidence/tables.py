"""Each metric of each slice: the candidate's value, the baseline's, their difference, and how far these would move."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evidence import bootstrap, measures
from pipeline.evidence.areas import Statistic
from pipeline.evidence.cuts import Cut
from pipeline.evidence.intervals import UNKNOWN, Interval, around, rule_of_three
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
      resamples: of the bootstrap, before `bootstrap.resamples_for`.
      seed: of it.
    """
    rows = len(target)
    statistics: dict[str, tuple[Statistic, np.ndarray | None]] = {}
    values: dict[str, float] = {}
    for cut in cuts:
        own_target = target if cut.rows is None else target[cut.rows]
        for model, given in answers.items():
            own = given if cut.rows is None else given[cut.rows]
            for metric in metrics:
                key = _key(model, cut.name, metric)
                statistic = measures.statistic(metric, label, own_target, own)
                values[key] = float(statistic(np.ones((1, cut.count)))[0]) if cut.count else math.nan
                if cut.count >= min_slice and math.isfinite(values[key]) and metric != "example_count":
                    statistics[key] = (statistic, cut.rows)
    samples = bootstrap.resampled(statistics, rows, bootstrap.resamples_for(rows, resamples), seed)
    found = {}
    for cut in cuts:
        chosen = slice(None) if cut.rows is None else cut.rows
        own_target, given = target[chosen], answers[CANDIDATE][chosen]
        other = answers[BASELINE][chosen] if BASELINE in answers else None
        same = other is not None and np.array_equal(given, other)
        for metric in metrics:
            keys = [_key(model, cut.name, metric) for model in (CANDIDATE, BASELINE)]
            own, base = samples.get(keys[0]), samples.get(keys[1])
            found[cut.name, metric] = Measured(
                metric=metric,
                cut=cut,
                candidate=values[keys[0]],
                baseline=values.get(keys[1], math.nan),
                error=_error(metric, own),
                difference_error=math.nan if own is None or base is None else bootstrap.standard_error(own - base),
                support=measures.support(metric, label, own_target, given),
                same=same,
                problem=problem_of(own_target, given) if math.isnan(values[keys[0]]) else "",
            )
    return found


def _key(model: str, cut: str, metric: str) -> str:
    return f"{model}\0{cut}\0{metric}"


def _error(metric: str, samples: np.ndarray | None) -> float:
    """The number of rows is what it is; of the rest the bootstrap knows."""
    if metric == "example_count":
        return 0.0
    return math.nan if samples is None else bootstrap.standard_error(samples)


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
