"""How the metrics of two runs differ, and by how much they might by chance.

Where one run's evaluation compared its model with the other's, evidence.json has their difference on the same rows
(`paired`). Else the difference is that of two values, each of its own evaluation, and its interval comes from theirs by
the method of variance estimates recovery (Zou and Donner 2008), which takes the two as independent. On the same rows they
are not, and the interval is then wider than it need be.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pipeline.evidence.report import NAME as EVIDENCE
from pipeline.gates import HIGHER_IS_BETTER
from pipeline.report.sources import Run

How = Literal["paired", "unpaired", "unknown"]
Verdict = Literal["equal", "within chance", "better", "worse", "differs", "unknown"]
BEYOND = ("better", "worse", "differs")
"""Verdicts on a difference whose whole interval is off 0."""
_COUNT = "example_count"
_EQUAL = 1e-6
"""Relative; runs with one seed differ by less."""


def compare(a: Run, b: Run, same_data: bool) -> dict[str, Any]:
    """The metrics of both.

    Args:
      a: the one run.
      b: the other.
      same_data: whether both read the same rows and split them alike.

    Returns:
      `paired`: "b" where B was compared with A's model, "a" the other way round, None where neither was; `same_rows`:
      whether both were measured on the same examples, `same_model` whether both are of one model, None where that is not
      known; `metrics`, a list of `{"metric", "a",
      "a_interval", "b", "b_interval", "difference", "interval", "how", "verdict", "on_b", "model"}`. `difference` is B's
      value less A's. Where the rows are not the same, `on_b` is the value of A's model on B's rows, and `model` the paired
      difference of the two models on the same rows, with its interval and verdict; else these are None.
    """
    own = [run.json("Evaluator", "evaluation", EVIDENCE) for run in (a, b)]
    paired = "b" if _compared(b, own[1], a) else "a" if _compared(a, own[0], b) else None
    names = [each.get("metrics") or {} for each in (a.record, b.record)]
    examples = [run.artifacts.get(("ExampleGen", "examples")) for run in (a, b)]
    same = None
    if own[0] and own[1] and examples[0] and examples[1]:
        same = own[0]["split"] == own[1]["split"] and (same_data or examples[0].id == examples[1].id)
    metrics = [
        _metric(name, _of(own[0], a.record, name), _of(own[1], b.record, name), paired, same)
        for name in dict.fromkeys((*names[1], *names[0]))
        if name != _COUNT
    ]
    models = [run.artifacts.get(("Trainer", "model")) for run in (a, b)]
    alike = models[0].id == models[1].id if models[0] and models[1] else None
    return {"paired": paired, "same_rows": same, "same_model": alike, "metrics": metrics}


def _compared(run: Run, evidence: Mapping[str, Any] | None, other: Run) -> bool:
    """Whether a run's baseline was the other's model."""
    model = other.artifacts.get(("Trainer", "model"))
    if evidence is None or model is None or evidence["baseline"]["status"] != "compared":
        return False
    return bool(evidence["baseline"]["uri"] == model.uri)


def _of(evidence: Mapping[str, Any] | None, record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A metric as evidence.json has it, or as much as run.json has."""
    if evidence is not None and name in evidence["metrics"]:
        found: Mapping[str, Any] = evidence["metrics"][name]
        return found
    interval = (record.get("intervals") or {}).get(name)
    empty = {"baseline": None, "difference": None, "difference_interval": None}
    return {"candidate": (record.get("metrics") or {}).get(name), "interval": interval, **empty}


def _metric(
    name: str, a: Mapping[str, Any], b: Mapping[str, Any], paired: str | None, same_rows: bool | None
) -> dict[str, Any]:
    found = _paired(a, b, paired)
    difference, interval = _apart(a, b)
    how: How = "unknown" if difference is None else "unpaired"
    if found and same_rows:
        (difference, interval), how = found, "paired"
    model = None
    if found and not same_rows:
        base = b if paired == "b" else a
        verdict = _verdict(name, base["candidate"], base["baseline"], *found)
        model = {"difference": found[0], "interval": found[1], "verdict": verdict}
    return {
        "metric": name,
        "a": a["candidate"],
        "a_interval": a["interval"],
        "b": b["candidate"],
        "b_interval": b["interval"],
        "difference": difference,
        "interval": interval,
        "how": how,
        "verdict": _verdict(name, a["candidate"], b["candidate"], difference, interval),
        "on_b": b["baseline"] if model and paired == "b" else None,
        "model": model,
    }


def _verdict(
    name: str, one: float | None, other: float | None, difference: float | None, interval: Sequence[float] | None
) -> Verdict:
    """What a difference of two values says; equal is equal also without an interval."""
    if one is not None and other is not None and math.isclose(one, other, rel_tol=_EQUAL):
        return "equal"
    if difference is None or interval is None:
        return "unknown"
    if interval[0] <= 0 <= interval[1]:
        return "within chance"
    higher = HIGHER_IS_BETTER.get(name)
    return "differs" if higher is None else "better" if (difference > 0) == higher else "worse"


def _paired(
    a: Mapping[str, Any], b: Mapping[str, Any], paired: str | None
) -> tuple[float, Sequence[float] | None] | None:
    """B's model less A's on the same rows, as the evidence has it."""
    if paired == "b" and b["difference"] is not None:
        return b["difference"], b["difference_interval"]
    if paired == "a" and a["difference"] is not None:
        own = a["difference_interval"]
        return -a["difference"], [-own[1], -own[0]] if own else None
    return None


def _apart(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[float | None, Sequence[float] | None]:
    """B's value less A's, of two evaluations."""
    if a["candidate"] is None or b["candidate"] is None:
        return None, None
    gap = b["candidate"] - a["candidate"]
    if not a["interval"] or not b["interval"]:
        return gap, None
    below = math.hypot(b["candidate"] - b["interval"][0], a["interval"][1] - a["candidate"])
    above = math.hypot(b["interval"][1] - b["candidate"], a["candidate"] - a["interval"][0])
    return gap, [gap - below, gap + above]
