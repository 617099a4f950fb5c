"""What a task measures, and the rules a candidate model must pass: plain settings, no TensorFlow."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Gate:
    """A rule for a metric; each bound that is given must hold.

    Attributes:
      metric: its name.
      at_least: lower bound of the candidate's value.
      at_most: upper bound of the candidate's value.
      no_worse_by: how much worse than the baseline the candidate may be, in the metric's unit; a run without a
        baseline passes.
      per: one of the evaluation's slices: the rule must hold for each of its values; None is for all rows together.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    no_worse_by: float | None = None
    per: str | tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.metric not in HIGHER_IS_BETTER:
            raise TaskError(f"gate: unknown metric {self.metric!r}.{nearest(self.metric, HIGHER_IS_BETTER)}")
        if self.at_least is self.at_most is self.no_worse_by is None:
            raise TaskError(f"gate on {self.metric}: expected at_least, at_most or no_worse_by. Received: none of them")
        bounds = {"at_least": self.at_least, "at_most": self.at_most, "no_worse_by": self.no_worse_by}
        for name, bound in bounds.items():
            if bound is not None and math.isnan(bound):
                raise TaskError(f"gate on {self.metric}: {name}: expected a number. Received: {name}={bound}")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise TaskError(
                f"gate on {self.metric}: expected at_least <= at_most. "
                f"Received: at_least={self.at_least}, at_most={self.at_most}"
            )
        if self.no_worse_by is not None:
            if self.no_worse_by < 0:
                raise TaskError(
                    f"gate on {self.metric}: no_worse_by: expected at least 0. Received: no_worse_by={self.no_worse_by}"
                )
            if HIGHER_IS_BETTER[self.metric] is None:
                raise TaskError(f"gate on {self.metric}: no value of it is better than another; use at_least, at_most.")

    def __str__(self) -> str:
        rules = [
            f"at least {self.at_least:g}" if self.at_least is not None else "",
            f"at most {self.at_most:g}" if self.at_most is not None else "",
            f"no worse than the baseline by more than {self.no_worse_by:g}" if self.no_worse_by is not None else "",
        ]
        where = f" for each {' x '.join(self.cross)}" if self.cross else ""
        return f"{self.metric} " + " and ".join(rule for rule in rules if rule) + where

    @property
    def cross(self) -> tuple[str, ...]:
        """The columns of `per`; empty for all rows together."""
        return () if self.per is None else _cross(self.per)


@dataclass(frozen=True)
class Evaluation:
    """What is measured on the eval split.

    Attributes:
      metrics: names, see HIGHER_IS_BETTER.
      slices: raw columns (or tuples of them, crossed): each metric is also computed for each of their values.
      gates: rules; a model is blessed when all pass. At least one, or no model could ever be blessed.
    """

    metrics: tuple[str, ...]
    slices: tuple[str | tuple[str, ...], ...] = ()
    gates: tuple[Gate, ...] = ()

    def __post_init__(self) -> None:
        for metric in self.metrics:
            if metric not in HIGHER_IS_BETTER:
                raise TaskError(f"evaluation: unknown metric {metric!r}.{nearest(metric, HIGHER_IS_BETTER)}")
        if not self.gates:
            raise TaskError("evaluation: expected at least one gate, without which no model could be blessed.")
        for gate in self.gates:
            if gate.metric not in self.metrics:
                raise TaskError(
                    f"evaluation: the gate on {gate.metric!r} needs it among the metrics. Received: {self.metrics}"
                )

            if gate.cross and gate.cross not in self.crosses:
                raise TaskError(f"evaluation: {gate}: expected `per` to be one of the slices. Received: {self.slices}")

    def unfit(self, kind: str, measures: Iterable[str]) -> list[str]:
        """A sentence where metrics do not fit the label; else empty.

        Args:
          kind: of the label, for the message.
          measures: the metrics that fit it, see Label.measures.
        """
        fitting = [metric for metric in HIGHER_IS_BETTER if metric in set(measures)]
        others = [metric for metric in self.metrics if metric not in fitting]
        return [f"evaluation: a {kind} label has {', '.join(fitting)}. Received: {', '.join(others)}"] if others else []

    @property
    def crosses(self) -> tuple[tuple[str, ...], ...]:
        """Each slice as a tuple of raw columns."""
        return tuple(_cross(entry) for entry in self.slices)


def _cross(entry: str | tuple[str, ...]) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry)
