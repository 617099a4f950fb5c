"""Evaluation: TFMA's configuration value by value."""

import json

import numpy as np
import pytest
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.utils import config_util

from pipeline import evaluation
from pipeline.errors import TaskError
from pipeline.evaluation import eval_config
from pipeline.features import Categorical
from pipeline.gates import HIGHER_IS_BETTER, Evaluation, Gate
from pipeline.labels import Binary, Label, MultiClass, MultiLabel, Regression
from pipeline.models.linear import Linear
from pipeline.sources import Csv
from pipeline.task import Task

LABELS = (Binary("tipped"), Regression("fare"), MultiClass("animal", 3), MultiLabel("tags", ("a", "b")))


def task(
    *gates: Gate,
    slices: tuple[str | tuple[str, ...], ...] = ("hour",),
    label: Label = LABELS[0],
) -> Task:
    usual = ("auc", "mae") if isinstance(label, Binary) else ()
    metrics = tuple(dict.fromkeys((*usual, *(gate.metric for gate in gates))))
    return Task(
        name="trips",
        question="?",
        source=Csv("rows.csv"),
        label=label,
        features=(Categorical("hour", size=24),),
        model=Linear(),
        evaluation=Evaluation(metrics=metrics, slices=slices, gates=gates),
    )


@pytest.mark.parametrize("label", LABELS, ids=lambda label: type(label).__name__)
def test_every_metric_of_a_label_is_one_that_tfma_computes(label: Label) -> None:
    gates = tuple(Gate(metric, at_least=0) for metric in sorted(label.measures))
    config = eval_config(task(*gates, label=label))
    computed = {
        key.name
        for computation in metric_specs.to_computations(config.metrics_specs, eval_config=config)
        for key in computation.keys
    }
    assert label.measures <= computed


def test_every_metric_fits_a_label_and_has_a_direction() -> None:
    assert {metric for label in LABELS for metric in label.measures} == set(HIGHER_IS_BETTER)


@pytest.mark.parametrize(
    ("label", "metric", "fitting"),
    [
        (Regression("fare"), "auc", "mae, mse, rmse, squared_pearson"),
        (MultiClass("animal", 3), "mae", "accuracy, top_2_accuracy, top_3_accuracy"),
        (MultiLabel("tags", ("a",)), "accuracy", "macro_recall, macro_f1, lowest_recall"),
        (Binary("tipped"), "macro_f1", "auc, auc_pr, binary_accuracy"),
    ],
)
def test_a_metric_that_does_not_fit_the_label_is_refused_with_those_that_do(
    label: Label, metric: str, fitting: str
) -> None:
    with pytest.raises(TaskError) as caught:
        task(Gate(metric, at_least=0.5), label=label)
    assert f"evaluation: a {type(label).__name__} label has " in str(caught.value)
    assert fitting in str(caught.value)
    assert str(caught.value).endswith(f"Received: {metric}")


def test_classes_are_counted_in_one_pass_and_the_code_that_counts_is_in_the_cache_key() -> None:
    label = MultiLabel("tags", ("a", "b"), threshold=0.3)
    config = eval_config(task(Gate("macro_f1", at_least=0.5), Gate("exact_match", at_least=0.5), label=label))
    (specs,) = config.metrics_specs
    configured = [json.loads(f"{{{metric.config}}}") for metric in specs.metrics]
    assert [entry["name"] for entry in configured] == ["macro_f1", "exact_match", "per_class"]
    for entry in configured:
        assert (entry["classes"], entry["threshold"], len(entry["code"]) > 8) == (2, 0.3, True)
    counts = [
        computation
        for computation in metric_specs.to_computations(config.metrics_specs, eval_config=config)
        if isinstance(computation, metric_types.MetricComputation)
    ]
    assert len(set(counts)) == 1


def test_answers_are_columns_of_candidate_and_baseline() -> None:
    alone, both = (
        eval_config(task(Gate("auc", at_least=0.5))),
        eval_config(task(Gate("auc", at_least=0.5)), baseline=True),
    )
    assert [(spec.name, spec.is_baseline) for spec in alone.model_specs] == [("", False)]
    assert [(spec.name, spec.is_baseline) for spec in both.model_specs] == [("candidate", False), ("baseline", True)]
    assert [spec.prediction_key for spec in both.model_specs] == ["probability_of_candidate", "probability_of_baseline"]
    assert {spec.label_key for spec in (*both.model_specs, *alone.model_specs)} == {"tipped_label"}
    assert not any(spec.signature_name for spec in both.model_specs)
    for config, has_baseline in ((alone, False), (both, True)):
        config_util.verify_eval_config(config, baseline_required=has_baseline)


@pytest.mark.parametrize("label", LABELS, ids=lambda label: type(label).__name__)
def test_plots_are_of_all_rows_and_fit_the_label(label: Label) -> None:
    target = np.array([[2.0], [9.0], [np.nan]])
    config = evaluation.plots_config(task(Gate(sorted(label.measures)[0], at_least=0), label=label), target)
    (specs,) = config.metrics_specs
    names = [metric.class_name for metric in specs.metrics]
    assert (
        names
        == {
            "Binary": ["ConfusionMatrixPlot", "CalibrationPlot"],
            "Regression": ["CalibrationPlot"],
            "MultiClass": ["MultiClassConfusionMatrixPlot"],
            "MultiLabel": ["MultiLabelConfusionMatrixPlot"],
        }[type(label).__name__]
    )
    assert [list(spec.feature_keys) for spec in config.slicing_specs] == [[]]
    if isinstance(label, Regression):
        assert json.loads(f"{{{specs.metrics[0].config}}}") == {"left": 2.0, "right": 9.0, "num_buckets": 100}
    assert list(metric_specs.to_computations(config.metrics_specs, eval_config=config))


def test_slices_are_all_rows_and_each_cross() -> None:
    config = eval_config(task(Gate("auc", at_least=0.5), slices=("hour", ("day", "hour"))))
    assert [list(spec.feature_keys) for spec in config.slicing_specs] == [[], ["hour"], ["day", "hour"]]


def test_tfma_judges_nothing() -> None:
    """Its thresholds know no noise."""
    (spec,) = eval_config(
        task(Gate("auc", at_least=0.9, no_worse_by=0.005), Gate("mae", no_worse_by=0.1))
    ).metrics_specs
    assert not any(metric.per_slice_thresholds or metric.HasField("threshold") for metric in spec.metrics)


def test_both_areas_are_read_off_the_same_counts() -> None:
    config = eval_config(task(Gate("auc", at_least=0.5), Gate("auc_pr", at_least=0.5)))
    computations = metric_specs.to_computations(config.metrics_specs, eval_config=config)
    counts = {c for c in computations if isinstance(c, metric_types.MetricComputation) and c.keys[0].name == "_curve"}
    assert len(counts) == 1


def test_metrics_that_are_not_numbers_are_left_out() -> None:
    values = {"auc": {"doubleValue": 0.5}, "mae": {"doubleValue": "NaN"}, "plot": {"bytesValue": ""}}
    assert dict(evaluation._values(values)) == {"auc": 0.5}
