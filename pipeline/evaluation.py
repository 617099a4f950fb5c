"""TFMA's configuration from the task, and its results read back."""

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from pipeline import class_metrics, curves, fingerprint
from pipeline.evidence.cuts import OVERALL, name_of
from pipeline.evidence.tables import BASELINE, CANDIDATE
from pipeline.labels import Binary, Classes, Label, MultiLabel, Regression
from pipeline.task import Task

_TFMAS = {
    "binary_accuracy": "BinaryAccuracy",
    "precision": "Precision",
    "recall": "Recall",
    "binary_cross_entropy": "BinaryCrossEntropy",
    "mae": "MeanAbsoluteError",
    "mse": "MeanSquaredError",
    "rmse": "RootMeanSquaredError",
    "squared_pearson": "SquaredPearsonCorrelation",
    "example_count": "ExampleCount",
    "mean_label": "MeanLabel",
    "mean_prediction": "MeanPrediction",
    "calibration": "Calibration",
}
_OURS = {
    "auc": curves.Auc,
    "auc_pr": curves.AucPr,
    "micro_auc": class_metrics.ClassAuc,
    "macro_auc": class_metrics.ClassAuc,
}
_PER_CLASS = "per_class"


def eval_config(task: Task, *, baseline: bool = False) -> config_pb2.EvalConfig:
    """The metrics and slices of a task, of answers that are columns (see `answer_column`) and not of models.

    There are no thresholds: the gates are judged on differences and their noise, by `pipeline.evidence.verdicts`.

    Args:
      task: whose evaluation is wanted.
      baseline: whether there are answers of a baseline too. Without one TFMA's only model has no name.
    """
    metrics = [config_pb2.MetricConfig(**_implementation(metric, task.label)) for metric in task.evaluation.metrics]
    if isinstance(task.label, Classes):
        metrics.append(config_pb2.MetricConfig(**_configured(_PER_CLASS, class_metrics.PerClass, task.label)))
    return config_pb2.EvalConfig(
        model_specs=_model_specs(task.label, baseline),
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=list(cross)) for cross in task.evaluation.crosses),
        ],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )


