"""The gates of a task on what was measured: for each a verdict, and for each thing that it looked at a sentence.

A rule on all rows looks at one value or difference; a rule per slice at one of each slice, and then its intervals are
corrected for the number of slices by Bonferroni's method: with K slices each interval has the confidence 1 - (1 -
confidence) / K, so that all of them together hold as often as one alone would. Holm's method (1979) finds a little more
harm at the same error rate, but by the order of the slices' p-values and without an interval; here a sentence shows the
very interval that decided.

| rule | of all rows holds where | per slice fails only where |
|---|---|---|
| at_least, at_most | the value is within | the whole interval of the value is beyond |
| no_worse_by m, proof "no_harm" | the whole interval of the gain is above -m | (holds only where) that of each slice is |
| no_worse_by m, proof "harm" | it is not as a whole below -m | that of a slice is as a whole below -m |
| better_by m | the whole interval of the gain is above m | (holds only where) that of each slice is |

The gain is the difference to the baseline on the same rows, with its sign turned where less is better.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.evidence.cuts import OVERALL, Cut
from pipeline.evidence.intervals import UNKNOWN, Interval, quantile
from pipeline.evidence.standing import Standing
from pipeline.evidence.tables import Measured, Table
from pipeline.gates import GAPS, HIGHER_IS_BETTER, Evaluation, Gate

_EQUAL = 1e-10
"""Rounding may not break a rule."""
_SHOWN = 3


@dataclass(frozen=True)
class Check:
    """A rule on one slice.

    Attributes:
      rule: in words.
      found: what was measured.
      passed: whether the rule holds.
      slack: how far the end that decides is from the bound, negative where the rule is broken; NaN where it is unknown.
      interval: that was looked at: of the value, or of the difference.
      corrected: for how many slices.
      sentence: everything in words.
    """

    rule: str
    found: Measured
    passed: bool
    slack: float
    interval: Interval
    corrected: int
    sentence: str

    @property
    def record(self) -> dict[str, Any]:
        """As in evidence.json."""
        return {
            "metric": self.found.metric,
            "slice": self.found.cut.name,
            "rule": self.rule,
            "passed": self.passed,
            "candidate": self.found.candidate,
            "baseline": self.found.baseline,
            "difference": self.found.difference,
            "interval": list(self.interval),
            "corrected_for": self.corrected,
            "n": self.found.cut.count,
            "sentence": self.sentence,
        }


def verdicts(
    evaluation: Evaluation,
    cuts: Sequence[Cut],
    table: Table,
    fairness: Mapping[str, Any],
    standing: Standing,
) -> list[dict[str, Any]]:
    """Each gate with its verdict.

    Args:
      evaluation: the task's.
      cuts: the slices of the rows.
      table: what was measured of them.
      fairness: column -> what `pipeline.evidence.fairness` found.
      standing: of the baseline.

    Returns:
      `{"name", "passed", "reason", "metric", "slice", "candidate", "baseline", "difference", "interval", "rule", "n",
      "corrected_for", "checks", "not_judged"}` of each; the fields after `reason` are of the check that was closest.
    """
    return [
        _of_gap(gate, fairness[gate.cross[0]], evaluation)
        if gate.metric in GAPS
        else _of_gate(gate, evaluation, cuts, table, standing)
        for gate in evaluation.gates
    ]


def _of_gate(
    gate: Gate, evaluation: Evaluation, cuts: Sequence[Cut], table: Table, standing: Standing
) -> dict[str, Any]:
    own = [cut for cut in cuts if cut.cross == tuple(sorted(gate.cross))]
    judged: list[Measured] = []
    not_judged: list[str] = []
    for cut in own:
        found = table[cut.name, gate.metric]
        why = _not_judged(found, evaluation.min_slice) if gate.cross else ""
        if why:
            not_judged.append(f"{cut.name} (n = {cut.count:,}): {why}")
        else:
            judged.append(found)
    if not judged:
        return _without_slices(gate, evaluation.min_slice, len(own), not_judged)
    z = quantile(evaluation.confidence, len(judged))
    checks = [
        check(gate, rule, found, z, len(judged), evaluation.confidence, standing)
        for found in judged
        for rule in gate.rules
    ]
    return _together(gate, checks, not_judged)


def _not_judged(found: Measured, min_slice: int) -> str:
    """Why a slice is left out, or "". An answer that is not a number is the candidate's fault, and judged."""
    if found.cut.count < min_slice:
        return f"fewer than {min_slice} rows"
    return found.problem if found.problem and "answer" not in found.problem else ""


