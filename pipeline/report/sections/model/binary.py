"""A yes-or-no label, read off the plots that TFMA wrote: counts at thresholds, and buckets of scores."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evidence.intervals import quantile, wilson

THRESHOLD = 0.5
"""Above it a model says yes: of every metric that counts decisions."""
_STEPS, _SHOWN, _BINS, _BARS = 100, 10, 10, 20
_APART = 0.004
"""Of two points of a curve, so that it has a few hundred of TFMA's thousand."""
_COUNTS = {"tp": "truePositives", "fp": "falsePositives", "tn": "trueNegatives", "fn": "falseNegatives"}

Point = dict[str, float]
"""threshold, tp, fp, tn, fn."""


def collect(plots: Mapping[str, Any], baseline: Mapping[str, Any], confidence: float) -> dict[str, Any]:
    """What the page shows.

    Args:
      plots: of the candidate, as `pipeline.evaluation.plots` reads them.
      baseline: likewise; empty without one.
      confidence: of the intervals.
    """
    points = points_of(plots)
    at = min(range(len(points)), key=lambda i: abs(points[i]["threshold"] - THRESHOLD))
    explored = _near(points, [step / _STEPS for step in range(_STEPS + 1)])
    return {
        "points": explored,
        "table": [_shares(point) for point in _near(points, [(i + 0.5) / _SHOWN for i in range(_SHOWN)])],
        "at": _shares(points[at]),
        "curves": [
            {"model": model, "points": curve(points_of(own))}
            for model, own in (("candidate", plots), ("baseline", baseline))
            if own.get("confusionMatrixAtThresholds")
        ],
        "calibration": [
            {"model": model, "bins": bins(buckets_of(own), confidence)}
            for model, own in (("candidate", plots), ("baseline", baseline))
            if own.get("calibrationHistogramBuckets")
        ],
        "confidence": confidence,
        "scores": histogram(buckets_of(plots)),
    }


def points_of(plots: Mapping[str, Any]) -> list[Point]:
    """TFMA's counts at each threshold within 0 and 1, rising."""
    found = [
        {"threshold": float(matrix.get("threshold", 0.0))}
        | {name: float(matrix.get(key, 0.0)) for name, key in _COUNTS.items()}
        for matrix in plots["confusionMatrixAtThresholds"]["matrices"]
    ]
    return sorted((point for point in found if 0 <= point["threshold"] <= 1), key=lambda point: point["threshold"])


def _near(points: Sequence[Point], wanted: Sequence[float]) -> list[Point]:
    """Of each wanted threshold the nearest that was counted, each once."""
    nearest = {min(range(len(points)), key=lambda i: abs(points[i]["threshold"] - value)) for value in wanted}
    return [points[i] for i in sorted(nearest)]


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _shares(point: Point) -> dict[str, Any]:
    tp, fp, tn, fn = (point[name] for name in _COUNTS)
    return point | {
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "selection_rate": _ratio(tp + fp, tp + fp + tn + fn),
        "false_positive_rate": _ratio(fp, fp + tn),
    }


def curve(points: Sequence[Point]) -> list[dict[str, float | None]]:
    """Points of the ROC and the precision-recall curve, rising threshold; those that move too little are left out."""
    found: list[dict[str, Any]] = []
    for i, point in enumerate(points):
        shares = _shares(point)
        own = {key: shares[key] for key in ("threshold", "false_positive_rate", "recall", "precision")}
        moved = not found or max(
            abs((own[key] or 0.0) - (found[-1][key] or 0.0)) for key in ("false_positive_rate", "recall", "precision")
        )
        if moved >= _APART or i == len(points) - 1:
            found.append(own)
    return found


def buckets_of(plots: Mapping[str, Any]) -> list[dict[str, float]]:
    """TFMA's buckets that hold rows: where they begin, rows, the sums of labels and of predictions."""
    return [
        {
            "low": float(bucket.get("lowerThresholdInclusive", 0.0)),
            "rows": rows,
            "labels": float(bucket.get("totalWeightedLabel", 0.0)),
            "predictions": float(bucket.get("totalWeightedRefinedPrediction", 0.0)),
        }
        for bucket in plots["calibrationHistogramBuckets"]["buckets"]
        if (rows := float(bucket.get("numWeightedExamples", 0.0)))
    ]


def merged(buckets: Sequence[Mapping[str, float]], count: int) -> list[dict[str, float]]:
    """Neighbours put together until each holds about as many rows as another; at most `count`."""
    total, seen = sum(bucket["rows"] for bucket in buckets), 0.0
    found: dict[int, dict[str, float]] = {}
    for bucket in buckets:
        own = found.setdefault(int(count * seen / total), {"rows": 0.0, "labels": 0.0, "predictions": 0.0})
        for key in own:
            own[key] += bucket[key]
        seen += bucket["rows"]
    return list(found.values())


def bins(buckets: Sequence[Mapping[str, float]], confidence: float) -> list[dict[str, Any]]:
    """Predicted and observed share of yes, with Wilson's interval of the latter."""
    z = quantile(confidence)
    return [
        {
            "rows": own["rows"],
            "predicted": own["predictions"] / own["rows"],
            "observed": own["labels"] / own["rows"],
            "interval": list(wilson(own["labels"], own["rows"], z)),
        }
        for own in merged(buckets, _BINS)
    ]


def histogram(buckets: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Rows of either class by score."""
    found = [{"low": i / _BARS, "high": (i + 1) / _BARS, "no": 0.0, "yes": 0.0} for i in range(_BARS)]
    for bucket in buckets:
        own = found[max(0, min(_BARS - 1, int(_BARS * max(bucket["low"], 0.0) + 1e-9)))]
        own["yes"] += bucket["labels"]
        own["no"] += bucket["rows"] - bucket["labels"]
    return found
