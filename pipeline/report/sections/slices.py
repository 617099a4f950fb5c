"""Slices and groups: `evidence.json` as a table with the worst slice first, and how groups fare.

Values, intervals, differences and verdicts are those of evidence.json. New is only the order: a slice's `shortfall` is how
far its value of one metric is behind that of all rows, in half widths of its own interval; above 1, the whole interval is.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
from markupsafe import Markup

from pipeline.evidence.cuts import OVERALL
from pipeline.evidence.fairness import RATES
from pipeline.evidence.report import NAME as EVIDENCE
from pipeline.gates import GAPS, HIGHER_IS_BETTER
from pipeline.report import charts as drawing
from pipeline.report import figures
from pipeline.report.sources import Run

NAME = "slices"
TITLE = "Slices"
SHOWN = 200
_DRAWN = 12
_LABELS = 185
"""Pixels beside the chart: fonts differ, and a label may be wider than the one that was measured."""
_COUNT = "example_count"
_SAID = {
    "selection_rate": "of all rows, how often the model says yes",
    "tpr": "of the rows whose label is yes, how often the model says yes (true positive rate)",
    "fpr": "of the rows whose label is no, how often the model says yes all the same (false positive rate)",
    "fnr": "of the rows whose label is yes, how often the model says no (false negative rate)",
}
_WORDS = {
    "selection_rate": "Selection rate",
    "tpr": "True positive rate",
    "fpr": "False positive rate",
    "fnr": "False negative rate",
}


def collect(run: Run) -> dict[str, Any] | None:
    """Slices and groups of the evaluation; None where there was none.

    Returns:
      Beside how it was measured: `metrics`, names in the order of columns, the one that slices are ordered by first;
      `overall`, a list in that order; `slices`, the worst first; `fairness`, a list of columns. Slices of sensitive columns
      have numbers for names.
    """
    evidence = run.json("Evaluator", "evaluation", EVIDENCE)
    if evidence is None:
        return None
    hidden = _Names(evidence, run.task.sensitive if run.task else None)
    ranked = _ranked_by(evidence)
    metrics = [ranked] if ranked else []
    metrics += [metric for metric in evidence["metrics"] if metric not in (ranked, _COUNT)]
    overall = evidence["metrics"]
    slices = [_slice(name, found, metrics, ranked, evidence, hidden) for name, found in evidence["slices"].items()]
    slices.sort(key=_order)
    return {
        **{key: evidence[key] for key in ("split", "rows", "confidence", "min_slice")},
        "baseline": evidence["baseline"]["status"],
        "ranked_by": ranked,
        "higher_is_better": HIGHER_IS_BETTER.get(ranked) if ranked else None,
        "metrics": metrics,
        "overall": [{"metric": metric, **overall[metric]} for metric in metrics],
        "total": len(slices),
        "shown": min(len(slices), SHOWN),
        "judged": sum(found["judged"] for found in slices),
        "behind": sum(found["behind"] for found in slices),
        "broken": sum(found["passed"] is False for found in slices),
        "hidden": hidden.why,
        "slices": slices,
        "fairness": [_groups(column, found, evidence, hidden) for column, found in evidence["fairness"].items()],
    }


def charts(part: Mapping[str, Any]) -> dict[str, Markup]:
    """`worst`: the slices that are furthest behind, as dots with intervals; nothing where fewer than two have one."""
    found = [each for each in part["slices"] if each["shortfall"] is not None][:_DRAWN]
    if len(found) < 2:
        return {}
    own = [each["metrics"][0] for each in found]
    labels = [figures.name(each["name"], 24).striptags() for each in found]
    if len(set(labels)) < len(labels):
        labels = [f"{rank}. {label}" for rank, label in enumerate(labels, 1)]
    table = drawing.table(
        slice=labels,
        value=[each["candidate"] for each in own],
        low=[each["interval"][0] for each in own],
        high=[each["interval"][1] for each in own],
    )
    metric, value = part["ranked_by"], part["overall"][0]["candidate"]
    rows = alt.Y("slice:N", sort=None, title=None, axis=alt.Axis(labelLimit=240, minExtent=_LABELS))
    values = alt.X("value:Q", title=metric, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=5))
    base = alt.Chart(table)
    layers = [
        alt.Chart(drawing.table(value=[value])).mark_rule(strokeDash=[5, 3]).encode(x=values),
        base.mark_rule(strokeWidth=2, color=drawing.COLOURS[0]).encode(
            y=rows, x=alt.X("low:Q", title=metric), x2="high:Q"
        ),
        base.mark_point(size=60, color=drawing.COLOURS[0]).encode(y=rows, x=values),
    ]
    if all(each["baseline"] is not None for each in own):
        other = drawing.table(slice=labels, value=[each["baseline"] for each in own])
        diamond = alt.Chart(other).mark_point(shape="diamond", filled=False, size=50, color=drawing.COLOURS[1])
        layers.append(diamond.encode(y=rows, x=values))
    title = f"{metric} of the {len(found)} slices that are furthest behind all rows, with intervals"
    return {"worst": drawing.svg(alt.LayerChart(layer=layers), title, width=360, height=26 * len(found) + 10)}


def _ranked_by(evidence: Mapping[str, Any]) -> str | None:
    """The first metric with a direction that a gate is on, else the first with one."""
    gated = [verdict["metric"] for verdict in evidence["verdicts"]]
    known = [metric for metric in (*gated, *evidence["metrics"]) if metric in evidence["metrics"]]
    return next((metric for metric in known if HIGHER_IS_BETTER.get(metric) is not None), None)


def _slice(
    name: str,
    found: Mapping[str, Any],
    metrics: Sequence[str],
    ranked: str | None,
    evidence: Mapping[str, Any],
    hidden: "_Names",
) -> dict[str, Any]:
    gates = _gates(name, evidence["verdicts"], hidden)
    behind = _shortfall(found["metrics"][ranked], evidence["metrics"][ranked], ranked) if ranked else None
    return {
        "name": hidden.of(name),
        "columns": found["columns"],
        "n": found["n"],
        "judged": found["judged"],
        "shortfall": behind if found["judged"] else None,
        "behind": bool(found["judged"] and behind is not None and behind > 1),
        "passed": all(gate["passed"] for gate in gates) if gates else None,
        "gates": gates,
        "metrics": [{"metric": metric, **found["metrics"][metric]} for metric in metrics],
    }


def _shortfall(own: Mapping[str, Any], overall: Mapping[str, Any], metric: str) -> float | None:
    """How far a slice is behind all rows, in half widths of its interval; negative where it is ahead."""
    if own["candidate"] is None or overall["candidate"] is None or own["interval"] is None:
        return None
    gap = overall["candidate"] - own["candidate"]
    gap = gap if HIGHER_IS_BETTER[metric] else -gap
    low, high = own["interval"]
    # Intervals end where a metric does, at 1 say: the wider side is the one that says how sure the value is.
    half = max(high - own["candidate"], own["candidate"] - low)
    return float(gap / half) if half > 0 else None


def _order(found: Mapping[str, Any]) -> tuple[bool, bool, bool, float, int]:
    """Broken gates first, then the furthest behind; what can't be judged last, the largest first."""
    behind = found["shortfall"]
    return found["passed"] is not False, not found["judged"], behind is None, -(behind or 0.0), -found["n"]


