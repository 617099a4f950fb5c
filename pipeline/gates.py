"""What a task measures, and the rules a candidate model must pass: plain settings, no TensorFlow."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import TaskError, nearest

HIGHER_IS_BETTER = {
    "auc": True,
    "auc_pr": True,
    "binary_accuracy": True,
    "precision": True,
    "recall": True,
    "binary_cross_entropy": False,
    "mae": False,
    "mse": False,
    "rmse": False,
    "squared_pearson": True,
    "accuracy": True,
    "top_2_accuracy": True,
    "top_3_accuracy": True,
    "top_5_accuracy": True,
    "cross_entropy": False,
    "macro_precision": True,
    "macro_recall": True,
    "macro_f1": True,
    "lowest_recall": True,
    "micro_precision": True,
    "micro_recall": True,
    "micro_f1": True,
    "micro_auc": True,
    "macro_auc": True,
    "exact_match": True,
    "hamming_accuracy": True,
    "example_count": None,
    "mean_label": None,
    "mean_prediction": None,
    "calibration": None,
}
"""Metric -> whether a higher value is better; None where neither is. Which of them fit a label, the label says."""

Proof = Literal["no_harm", "harm"]
GAPS = ("selection_rate_gap", "tpr_gap", "fpr_gap", "fnr_gap")
"""Differences between groups that a gate may bound, see `pipeline.evidence.fairness`."""


@dataclass(frozen=True)
class Ranges:
    """Slices of a numeric column: below the first bound, from each bound to below the next, the last bound and above.

        Ranges("fare", (5, 10, 20))     fare=below 5, fare=5 to 10, fare=10 to 20, fare=20 and above

    Rows without a value are in none of them.

    Attributes:
      column: raw, of numbers.
      bounds: rising; a value that equals a bound is in the range above it.
    """

    column: str
    bounds: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", tuple(self.bounds))
        rising = all(low < high for low, high in itertools.pairwise(self.bounds))
        if not self.bounds or not rising or not all(math.isfinite(bound) for bound in self.bounds):
            raise TaskError(f"ranges of {self.column!r}: expected rising numbers. Received: bounds={self.bounds}")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the ranges, from the lowest."""
        between = (f"{low:g} to {high:g}" for low, high in itertools.pairwise(self.bounds))
        return (f"below {self.bounds[0]:g}", *between, f"{self.bounds[-1]:g} and above")


Slice = str | Ranges
Cross = Slice | tuple[Slice, ...]