def plots_config(task: Task, target: np.ndarray, *, baseline: bool = False) -> config_pb2.EvalConfig:
    """The plots of a label, of all rows together.

    - Binary: ROC and precision-recall curves with the confusion matrix at each threshold, and calibration.
    - Regression: calibration, of whose buckets the residuals are read (mean label less mean prediction).
    - MultiClass, MultiLabel: which class is taken for which.

    Args:
      task: whose label it is.
      target: of the rows; its range is that of a number's plot.
      baseline: as in `eval_config`.
    """
    plots: list[tuple[str, dict[str, Any]]]
    if isinstance(task.label, Binary):
        plots = [("ConfusionMatrixPlot", {}), ("CalibrationPlot", {})]
    elif isinstance(task.label, Regression):
        known = target[np.isfinite(target)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        plots = [("CalibrationPlot", {"left": low, "right": high if high > low else low + 1.0, "num_buckets": 100})]
    elif isinstance(task.label, MultiLabel):
        plots = [("MultiLabelConfusionMatrixPlot", {"thresholds": [task.label.threshold]})]
    else:
        plots = [("MultiClassConfusionMatrixPlot", {})]
    configured = [
        config_pb2.MetricConfig(class_name=name, config=json.dumps(settings)[1:-1]) for name, settings in plots
    ]
    return config_pb2.EvalConfig(
        model_specs=_model_specs(task.label, baseline),
        slicing_specs=[config_pb2.SlicingSpec()],
        metrics_specs=[config_pb2.MetricsSpec(metrics=configured)],
    )


def answer_column(label: Label, model: str) -> str:
    """The column that holds a model's answers."""
    return f"{label.output}_of_{model}"


def model_name(model: str, *, baseline: bool) -> str:
    """TFMA's name of a model: its only one has none."""
    return model if baseline else ""


def _model_specs(label: Label, baseline: bool) -> list[config_pb2.ModelSpec]:
    return [
        config_pb2.ModelSpec(
            name=model_name(model, baseline=baseline),
            label_key=label.transformed,
            prediction_key=answer_column(label, model),
            is_baseline=model == BASELINE,
        )
        for model in ((CANDIDATE, BASELINE) if baseline else (CANDIDATE,))
    ]


def _implementation(metric: str, label: Label) -> dict[str, str]:
    """The class of a metric and its arguments, which TFMA takes as the inside of a JSON object."""
    if metric in _TFMAS:
        return {"class_name": _TFMAS[metric], "config": f'"name": "{metric}"'}
    return _configured(metric, _OURS.get(metric, class_metrics.Classified), label)


def _configured(metric: str, own: type, label: Label) -> dict[str, str]:
    """A class of ours, with what it has to know of the label."""
    arguments: dict[str, Any] = {"name": metric, "code": fingerprint.of(own.__module__)}
    if isinstance(label, Classes):
        arguments |= {"classes": len(label.names), "threshold": _threshold_of(label)}
    return {"class_name": own.__name__, "module": own.__module__, "config": json.dumps(arguments)[1:-1]}


def _threshold_of(label: Classes) -> float | None:
    """The probability above which a class is chosen; None where the most probable one is."""
    return label.threshold if isinstance(label, MultiLabel) else None


def metrics(evaluation: str, model_name: str | None = None) -> dict[str, dict[str, float]]:
    """Metrics by slice, as TFMA wrote them.

    Args:
      evaluation: the URI of a ModelEvaluation artifact.
      model_name: BASELINE, or None for the candidate.

    Returns:
      `{"overall": {"auc": 0.94, …}, "trip_start_hour=7": {…}}`; empty where that model was not evaluated. What is not a
      number is left out; evidence.json says why it is none.
    """
    try:
        result = tfma.load_eval_result(evaluation, model_name=model_name)
    except (ValueError, OSError):
        if model_name is None:
            raise
        return {}
    return {name_of(key): dict(_values(value[""][""])) for key, value in result.slicing_metrics} if result else {}


def by_class(evaluation: str, label: Label) -> dict[str, dict[str, float]]:
    """What is known of each class, of all rows together.

    Args:
      evaluation: the URI of a ModelEvaluation artifact.
      label: of the task.

    Returns:
      `{"cat": {"precision": 0.9, "recall": 0.8, "f1": 0.85, "example_count": 100.0}, …}` in the label's order; empty
      for a label without named classes.
    """
    if not isinstance(label, Classes):
        return {}
    (overall,) = (value for key, value in tfma.load_eval_result(evaluation).slicing_metrics if not key)
    known = (dict(_values(overall[""].get(f"classId:{number}", {}))) for number in range(len(label.names)))
    return {
        name: {part: values[part] for part in class_metrics.PER_CLASS if part in values}
        for name, values in zip(label.names, known, strict=True)
    }


def _values(metrics_by_name: dict[str, Any]) -> Iterable[tuple[str, float]]:
    for name, value in metrics_by_name.items():
        number = value.get("doubleValue")
        if number is not None and math.isfinite(float(number)):
            yield name, float(number)


def plots(evaluation: str, model_name: str | None = None) -> dict[str, Any]:
    """The plots of all rows, as TFMA wrote them: `confusionMatrixAtThresholds`, `calibrationHistogramBuckets`,
    `multiClassConfusionMatrixAtThresholds` or `multiLabelConfusionMatrixAtThresholds`.

    Args:
      evaluation: the URI of a ModelEvaluation artifact.
      model_name: BASELINE, or None for the candidate.
    """
    result = tfma.load_eval_result(evaluation)
    compared = len(result.config.model_specs) > 1
    if model_name == BASELINE and not compared:
        return {}
    name = (model_name or CANDIDATE) if compared else None
    found = result.plots if name is None else tfma.load_eval_result(evaluation, model_name=name).plots
    return {kind: plot for _, by_output in found for by_key in by_output.values() for kind, plot in _merged(by_key)}


def _merged(by_key: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    for kinds in by_key.values():
        yield from kinds.items()


__all__ = ["BASELINE", "OVERALL", "by_class", "eval_config", "metrics", "plots", "plots_config"]
