"""How far each column is from other data, what exceeds its threshold first."""

from typing import Any

from pipeline.report.sections.data.facts import Facts
from pipeline.report.values import text

MEASURES = {"jensen_shannon": "Jensen-Shannon", "l_infinity": "L-infinity"}
_AGAINST = {
    "drift": "previous data",
    "label_shift": "",
    "served_drift": "served model's data",
    "skew": "logged requests against train",
    "split_drift": "train split",
}
_MOST = 200


def collect(facts: Facts) -> dict[str, Any] | None:
    """The distances that the checks took, at most 200 of them; None where there is nothing to compare with.

    `ratio` is the distance by its threshold. A distance `exceeds` where it is above the threshold and above what chance
    explains.
    """
    labels = {(entry["feature"], entry["split"]) for entry in facts.measured if entry["check"] == "label_shift"}
    taken = [
        entry
        for entry in facts.measured
        # The label's distance between splits is taken once as a column's and once as the label's.
        if entry["check"] in _AGAINST
        and not (entry["check"] == "split_drift" and (entry["feature"], entry["split"]) in labels)
    ]
    if not taken:
        return None
    told = [
        {
            "feature": text(entry["feature"]),
            "check": entry["check"],
            "against": text(entry["reference"].removeprefix("the "))
            if entry["check"] == "label_shift"
            else _AGAINST[entry["check"]],
            "split": entry["split"],
            "measure": MEASURES.get(entry["measure"], entry["measure"]),
            "distance": entry["distance"],
            "threshold": entry["threshold"],
            "noise": entry["noise"],
            "ratio": entry["distance"] / entry["threshold"],
            "exceeds": entry["distance"] > entry["threshold"] and entry["distance"] > entry["noise"],
        }
        for entry in taken
    ]
    told.sort(key=lambda entry: (not entry["exceeds"], -entry["ratio"]))
    return {"exceeding": sum(entry["exceeds"] for entry in told), "count": len(told), "taken": told[:_MOST]}


def worst(facts: Facts) -> dict[str, float]:
    """Column -> its largest distance by its threshold."""
    found: dict[str, float] = {}
    for entry in facts.measured:
        if entry["check"] in _AGAINST:
            ratio = entry["distance"] / entry["threshold"]
            found[entry["feature"]] = max(found.get(entry["feature"], 0.0), ratio)
    return found