@dataclass(frozen=True)
class Gate:
    """A rule for a metric; each bound that is given must hold.

        Gate("auc", at_least=0.9, no_worse_by=0.005)       above a bound, and proven to be as good as the baseline
        Gate("auc", better_by=0.0)                         proven to be better than the baseline
        Gate("auc", no_worse_by=0.01, per="payment_type")  proven to be worse for none of its values
        Gate("tpr_gap", at_most=0.1, per="company")        of groups, see Evaluation.fairness

    Rules that compare look at the difference to the baseline on the same rows and its interval, not at the difference
    alone; see docs/evaluation.md. A first run, without a baseline, passes them.

    Attributes:
      metric: its name, or one of GAPS.
      at_least: lower bound of the candidate's value. Of all rows the value decides; of a slice it fails only where the
        whole interval is below.
      at_most: upper bound of it, likewise.
      no_worse_by: how much worse than the baseline the candidate may be, in the metric's unit.
      better_by: how much better than the baseline it must be, at least: the whole interval of the gain is above it.
      per: one of the evaluation's slices, by its column or columns: the rule must hold for each of its values; None is
        for all rows together.
      proof: what `no_worse_by` wants: "no_harm", that the whole interval is on the good side of the margin; "harm", that
        it is not as a whole on the bad side. None is "no_harm" for all rows and "harm" per slice, where few rows could
        prove nothing.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    no_worse_by: float | None = None
    better_by: float | None = None
    per: Cross | None = None
    proof: Proof | None = None

    def __post_init__(self) -> None:
        if self.metric not in HIGHER_IS_BETTER and self.metric not in GAPS:
            raise TaskError(f"gate: unknown metric {self.metric!r}.{nearest(self.metric, (*HIGHER_IS_BETTER, *GAPS))}")
        bounds = {name: getattr(self, name) for name in ("at_least", "at_most", "no_worse_by", "better_by")}
        if not self.rules:
            raise TaskError(
                f"gate on {self.metric}: expected at_least, at_most, no_worse_by or better_by. Received: none"
            )
        for name, bound in bounds.items():
            if bound is not None and math.isnan(bound):
                raise TaskError(f"gate on {self.metric}: {name}: expected a number. Received: {name}={bound}")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise TaskError(
                f"gate on {self.metric}: expected at_least <= at_most. "
                f"Received: at_least={self.at_least}, at_most={self.at_most}"
            )
        if self.metric in GAPS:
            if self.rules != ("at_most",) or self.per is None:
                raise TaskError(
                    f"gate on {self.metric}: expected at_most and per=, the groups. Received: {', '.join(self.rules)}, "
                    f"per={self.per!r}"
                )
            return
        self._check_comparisons()

    def _check_comparisons(self) -> None:
        for name in self.comparisons:
            margin = getattr(self, name)
            if margin < 0 or math.isinf(margin):
                raise TaskError(f"gate on {self.metric}: {name}: expected at least 0. Received: {name}={margin}")
            if HIGHER_IS_BETTER[self.metric] is None:
                raise TaskError(f"gate on {self.metric}: no value of it is better than another; use at_least, at_most.")
        if self.proof is not None and self.no_worse_by is None:
            raise TaskError(f"gate on {self.metric}: proof belongs to no_worse_by. Received: proof={self.proof!r}")
        if self.proof not in (None, "no_harm", "harm"):
            raise TaskError(f"gate on {self.metric}: proof: expected 'no_harm' or 'harm'. Received: {self.proof!r}")

    def __str__(self) -> str:
        where = f" for each {' x '.join(self.cross)}" if self.cross else ""
        return f"{self.metric} " + " and ".join(map(self.said, self.rules)) + where

    def said(self, rule: str) -> str:
        """One of `rules` in words."""
        words = {
            "at_least": "at least {:g}",
            "at_most": "at most {:g}",
            "no_worse_by": "no worse than the baseline by more than {:g}",
            "better_by": "better than the baseline by more than {:g}",
        }
        return words[rule].format(getattr(self, rule))

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the bounds that are given."""
        names = ("at_least", "at_most", "no_worse_by", "better_by")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def comparisons(self) -> tuple[str, ...]:
        """Those of `rules` that need a baseline."""
        return tuple(name for name in self.rules if name in ("no_worse_by", "better_by"))

    @property
    def proves(self) -> Proof:
        """What `no_worse_by` wants, see `proof`."""
        return self.proof or ("harm" if self.cross else "no_harm")

    @property
    def cross(self) -> tuple[str, ...]:
        """The columns of `per`; empty for all rows together."""
        return () if self.per is None else _columns(self.per)


