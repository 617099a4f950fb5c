"""Evaluation: TFMA's configuration value by value, and our verdicts against TFMA's own validation."""

import itertools
import json
from typing import Any

import pytest
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import config_util

from pipeline import evaluation
from pipeline.errors import TaskError
from pipeline.evaluation import eval_config, verdicts
from pipeline.features import Categorical
from pipeline.gates import HIGHER_IS_BETTER, Evaluation, Gate
from pipeline.labels import Binary, Label, MultiClass, MultiLabel, Regression
from pipeline.models.linear import Linear
from pipeline.sources import Csv
from pipeline.task import Task

Metrics = dict[str, dict[str, float]]


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


def verdict(gate: Gate, candidate: Metrics, baseline: Metrics | None = None, **changes: Any) -> tuple[bool, str]:
    (found,) = verdicts(task(gate, **changes), candidate, baseline or {})
    assert found["name"] == str(gate)
    return found["passed"], found["reason"]


def overall(**metrics: float) -> Metrics:
    return {"overall": metrics}


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


def test_models_read_the_serving_signature_and_the_label() -> None:
    config = eval_config(task(Gate("auc", at_least=0.5)))
    both = config_util.update_eval_config_with_defaults(config, has_baseline=True, rubber_stamp=True)
    alone = config_util.update_eval_config_with_defaults(config, has_baseline=False, rubber_stamp=True)
    assert [(spec.name, spec.is_baseline) for spec in alone.model_specs] == [("", False)]
    assert [(spec.name, spec.is_baseline) for spec in both.model_specs] == [("candidate", False), ("baseline", True)]
    for spec in (*both.model_specs, *alone.model_specs):
        assert spec.signature_name == "serving_default"
        assert list(spec.preprocessing_function_names) == ["labels"]
        assert spec.label_key == "tipped_label"


def test_slices_are_all_rows_and_each_cross() -> None:
    config = eval_config(task(Gate("auc", at_least=0.5), slices=("hour", ("day", "hour"))))
    assert [list(spec.feature_keys) for spec in config.slicing_specs] == [[], ["hour"], ["day", "hour"]]


def test_a_gate_holds_for_its_slices_and_no_others() -> None:
    gates = (
        Gate("auc", at_least=0.9, at_most=0.99, no_worse_by=0.005),
        Gate("auc", at_least=0.7, per="hour"),
        Gate("mae", no_worse_by=0.1),
    )
    (spec,) = eval_config(task(*gates)).metrics_specs
    configured = {json.loads(f"{{{metric.config}}}")["name"]: metric for metric in spec.metrics}
    auc, mae = configured["auc"], configured["mae"]
    everywhere, per_hour = auc.per_slice_thresholds
    assert [list(spec.feature_keys) for spec in everywhere.slicing_specs] == [[]]
    assert everywhere.threshold.value_threshold.lower_bound.value == 0.9
    assert everywhere.threshold.value_threshold.upper_bound.value == 0.99
    assert everywhere.threshold.change_threshold.direction == config_pb2.MetricDirection.HIGHER_IS_BETTER
    assert everywhere.threshold.change_threshold.absolute.value == pytest.approx(-0.005, abs=1e-9)
    assert [list(spec.feature_keys) for spec in per_hour.slicing_specs] == [["hour"]]
    assert not per_hour.threshold.value_threshold.HasField("upper_bound")
    assert not per_hour.threshold.HasField("change_threshold")
    (change,) = mae.per_slice_thresholds
    assert change.threshold.change_threshold.direction == config_pb2.MetricDirection.LOWER_IS_BETTER
    assert change.threshold.change_threshold.absolute.value == pytest.approx(0.1, abs=1e-9)
    assert not change.threshold.HasField("value_threshold")


@pytest.mark.parametrize(
    ("gate", "metrics", "expected"),
    [
        (Gate("auc", at_least=0.9), {"auc": 0.95}, (True, "auc 0.9500")),
        (Gate("auc", at_least=0.9), {"auc": 0.9}, (True, "auc 0.9000")),
        (Gate("auc", at_least=0.9), {"auc": 0.85}, (False, "auc 0.8500: below 0.9")),
        (Gate("mae", at_most=2.0), {"mae": 2.0}, (True, "mae 2.0000")),
        (Gate("mae", at_most=2.0), {"mae": 2.5}, (False, "mae 2.5000: above 2")),
        (Gate("auc", at_least=0.9), {}, (False, "auc could not be computed")),
    ],
)
def test_bounds(gate: Gate, metrics: dict[str, float], expected: tuple[bool, str]) -> None:
    assert verdict(gate, {"overall": metrics}) == expected


def test_without_a_baseline_a_comparison_passes_and_says_so() -> None:
    gate = Gate("auc", at_least=0.9, no_worse_by=0.0)
    assert verdict(gate, overall(auc=0.95)) == (True, "auc 0.9500, no baseline to compare with")
    passed, reason = verdict(gate, overall(auc=0.8))
    assert (passed, reason) == (False, "auc 0.8000, no baseline to compare with: below 0.9")


@pytest.mark.parametrize(
    ("metric", "value", "base", "margin", "passed"),
    [
        ("auc", 0.9, 0.9, 0.0, True),
        ("auc", 0.95, 0.9, 0.0, True),
        ("auc", 0.89, 0.9, 0.0, False),
        ("auc", 0.896, 0.9, 0.005, True),
        ("auc", 0.894, 0.9, 0.005, False),
        ("mae", 2.0, 2.0, 0.0, True),
        ("mae", 1.0, 2.0, 0.0, True),
        ("mae", 2.05, 2.0, 0.1, True),
        ("mae", 2.15, 2.0, 0.1, False),
    ],
)
def test_against_a_baseline(metric: str, value: float, base: float, margin: float, passed: bool) -> None:
    found, reason = verdict(Gate(metric, no_worse_by=margin), overall(**{metric: value}), overall(**{metric: base}))
    assert found == passed
    expected = f"{metric} {value:.4f}, baseline {base:.4f}"
    if not passed:
        expected += f": worse than the baseline by {abs(value - base):.4f}, more than {margin:g}"
    assert reason == expected


