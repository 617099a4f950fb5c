"""A label of named classes: which class is taken for which, of TFMA's plot, and how well each is recognised."""

from collections.abc import Mapping, Sequence
from typing import Any

_PAIRS = 10
_MATRIX = 25
"""Classes up to which the whole matrix is shown."""


def collect(
    names: Sequence[str],
    by_class: Mapping[str, Mapping[str, float]],
    plots: Mapping[str, Any],
    baseline: Mapping[str, Any],
) -> dict[str, Any]:
    """What the page shows.

    Args:
      names: of the classes, in the label's order.
      by_class: as `pipeline.evaluation.by_class` reads it.
      plots: of the candidate, as `pipeline.evaluation.plots` reads them.
      baseline: likewise; empty without one.
    """
    matrix = matrix_of(plots, len(names))
    other = matrix_of(baseline, len(names))
    rows = [sum(row) for row in matrix] if matrix else []
    return {
        "names": list(names),
        "matrix": [
            {
                "name": name,
                "rows": rows[i],
                "cells": [{"rows": count, "share": count / rows[i] if rows[i] else 0.0} for count in matrix[i]],
            }
            for i, name in enumerate(names)
        ]
        if matrix and len(names) <= _MATRIX
        else [],
        "pairs": _pairs(names, matrix)[:_PAIRS] if matrix else None,
        "classes": sorted(
            (
                {"name": name, "baseline_recall": _recall(other, i)}
                | {part: by_class.get(name, {}).get(part) for part in ("precision", "recall", "f1", "example_count")}
                for i, name in enumerate(names)
            ),
            key=lambda found: (not found["example_count"], found["f1"] if found["f1"] is not None else 2.0),
        ),
        "compared": bool(other),
    }


def matrix_of(plots: Mapping[str, Any], classes: int) -> list[list[float]]:
    """Rows by true and by chosen class, [true][chosen]; empty for labels of any number of classes."""
    found = plots.get("multiClassConfusionMatrixAtThresholds")
    if not found:
        return []
    matrix = [[0.0] * classes for _ in range(classes)]
    for entry in found["matrices"][0]["entries"]:
        true, chosen = int(entry.get("actualClassId", 0)), int(entry.get("predictedClassId", 0))
        if 0 <= true < classes and 0 <= chosen < classes:
            matrix[true][chosen] += float(entry.get("numWeightedExamples", 0.0))
    return matrix


def _pairs(names: Sequence[str], matrix: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """What was taken for something else, the most frequent first."""
    found = [
        {"true": names[i], "chosen": names[j], "rows": count, "share": count / sum(row)}
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(found, key=lambda pair: (-pair["rows"], -pair["share"]))


def _recall(matrix: Sequence[Sequence[float]], i: int) -> float | None:
    rows = sum(matrix[i]) if matrix else 0.0
    return matrix[i][i] / rows if rows else None
