"""A label that is a number: predictions against labels of TFMA's buckets, and errors of the rows that were asked again."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.report.sections.model.binary import buckets_of, merged

_BINS, _BARS, _POINTS = 10, 30, 200
_EQUAL = 1e-6
_QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.99)


def collect(plots: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, Any]:
    """Mean prediction and mean label in ranges of the prediction, by model.

    Args:
      plots: of the candidate, as `pipeline.evaluation.plots` reads them.
      baseline: likewise; empty without one.
    """
    return {
        "calibration": [
            {
                "model": model,
                "bins": [
                    {
                        "rows": own["rows"],
                        "predicted": own["predictions"] / own["rows"],
                        "observed": own["labels"] / own["rows"],
                    }
                    for own in merged(buckets_of(found), _BINS)
                ],
            }
            for model, found in (("candidate", plots), ("baseline", baseline))
            if found.get("calibrationHistogramBuckets")
        ]
    }


def errors(target: np.ndarray, answers: np.ndarray, *, single: bool = True) -> dict[str, Any]:
    """Of rows: the residual is the label less the prediction.

    Args:
      target: [rows, 1], NaN where unknown: such rows are left out.
      answers: [rows].
      single: whether single rows may be shown.

    Returns:
      rows; quantiles of the absolute error; histogram of the residuals, whose first and last bars hold all beyond;
      deciles of the prediction, from the lowest, with the mean absolute error and the mean residual; points of at most
      200 rows, drawn at random.
    """
    label, prediction = target.reshape(-1).astype(np.float64), answers.reshape(-1).astype(np.float64)
    known = np.isfinite(label) & np.isfinite(prediction)
    label, prediction = label[known], prediction[known]
    residual, absolute = label - prediction, np.abs(label - prediction)
    if not len(label):
        return {"rows": 0, "quantiles": [], "histogram": [], "deciles": [], "points": []}
    some = np.random.default_rng(1).permutation(len(label))[:_POINTS]
    return {
        "rows": len(label),
        "quantiles": [{"share": q, "error": float(np.quantile(absolute, q))} for q in _QUANTILES],
        "histogram": _histogram(residual),
        "deciles": [
            {
                "low": float(prediction[part].min()),
                "high": float(prediction[part].max()),
                "rows": len(part),
                "mae": float(absolute[part].mean()),
                "residual": float(residual[part].mean()),
            }
            for part in np.array_split(np.argsort(prediction, kind="stable"), _BINS)
            if len(part)
        ],
        "points": [{"prediction": float(prediction[i]), "residual": float(residual[i])} for i in sorted(some)]
        if single
        else [],
    }


def _histogram(residual: np.ndarray) -> list[dict[str, float]]:
    low, high = (float(end) for end in np.quantile(residual, (0.01, 0.99)))
    if high - low <= _EQUAL * max(abs(low), abs(high), 1.0):
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(residual, low, high), _BARS, (low, high))
    return [
        {"low": float(edges[i]), "high": float(edges[i + 1]), "rows": float(count)} for i, count in enumerate(counts)
    ]
