"""How groups fare: the rates at which their rows are selected, rightly and wrongly, and the gaps between groups.

| rate | of | says |
|---|---|---|
| selection_rate | all rows | how often the model says yes |
| tpr | rows whose label is yes | how often it says yes to them |
| fpr | rows whose label is no | how often it says yes to them |
| fnr | rows whose label is yes | how often it says no to them; 1 - tpr |

A Binary label is selected where the probability is above 0.5; one of MultiClass where the favourable class is the most
probable. Intervals of rates are Wilson's. A gap is the largest rate less the smallest. A bootstrap of it would be biased,
as the largest of several noisy rates is too large: its interval here is the one that the differences of all pairs, each
by Newcombe's method and corrected for their number (Bonferroni), allow: from the largest lower end to the largest upper
end. Groups with too few rows for a rate are listed and not compared.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.evidence.cuts import Cut
from pipeline.evidence.intervals import difference_of_shares, quantile, wilson
from pipeline.gates import GAPS
from pipeline.labels import Classes, Label

RATES = tuple(gap.removesuffix("_gap") for gap in GAPS)


def decisions(
    label: Label, favourable: str, target: np.ndarray, answers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which rows' label is known, which of them are yes in truth, and which are selected: booleans, [rows]."""
    known = np.isfinite(target.reshape(len(target), -1)).all(axis=1)
    if isinstance(label, Classes):
        wanted = label.names.index(favourable)
        return known, target.reshape(-1) == wanted, answers.argmax(1) == wanted
    return known, target.reshape(-1) > 0.5, answers.reshape(-1) > 0.5


def rates(cut: Cut, known: np.ndarray, positive: np.ndarray, selected: np.ndarray) -> dict[str, tuple[int, int]]:
    """Rate -> (hits, rows), of a group."""
    rows = np.arange(len(known)) if cut.rows is None else cut.rows
    rows = rows[known[rows]]
    yes, chosen = positive[rows], selected[rows]
    right = int((yes & chosen).sum())
    return {
        "selection_rate": (int(chosen.sum()), len(rows)),
        "tpr": (right, int(yes.sum())),
        "fpr": (int(chosen.sum()) - right, int((~yes).sum())),
        "fnr": (int(yes.sum()) - right, int(yes.sum())),
    }


def fairness(
    cuts: Sequence[Cut],
    label: Label,
    favourable: str,
    target: np.ndarray,
    answers: Mapping[str, np.ndarray],
    *,
    min_slice: int,
    confidence: float,
) -> dict[str, Any]:
    """The groups of one column.

    Args:
      cuts: the slices of that column.
      label: the task's.
      favourable: see Evaluation.
      target: [rows, *shape].
      answers: model's name -> [rows] or [rows, classes].
      min_slice: rates of fewer rows are not compared.
      confidence: of each interval.

    Returns:
      Model -> `{"groups": {group: {"n", rate: {"value", "n", "interval", "compared"}}}, "gaps": {gap: {"value",
      "interval", "highest", "lowest", "groups", "reason"}}}`; a value is None, with a reason, where it is not defined.
    """
    found: dict[str, Any] = {}
    for model, given in answers.items():
        known, positive, selected = decisions(label, favourable, target, given)
        counted = {cut.name: rates(cut, known, positive, selected) for cut in cuts}
        groups = {cut.name: {"n": cut.count, **_shown(counted[cut.name], min_slice, confidence)} for cut in cuts}
        gaps = {
            f"{rate}_gap": gap({name: own[rate] for name, own in counted.items()}, min_slice, confidence)
            for rate in RATES
        }
        found[model] = {"groups": groups, "gaps": gaps}
    return found


def _shown(own: Mapping[str, tuple[int, int]], min_slice: int, confidence: float) -> dict[str, Any]:
    shown = {}
    for rate, (hits, rows) in own.items():
        value = hits / rows if rows else None
        interval = wilson(hits, rows, quantile(confidence)) if rows else None
        shown[rate] = {"value": value, "n": rows, "interval": interval, "compared": rows >= min_slice}
    return shown


def gap(counts: Mapping[str, tuple[int, int]], min_slice: int, confidence: float) -> dict[str, Any]:
    """The largest rate less the smallest, of the groups with enough rows."""
    large = {name: own for name, own in counts.items() if own[1] >= max(min_slice, 1)}
    if len(large) < 2:
        reason = f"{len(large)} of {len(counts)} groups have {min_slice} rows or more to compare; two are needed"
        return {
            "value": None,
            "interval": None,
            "highest": None,
            "lowest": None,
            "groups": len(large),
            "reason": reason,
        }
    share = {name: hits / rows for name, (hits, rows) in large.items()}
    highest, lowest = max(share, key=lambda name: share[name]), min(share, key=lambda name: share[name])
    z = quantile(confidence, math.comb(len(large), 2))
    ends = [difference_of_shares(large[one], large[other], z) for one, other in itertools.permutations(large, 2)]
    interval = (max(0.0, *(low for low, _ in ends)), max(high for _, high in ends))
    return {
        "value": share[highest] - share[lowest],
        "interval": interval,
        "highest": highest,
        "lowest": lowest,
        "groups": len(large),
        "reason": None,
    }
