"""The counts that TFMA's plots are derived from, in columns where its own combiners take row by row.

Rows whose label or answer is not a number are in no plot.
"""

import json
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import calibration_histogram, multi_class_confusion_matrix_metrics
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from pipeline.evidence.class_measures import Decisions
from pipeline.labels import Classes, Label, MultiLabel

_BUCKETS = calibration_histogram.DEFAULT_NUM_BUCKETS
_ANY = 0.0
"""The probability above which the most probable class counts as chosen; TFMA's, where none is asked for."""


def counted(label: Label, specs: tfma.MetricsSpec, target: np.ndarray, answers: np.ndarray) -> Any:
    """What TFMA counts for the plots of a label.

    Args:
      label: the task's.
      specs: the plots, see `pipeline.evaluation.plots_config`.
      target: [rows, *shape].
      answers: a model's, [rows] or [rows, classes].

    Returns:
      The buckets of a calibration histogram, or confusion matrices of classes: what the combiner gives in TFMA.
    """
    rows = len(target)
    known = np.isfinite(target.reshape(rows, -1)).all(1) & np.isfinite(answers.reshape(rows, -1)).all(1)
    if not known.all():
        target, answers = target[known], answers[known]
    if isinstance(label, MultiLabel):
        return _pairs_of_classes(Decisions(label, target, answers), label.threshold)
    if isinstance(label, Classes):
        return _confused_classes(Decisions(label, target, answers))
    settings = json.loads(f"{{{specs.metrics[-1].config}}}")
    return _buckets(target.reshape(-1), answers.reshape(-1), settings.get("left", 0.0), settings.get("right", 1.0))


def _buckets(target: np.ndarray, answers: np.ndarray, left: float, right: float) -> list[Any]:
    """Rows by their prediction, in equal steps from left to right, the first and the last for what is beyond."""
    place = (answers.astype(np.float64) - left) / (right - left) * _BUCKETS + 1
    numbers = np.clip(place, 0, _BUCKETS + 1).astype(np.int32)
    rows, labels, predictions = (np.bincount(numbers, weights) for weights in (None, target, answers))
    return [
        calibration_histogram.Bucket(number, float(labels[number]), float(predictions[number]), float(rows[number]))
        for number in np.flatnonzero(rows).tolist()
    ]


def _confused_classes(decisions: Decisions) -> Any:
    """How often each class is taken for each: {0.0: {(true, chosen): rows}}."""
    classes = decisions.classes
    counts = np.bincount(decisions.true.astype(np.int64) * classes + decisions.chosen, minlength=classes * classes)
    entry = multi_class_confusion_matrix_metrics.MatrixEntryKey
    entries = {entry(*divmod(pair, classes)): float(counts[pair]) for pair in np.flatnonzero(counts).tolist()}
    return multi_class_confusion_matrix_metrics.Matrices({_ANY: entries})


def _pairs_of_classes(decisions: Decisions, threshold: float) -> Any:
    """For each class, of the rows that have it: how the others were answered."""
    found = metrics_for_slice_pb2.MultiLabelConfusionMatrixAtThresholds()
    matrix = found.matrices.add(threshold=threshold)
    true, chosen = decisions.true, decisions.chosen
    sides = {
        "false_negatives": true & ~chosen,
        "true_negatives": ~true & ~chosen,
        "false_positives": ~true & chosen,
        "true_positives": true & chosen,
    }
    for actual in np.flatnonzero(true.any(0)).tolist():
        counts = {side: rows[true[:, actual]].sum(0) for side, rows in sides.items()}
        for other in range(decisions.classes):
            matrix.entries.add(
                actual_class_id=actual,
                predicted_class_id=other,
                **{side: float(count[other]) for side, count in counts.items()},
            )
    return found