def _gates(name: str, verdicts: Iterable[Mapping[str, Any]], hidden: "_Names") -> list[dict[str, Any]]:
    """The rules that were applied to a slice."""
    return [
        {
            "rule": f"{check['metric']} {check['rule']}",
            "passed": check["passed"],
            "sentence": None if hidden.hides(name) else check["sentence"],
        }
        for verdict in verdicts
        for check in verdict["checks"]
        if check["slice"] == name and name != OVERALL
    ]


def _groups(column: str, models: Mapping[str, Any], evidence: Mapping[str, Any], hidden: "_Names") -> dict[str, Any]:
    """Groups with their rates, and gaps with their gates; the baseline's beside them where it was compared."""
    own, base = models["candidate"], models.get("baseline")
    bounds = {verdict["metric"]: verdict for verdict in evidence["verdicts"] if verdict["slice"] == column}
    gaps = []
    for gap, rate in zip(GAPS, RATES, strict=True):
        found, judged = own["gaps"][gap], bounds.get(gap)
        ends = {key: hidden.of(found[key]) if found[key] else None for key in ("highest", "lowest")}
        gate = {"rule": judged["rule"], "passed": judged["passed"]} if judged else None
        known = {"rate": rate, "title": _WORDS[rate], "said": _SAID[rate], "gate": gate}
        gaps.append({**known, **found, **ends, "baseline": base["gaps"][gap]["value"] if base else None})
    groups = []
    for name, found in sorted(own["groups"].items(), key=lambda item: -item[1]["n"]):
        rates = [{"rate": rate, **found[rate]} for rate in RATES]
        for each in rates:
            each["baseline"] = base["groups"][name][each["rate"]]["value"] if base and name in base["groups"] else None
        groups.append({"name": hidden.of(name), "n": found["n"], "rates": rates})
    return {"column": column, "gaps": gaps, "groups": groups, "shown": min(len(groups), SHOWN)}


class _Names:
    """What slices are called on a page: those of sensitive columns, whose names are values, by numbers."""

    def __init__(self, evidence: Mapping[str, Any], sensitive: Sequence[str] | None) -> None:
        """`sensitive` is the task's; None, where the task is not known, hides all."""
        columns = {name: found["columns"] for name, found in evidence["slices"].items()}
        for column, models in evidence["fairness"].items():
            columns |= {name: [column] for model in models.values() for name in model["groups"]}
        self._hidden: dict[str, str] = {}
        self._known = sensitive is not None
        counts: dict[tuple[str, ...], int] = {}
        for name, cross in columns.items():
            if sensitive is None or set(cross) & set(sensitive):
                counts[tuple(cross)] = number = counts.get(tuple(cross), 0) + 1
                self._hidden[name] = f"{' x '.join(cross)}, group {number}"

    @property
    def why(self) -> str | None:
        """Why names are hidden: "sensitive", or "unknown", as the task is; None where none is."""
        return ("sensitive" if self._known else "unknown") if self._hidden else None

    def hides(self, name: str) -> bool:
        """Whether this one is."""
        return name in self._hidden

    def of(self, name: str) -> str:
        """The name to show."""
        return self._hidden.get(name, name)
