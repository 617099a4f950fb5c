"""TFMA's configuration from the task, and its results read back."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from pipeline import class_metrics, curves, fingerprint
from pipeline.export import LABELS_SIGNATURE, SERVING_SIGNATURE
from pipeline.gates import HIGHER_IS_BETTER, Gate
from pipeline.labels import Classes, Label, MultiLabel
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
BASELINE = "baseline"
OVERALL = "overall"
_EQUAL = 1e-10
_PART = re.compile(r'([^=]+)=("(?:[^"\\]|\\.)*"|.*?)(?:, |$)', re.DOTALL)


def eval_config(task: Task) -> config_pb2.EvalConfig:
    """The metrics, slices and thresholds of a task.

    One model without a name: TFX adds the baseline, where there is one, and names both; it refuses a config that has
    the two already and leaves one nameless.
    """
    gates = {metric: [g for g in task.evaluation.gates if g.metric == metric] for metric in task.evaluation.metrics}
    spec = {
        "signature_name": SERVING_SIGNATURE,
        "preprocessing_function_names": [LABELS_SIGNATURE],
        "label_key": task.label.transformed,
        "prediction_key": task.label.output,
    }
    metrics = [
        config_pb2.MetricConfig(
            **_implementation(metric, task.label), per_slice_thresholds=[_threshold(gate) for gate in rules]
        )
        for metric, rules in gates.items()
    ]
    if isinstance(task.label, Classes):
        metrics.append(config_pb2.MetricConfig(**_configured(_PER_CLASS, class_metrics.PerClass, task.label)))
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(**spec)],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=list(cross)) for cross in task.evaluation.crosses),
        ],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )


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


def _threshold(gate: Gate) -> config_pb2.PerSliceMetricThreshold:
    """TFMA's threshold for a gate. A plain `threshold` would also hold every slice to it."""
    threshold = config_pb2.MetricThreshold()
    if gate.at_least is not None:
        threshold.value_threshold.lower_bound.value = gate.at_least
    if gate.at_most is not None:
        threshold.value_threshold.upper_bound.value = gate.at_most
    if gate.no_worse_by is not None:
        higher = HIGHER_IS_BETTER[gate.metric]
        threshold.change_threshold.direction = (
            config_pb2.MetricDirection.HIGHER_IS_BETTER if higher else config_pb2.MetricDirection.LOWER_IS_BETTER
        )
        # TFMA compares candidate - baseline; the last term lets an equal model pass with a margin of 0 despite rounding.
        threshold.change_threshold.absolute.value = (-1 if higher else 1) * (gate.no_worse_by + _EQUAL)
    return config_pb2.PerSliceMetricThreshold(
        slicing_specs=[config_pb2.SlicingSpec(feature_keys=list(gate.cross))], threshold=threshold
    )


def metrics(evaluation: str, model_name: str | None = None) -> dict[str, dict[str, float]]:
    """Metrics by slice, as TFMA wrote them.

    Args:
      evaluation: the URI of a ModelEvaluation artifact.
      model_name: BASELINE, or None for the candidate.

    Returns:
      `{"overall": {"auc": 0.94, …}, "trip_start_hour=7": {…}}`; empty where that model was not evaluated.
    """
    try:
        result = tfma.load_eval_result(evaluation, model_name=model_name)
    except (ValueError, OSError):
        if model_name is None:
            raise
        return {}
    return {_slice_name(key): dict(_values(value[""][""])) for key, value in result.slicing_metrics} if result else {}


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


def _slice_name(key: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{column}={_quoted(str(value))}" for column, value in key) or OVERALL


def _quoted(value: str) -> str:
    """A slice's value, in quotation marks where it could be taken for two."""
    return json.dumps(value, ensure_ascii=False) if ", " in value or value.startswith('"') else value


def _values(metrics_by_name: dict[str, Any]) -> Iterable[tuple[str, float]]:
    for name, value in metrics_by_name.items():
        number = value.get("doubleValue")
        if number is not None and math.isfinite(float(number)):
            yield name, float(number)


def verdicts(
    task: Task, candidate: dict[str, dict[str, float]], baseline: dict[str, dict[str, float]]
) -> list[dict[str, Any]]:
    """Each gate with its verdict and a sentence.

    Args:
      task: whose gates.
      candidate: metrics by slice.
      baseline: likewise; empty where there is none.

    Returns:
      `{"name", "passed", "reason"}` for each gate, as in run.json.
    """
    return [_verdict(gate, candidate, baseline) for gate in task.evaluation.gates]


def _verdict(
    gate: Gate, candidate: dict[str, dict[str, float]], baseline: dict[str, dict[str, float]]
) -> dict[str, Any]:
    slices = [name for name in candidate if _columns(name) == tuple(sorted(gate.cross))]
    checks = {
        name: _check(gate, candidate[name].get(gate.metric), baseline.get(name, {}).get(gate.metric)) for name in slices
    }
    failed = [f"{name}: {reason}" if gate.cross else reason for name, (passed, reason) in checks.items() if not passed]
    passed = [reason for passed, reason in checks.values() if passed]
    if failed:
        more = f" (and {len(failed) - 3} more slices)" if len(failed) > 3 else ""
        return {"name": str(gate), "passed": False, "reason": "; ".join(failed[:3]) + more}
    if not checks:
        return {"name": str(gate), "passed": False, "reason": f"{gate.metric}: no slice of {', '.join(gate.cross)}"}
    return {"name": str(gate), "passed": True, "reason": f"all {len(checks)} slices hold" if gate.cross else passed[0]}


def _columns(slice_name: str) -> tuple[str, ...]:
    """The columns of a slice, sorted, as TFMA has them."""
    return () if slice_name == OVERALL else tuple(part[1] for part in _PART.finditer(slice_name))


def _check(gate: Gate, value: float | None, base: float | None) -> tuple[bool, str]:
    """Whether a gate holds for a value, and a sentence."""
    if value is None:
        return False, f"{gate.metric} could not be computed"
    failed = []
    reason = f"{gate.metric} {value:.4f}"
    if gate.at_least is not None and value < gate.at_least:
        failed.append(f"below {gate.at_least:g}")
    if gate.at_most is not None and value > gate.at_most:
        failed.append(f"above {gate.at_most:g}")
    if gate.no_worse_by is not None and base is None:
        reason += ", no baseline to compare with"
    if gate.no_worse_by is not None and base is not None:
        worse = (base - value) if HIGHER_IS_BETTER[gate.metric] else (value - base)
        reason += f", baseline {base:.4f}"
        if worse > gate.no_worse_by + _EQUAL:
            failed.append(f"worse than the baseline by {worse:.4f}, more than {gate.no_worse_by:g}")
    return not failed, reason + (f": {' and '.join(failed)}" if failed else "")