def _without_slices(gate: Gate, min_slice: int, cuts: int, not_judged: Sequence[str]) -> dict[str, Any]:
    columns = " x ".join(gate.cross)
    reason = f"{gate.metric}: no slice of {columns} in the rows."
    if cuts:
        reason = (
            f"{gate.metric}: none of {cuts} slices of {columns} could be judged: {'; '.join(not_judged[:_SHOWN])}. "
            f"Next: more rows, or a smaller evaluation.min_slice. Received: min_slice={min_slice}"
        )
    return {"name": str(gate), "passed": False, "reason": reason, "checks": [], "not_judged": list(not_judged)} | {
        "metric": gate.metric, "slice": None, "candidate": None, "baseline": None, "difference": None,
        "interval": None, "rule": str(gate), "n": 0, "corrected_for": 0,
    }  # fmt: skip


def _together(gate: Gate, checks: Sequence[Check], not_judged: Sequence[str]) -> dict[str, Any]:
    """The verdict of all checks of a gate."""
    failed = [each for each in checks if not each.passed]
    closest = min(failed or checks, key=lambda each: -math.inf if math.isnan(each.slack) else each.slack)
    left_out = f" Not judged: {len(not_judged)} slices." if not_judged else ""
    if failed:
        more = f" (and {len(failed) - _SHOWN} more)" if len(failed) > _SHOWN else ""
        reason = " ".join(each.sentence for each in failed[:_SHOWN]) + more
    elif gate.cross:
        reason = f"All {len(checks) // len(gate.rules)} slices hold. The closest: {closest.sentence}{left_out}"
    else:
        reason = " ".join(each.sentence for each in checks)
    return {
        "name": str(gate),
        "reason": reason,
        **{key: value for key, value in closest.record.items() if key != "sentence"},
        "passed": not failed,
        "checks": [each.record for each in checks],
        "not_judged": list(not_judged),
    }


def check(
    gate: Gate, rule: str, found: Measured, z: float, corrected: int, confidence: float, standing: Standing
) -> Check:
    """One rule of a gate on one slice.

    Args:
      gate: whose rule it is.
      rule: one of `gate.rules`.
      found: what was measured.
      z: how many standard errors the interval reaches to either side.
      corrected: for how many slices z is.
      confidence: of all intervals together.
      standing: of the baseline.
    """
    compares = rule in gate.comparisons
    interval = found.difference_interval(z) if compares else found.interval(z)
    if math.isnan(found.candidate):
        passed, slack, how = False, math.nan, "the metric has no value"
    elif compares and not standing.comparable:
        passed, slack, how = standing.first, math.nan, standing.said
    elif compares:
        passed, slack, how = _compared(gate, rule, found, interval)
    else:
        passed, slack, how = _bounded(gate, rule, found, interval)
    sentence = (
        f"{_measured(found, interval, compares, corrected, confidence)}. "
        f"Rule: {gate.said(rule)}: {'holds' if passed else 'broken'}, {how}."
    )
    return Check(gate.said(rule), found, passed, slack, interval, corrected, sentence)


def _compared(gate: Gate, rule: str, found: Measured, interval: Interval) -> tuple[bool, float, str]:
    """A rule on the difference to the baseline."""
    sign = 1 if HIGHER_IS_BETTER[gate.metric] else -1
    low, high = sorted(sign * end for end in interval)
    beyond = "above" if sign > 0 else "below"
    if math.isnan(low):
        proven = rule == "no_worse_by" and gate.proves == "harm"
        return proven, math.nan, "as too few of the rows carry it for an interval, which proves nothing"
    if rule == "better_by":
        margin = float(gate.better_by or 0.0)
        passed = low > margin + _EQUAL
        ends = "is" if passed else "is not"
        return passed, low - margin, f"as the whole interval {ends} {beyond} {_signed(sign * margin)}"
    margin = float(gate.no_worse_by or 0.0)
    if gate.proves == "no_harm":
        passed = low >= -margin - _EQUAL
        ends = "is" if passed else "is not"
        return passed, low + margin, f"as the whole interval {ends} {beyond} {_signed(-sign * margin)}"
    passed = high >= -margin - _EQUAL
    other = "below" if sign > 0 else "above"
    ends = "is not" if passed else "is"
    return passed, high + margin, f"as the whole interval {ends} {other} {_signed(-sign * margin)}"