def test_both_faults_of_a_gate_are_said() -> None:
    gate = Gate("auc", at_least=0.9, no_worse_by=0.01)
    assert verdict(gate, overall(auc=0.8), overall(auc=0.95)) == (
        False,
        "auc 0.8000, baseline 0.9500: below 0.9 and worse than the baseline by 0.1500, more than 0.01",
    )


def test_a_gate_per_slice_holds_for_each_of_its_values_only() -> None:
    gate = Gate("auc", at_least=0.8, per="hour")
    good = {"overall": {"auc": 0.1}, "hour=1": {"auc": 0.85}, "hour=2": {"auc": 0.9}, "day=1": {"auc": 0.1}}
    assert verdict(gate, good) == (True, "all 2 slices hold")
    assert verdict(gate, good | {"hour=3": {"auc": 0.7}}) == (False, "hour=3: auc 0.7000: below 0.8")
    assert verdict(gate, overall(auc=0.9)) == (False, "auc: no slice of hour")


def test_a_gate_per_slice_shows_three_failures_and_counts_the_rest() -> None:
    bad = {f"hour={hour}": {"auc": 0.5} for hour in range(5)}
    passed, reason = verdict(Gate("auc", at_least=0.8, per="hour"), bad)
    assert not passed
    assert reason.count("below 0.8") == 3
    assert reason.endswith("(and 2 more slices)")


@pytest.mark.parametrize("company", ["Taxi, Inc. day=2", 'The "Blue", Inc.', '"Q"', "a=b", "a,b", "", "two\nlines"])
def test_a_slices_value_may_hold_a_comma_or_a_quotation_mark(company: str) -> None:
    name = evaluation._slice_name((("company", company),))
    crossed = evaluation._slice_name((("company", company), ("hour", 3)))
    slices = ("company", ("company", "hour"))
    candidate = {name: {"auc": 0.5}, crossed: {"auc": 0.9}}
    assert verdict(Gate("auc", at_least=0.8, per="company"), candidate, slices=slices)[0] is False
    assert verdict(Gate("auc", at_least=0.8, per=("company", "hour")), candidate, slices=slices)[0] is True
    assert verdict(Gate("auc", at_most=0.8, per="company"), candidate, slices=slices) == (True, "all 1 slices hold")


def test_the_order_of_a_cross_does_not_matter() -> None:
    name = evaluation._slice_name((("day", 1), ("hour", 2)))
    assert name == "day=1, hour=2"
    gate = Gate("auc", at_least=0.8, per=("hour", "day"))
    assert verdict(gate, {name: {"auc": 0.9}}, slices=(("hour", "day"),)) == (True, "all 1 slices hold")


def test_names_of_slices() -> None:
    assert evaluation._slice_name(()) == "overall"
    assert evaluation._slice_name((("hour", 7),)) == "hour=7"
    assert evaluation._slice_name((("company", "A, B"), ("hour", 7))) == 'company="A, B", hour=7'


def test_metrics_that_are_not_numbers_are_left_out() -> None:
    values = {"auc": {"doubleValue": 0.5}, "mae": {"doubleValue": "NaN"}, "plot": {"bytesValue": ""}}
    assert dict(evaluation._values(values)) == {"auc": 0.5}


AUC_VALUES = (0.5, 0.895, 0.9, 0.905, 1.0)
GATES = (
    Gate("auc", at_least=0.9),
    Gate("auc", at_most=0.9),
    Gate("auc", no_worse_by=0.0),
    Gate("auc", no_worse_by=0.005),
    Gate("auc", at_least=0.895, no_worse_by=0.1),
    Gate("mae", no_worse_by=0.0),
    Gate("mae", no_worse_by=0.005),
    Gate("auc", at_least=0.9, per="hour"),
)


@pytest.mark.parametrize("gate", GATES, ids=str)
def test_verdicts_agree_with_tfmas_validation(gate: Gate) -> None:
    for value, base in itertools.product(AUC_VALUES, AUC_VALUES):
        for key in ((), (("hour", 3),)):
            name = evaluation._slice_name(key)
            expected = tfma_blesses(gate, key, value, base)
            if bool(key) == bool(gate.cross):
                received, reason = verdict(gate, {name: {gate.metric: value}}, {name: {gate.metric: base}})
                assert received == expected, (gate, key, value, base, reason)
            else:
                assert expected, "a gate is on its own slices only"


def tfma_blesses(gate: Gate, slice_key: tuple[Any, ...], value: float, base: float) -> bool:
    """TFMA's validation of one metric of one slice."""
    config = config_util.update_eval_config_with_defaults(eval_config(task(gate)), has_baseline=True)
    values = {metric: value if metric == gate.metric else 1.0 for metric in ("auc", "mae")}
    names = [spec.name for spec in config.model_specs]
    metrics: dict[Any, float] = {}
    for metric, own in values.items():
        candidate = metric_types.MetricKey(name=metric, model_name=names[0], example_weighted=False)
        baseline = metric_types.MetricKey(name=metric, model_name=names[1], example_weighted=False)
        other = base if metric == gate.metric else 1.0
        metrics |= {candidate: own, baseline: other, candidate.make_diff_key(): own - other}
    result = metrics_validator.validate_metrics((slice_key, metrics), config)
    blessed: bool = result.validation_ok
    return blessed