@dataclass(frozen=True)
class Evaluation:
    """What is measured, on the test split where the task has one, else on the eval split.

    Attributes:
      metrics: names, see HIGHER_IS_BETTER.
      slices: raw columns, Ranges of them, or tuples of these, crossed: each metric is also computed for each value.
      gates: rules; a model is blessed when all pass. At least one, or no model could ever be blessed.
      fairness: columns or Ranges whose values are groups of people (or of what stands for them): the rates at which they
        are selected, rightly and wrongly, are compared. Of labels Binary and MultiClass.
      favourable: of MultiClass, the class whose choice counts as being selected; of Binary it is yes.
      min_slice: slices of fewer rows are listed but not judged.
      confidence: of all intervals, two-sided: with 0.95 a bound is passed by chance in at most 2.5 % of cases.
      resamples: of the bootstrap, which is not needed past 20,000 rows, see `pipeline.evidence.linear`.
      seed: of the bootstrap.
    """

    metrics: tuple[str, ...]
    slices: tuple[Cross, ...] = ()
    gates: tuple[Gate, ...] = ()
    fairness: tuple[Slice, ...] = ()
    favourable: str = ""
    min_slice: int = 30
    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 1

    def __post_init__(self) -> None:
        for metric in self.metrics:
            if metric not in HIGHER_IS_BETTER:
                raise TaskError(f"evaluation: unknown metric {metric!r}.{nearest(metric, HIGHER_IS_BETTER)}")
        if not self.gates:
            raise TaskError("evaluation: expected at least one gate, without which no model could be blessed.")
        for gate in self.gates:
            self._check(gate)
        by_column: dict[str, set[Slice]] = {}
        for part in (*(part for cross in self.slices for part in _parts(cross)), *self.fairness):
            by_column.setdefault(_column(part), set()).add(part)
        for column, kinds in by_column.items():
            if len(kinds) > 1:
                raise TaskError(f"evaluation: slices of {column!r} differ: expected one way to cut a column.")
        if not 0.5 <= self.confidence < 1:
            raise TaskError(f"evaluation: expected confidence in [0.5, 1). Received: confidence={self.confidence}")
        for setting, least in (("min_slice", 1), ("resamples", 100)):
            if getattr(self, setting) < least:
                raise TaskError(
                    f"evaluation: expected {setting} >= {least}. Received: {setting}={getattr(self, setting)}"
                )

    def _check(self, gate: Gate) -> None:
        if gate.metric in GAPS:
            if len(gate.cross) != 1 or gate.cross[0] not in self.groups:
                raise TaskError(f"evaluation: {gate}: expected `per` to be one of fairness. Received: {self.fairness}")
            return
        if gate.metric not in self.metrics:
            raise TaskError(
                f"evaluation: the gate on {gate.metric!r} needs it among the metrics. Received: {self.metrics}"
            )
        if gate.cross and gate.cross not in self.sliced:
            raise TaskError(f"evaluation: {gate}: expected `per` to be one of the slices. Received: {self.slices}")

    def unfit(self, kind: str, measures: Iterable[str], classes: Sequence[str] | None = None) -> list[str]:
        """Sentences where metrics or fairness do not fit the label; else empty.

        Args:
          kind: of the label, for the message.
          measures: the metrics that fit it, see Label.measures.
          classes: the label's names, see Label.classes; None leaves `favourable` unchecked.
        """
        fitting = [metric for metric in HIGHER_IS_BETTER if metric in set(measures)]
        others = [metric for metric in self.metrics if metric not in fitting]
        said = [f"evaluation: a {kind} label has {', '.join(fitting)}. Received: {', '.join(others)}"] if others else []
        if self.fairness and kind not in ("Binary", "MultiClass"):
            said.append(f"evaluation: fairness is of Binary and MultiClass labels. Received: {kind}")
        if self.fairness and kind == "MultiClass" and classes is not None and self.favourable not in classes:
            said.append(
                f"evaluation: favourable: expected one of the classes {', '.join(classes)}. "
                f"Received: favourable={self.favourable!r}"
            )
        return said

    @property
    def crosses(self) -> tuple[tuple[str, ...], ...]:
        """The raw columns of each slice, and of each kind of group."""
        return tuple(dict.fromkeys((*self.sliced, *((column,) for column in self.groups))))

    @property
    def sliced(self) -> tuple[tuple[str, ...], ...]:
        """Each slice as a tuple of raw columns."""
        return tuple(_columns(entry) for entry in self.slices)

    @property
    def groups(self) -> tuple[str, ...]:
        """The raw columns of `fairness`."""
        return tuple(_column(part) for part in self.fairness)

    @property
    def ranges(self) -> dict[str, Ranges]:
        """The columns that are cut into ranges."""
        parts = (*(part for cross in self.slices for part in _parts(cross)), *self.fairness)
        return {part.column: part for part in parts if isinstance(part, Ranges)}


def _parts(cross: Cross) -> tuple[Slice, ...]:
    return (cross,) if isinstance(cross, str | Ranges) else tuple(cross)


def _columns(cross: Cross) -> tuple[str, ...]:
    return tuple(_column(part) for part in _parts(cross))


def _column(part: Slice) -> str:
    return part.column if isinstance(part, Ranges) else part