def _signed(bound: float) -> str:
    return f"{bound:+g}" if bound else "0"


def _bounded(gate: Gate, rule: str, found: Measured, interval: Interval) -> tuple[bool, float, str]:
    """A rule on the candidate's value: of all rows the value decides, of a slice the end that is nearer the bound."""
    least = rule == "at_least"
    bound = float((gate.at_least if least else gate.at_most) or 0.0)
    side = "below" if least else "above"
    end = found.candidate if not gate.cross or math.isnan(interval[0]) else interval[1] if least else interval[0]
    slack = end - bound if least else bound - end
    passed = slack >= -_EQUAL
    if not gate.cross:
        return passed, slack, "judged by the value" if passed else f"as the value is {side} it"
    if math.isnan(interval[0]):
        return True, math.nan, "as too few of the rows carry it for an interval, which proves nothing"
    return passed, slack, f"as the whole interval {'is not' if passed else 'is'} {side} it"


def _measured(found: Measured, interval: Interval, compares: bool, corrected: int, confidence: float) -> str:
    """What was measured, in words."""
    where = "all rows" if found.cut.name == OVERALL else found.cut.name
    start = f"{found.metric} of {where} (n = {found.cut.count:,})"
    if math.isnan(found.candidate):
        return f"{start}: candidate not computed, {found.problem}"
    said = f"{start}: candidate {found.candidate:.4f}"
    if not math.isnan(found.baseline):
        said += f", baseline {found.baseline:.4f}, difference {found.difference:+.4f}"
    if math.isnan(interval[0]) or found.metric == "example_count":
        return said
    sign = "+" if compares else ""
    of = " of the difference" if compares else " of the candidate"
    among = f", corrected for {corrected} slices" if found.cut.cross else ""
    return f"{said}, {100 * confidence:g} % interval{of} {interval[0]:{sign}.4f} to {interval[1]:{sign}.4f}{among}"


def _of_gap(gate: Gate, found: Mapping[str, Any], evaluation: Evaluation) -> dict[str, Any]:
    """A bound on the gap between groups: broken only where the whole interval is above it."""
    own = found["candidate"]["gaps"][gate.metric]
    other = found.get("baseline", {}).get("gaps", {}).get(gate.metric, {}).get("value")
    column, bound = gate.cross[0], float(gate.at_most or 0.0)
    groups = found["candidate"]["groups"]
    rows = sum(group["n"] for group in groups.values())
    low, high = own["interval"] or UNKNOWN
    if own["value"] is None:
        passed = len(groups) == 1
        reason = (
            f"{gate.metric} of {column} (n = {rows:,}): not computed, {own['reason']}. Rule: {gate.said('at_most')}: "
        )
        reason += "holds, as there is one group." if passed else "broken, as nothing could be compared."
    else:
        passed = low <= bound + _EQUAL
        base = "" if other is None else f", baseline {other:.4f}, difference {own['value'] - other:+.4f}"
        reason = (
            f"{gate.metric} of {column} (n = {rows:,}): candidate {own['value']:.4f}{base}, between {own['highest']} and "
            f"{own['lowest']}, {100 * evaluation.confidence:g} % interval of the candidate {low:.4f} to {high:.4f}, corrected "
            f"for the pairs of {own['groups']} groups. Rule: {gate.said('at_most')}: {'holds' if passed else 'broken'}, "
            f"as the whole interval {'is not' if passed else 'is'} above it."
        )
    difference = None if own["value"] is None or other is None else own["value"] - other
    return {
        "name": str(gate), "passed": passed, "reason": reason, "metric": gate.metric, "slice": column,
        "candidate": own["value"], "baseline": other, "difference": difference, "interval": own["interval"],
        "rule": gate.said("at_most"), "n": rows, "corrected_for": math.comb(own["groups"], 2), "checks": [],
        "not_judged": [],
    }  # fmt: skip
