"""An evaluation by TFX's own Evaluator, with and without a baseline: metrics against scikit-learn, blessing against gates."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)
from tfx.components.evaluator.executor import Executor
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils, proto_utils

from pipeline import evaluation
from pipeline.export import SERVING_SIGNATURE, Trained, _session, export
from pipeline.gates import Evaluation, Gate
from pipeline.labels import MultiClass, MultiLabel, Scale
from pipeline.models.base import inputs_of
from pipeline.models.dnn import Dnn
from pipeline.task import Task
from pipeline.transform_graph import TransformGraph

Evaluate = Callable[[str, str | None], tuple[str, bool]]


@pytest.fixture(scope="module")
def task(tiny: Task) -> Task:
    gates = (Gate("auc", at_least=0.01, no_worse_by=0.0), Gate("example_count", at_least=1, per="hour"))
    metrics = ("auc", "binary_accuracy", "example_count", "mean_label")
    return replace(tiny, evaluation=Evaluation(metrics=metrics, slices=("hour",), gates=gates))


@pytest.fixture(scope="module")
def models(task: Task, tiny_data: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """URIs of two models, named by which of them has the higher AUC."""
    folder, graph = tmp_path_factory.mktemp("models"), TransformGraph(tiny_data.transform)
    aucs = {}
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        uri = str(folder / str(seed))
        export(untrained(task, graph), f"{uri}/Format-Serving")
        aucs[uri] = roc_auc_score(tiny_data.columns["tips_label"].ravel(), answers(uri, tiny_data.raw))
    worse, better = sorted(aucs, key=lambda uri: aucs[uri])
    assert aucs[better] - aucs[worse] > 0.001
    return {"worse": worse, "better": better}


def untrained(task: Task, graph: TransformGraph) -> Trained:
    """The task's model with its first weights."""
    inputs = inputs_of(task.features)
    scores = task.model.scores(task.features, inputs, task.label.units)
    return Trained(keras.Model(inputs, scores), Scale(), graph, task.features, task.label)


def answers(uri: str, rows: list[bytes], output: str = "probability") -> np.ndarray:
    return _session(f"{uri}/Format-Serving")(SERVING_SIGNATURE, output, lambda types: {"examples": rows})


@pytest.fixture(scope="module")
def evaluate(task: Task, tiny_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    """A function: candidate and baseline to the evaluation's URI and whether TFX blesses the candidate."""
    return lambda candidate, baseline: evaluated(
        task, tiny_data.raw_files[0], tmp_path_factory.mktemp("evaluation"), candidate, baseline
    )


def evaluated(task: Task, rows: str, folder: Path, candidate: str, baseline: str | None = None) -> tuple[str, bool]:
    """The evaluation's URI, by TFX's Evaluator on a file of raw rows, and whether it blesses the candidate."""
    (folder / "examples" / "Split-eval").mkdir(parents=True)
    shutil.copy(rows, folder / "examples" / "Split-eval" / "data_tfrecord-00000-of-00001.gz")
    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    examples.split_names = artifact_utils.encode_split_names(["eval"])
    inputs: dict[str, list[Any]] = {"examples": [examples], "model": [model(candidate)]}
    if baseline:
        inputs["baseline_model"] = [model(baseline)]
    result, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    result.uri, blessing.uri = str(folder / "evaluation"), str(folder / "blessing")
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(folder / "tmp")
    )
    Executor(context).Do(
        inputs,
        {"evaluation": [result], "blessing": [blessing]},
        {
            "eval_config": proto_utils.proto_to_json(evaluation.eval_config(task)),
            "example_splits": json_utils.dumps(["eval"]),
            "fairness_indicator_thresholds": "null",
            "feature_slicing_spec": None,
        },
    )
    return result.uri, blessing.get_int_custom_property("blessed") == 1


def model(uri: str) -> Any:
    made = standard_artifacts.Model()
    made.id, made.uri = int(uri.rpartition("/")[2]), uri
    return made


def blesses(task: Task, uri: str) -> bool:
    """Whether every gate holds by our own verdicts."""
    found = evaluation.verdicts(task, evaluation.metrics(uri), evaluation.metrics(uri, evaluation.BASELINE))
    return all(gate["passed"] for gate in found)


def test_without_a_baseline(
    task: Task, models: dict[str, str], evaluate: Evaluate, tiny_data: Any, tiny_rows: Any
) -> None:
    uri, blessed = evaluate(models["worse"], None)
    assert (blessed, blesses(task, uri)) == (True, True)
    assert evaluation.metrics(uri, evaluation.BASELINE) == {}
    found = evaluation.metrics(uri)
    hours = [row["hour"] for row in tiny_rows]
    assert set(found) == {"overall", *(f"hour={hour}" for hour in hours if hour is not None)}
    probabilities, labels = answers(models["worse"], tiny_data.raw), tiny_data.columns["tips_label"].ravel()
    for name in ("overall", "hour=3"):
        chosen = np.array([name == "overall" or hour == 3 for hour in hours])
        assert found[name]["example_count"] == chosen.sum()
        assert found[name]["mean_label"] == pytest.approx(labels[chosen].mean())
        expected = accuracy_score(labels[chosen], probabilities[chosen] > 0.5)
        assert found[name]["binary_accuracy"] == pytest.approx(expected)
        assert found[name]["auc"] == pytest.approx(roc_auc_score(labels[chosen], probabilities[chosen]), abs=2e-3)


@pytest.mark.parametrize(("candidate", "baseline"), [("better", "worse"), ("worse", "better")])
def test_with_a_baseline(
    task: Task, models: dict[str, str], evaluate: Evaluate, tiny_data: Any, candidate: str, baseline: str
) -> None:
    uri, blessed = evaluate(models[candidate], models[baseline])
    assert blessed == blesses(task, uri) == (candidate == "better")
    labels = tiny_data.columns["tips_label"].ravel()
    for which, name in ((candidate, None), (baseline, evaluation.BASELINE)):
        found = evaluation.metrics(uri, name)["overall"]
        expected = roc_auc_score(labels, answers(models[which], tiny_data.raw))
        assert found["auc"] == pytest.approx(expected, abs=2e-3)
        assert found["example_count"] == len(labels)


SPECIES = ("cat", "dog", "horse", "newt", "owl")
"""No row is a newt."""
GENRES = ("comedy", "crime", "drama")


@pytest.fixture(scope="module")
def animals(tiny_rows: Any) -> list[dict[str, Any]]:
    """The tiny rows with a label of one class and one of several."""
    random = np.random.default_rng(8)
    return [
        {
            **row,
            "species": str(random.choice(["cat", "dog", "horse", "owl"], p=[0.5, 0.3, 0.15, 0.05])),
            "genres": "|".join(name for name in GENRES if random.random() < 0.4) or "-",
        }
        for row in tiny_rows
    ]


def labelled(tiny: Task, label: Any, metrics: tuple[str, ...], gate: Gate) -> Task:
    return replace(
        tiny,
        label=label,
        model=Dnn(hidden_units=(16,)),
        evaluation=Evaluation(metrics=metrics, slices=("hour",), gates=(gate,)),
    )


def test_one_class_a_row(
    tiny: Task, animals: Any, tiny_spec: Any, transformed: Callable[..., Any], tmp_path: Path
) -> None:
    metrics = tuple(sorted(MultiClass.measures))
    gate = Gate("macro_f1", at_least=0.0, no_worse_by=0.0)
    task = labelled(tiny, MultiClass("species", SPECIES), metrics, gate)
    data = transformed(animals, {**tiny_spec, "species": tf.io.VarLenFeature(tf.string)}, task.features, task.label)
    keras.utils.set_random_seed(4)
    candidate, baseline = str(tmp_path / "7"), str(tmp_path / "8")
    for uri in (candidate, baseline):
        export(untrained(task, TransformGraph(data.transform)), f"{uri}/Format-Serving")
    uri, blessed = evaluated(task, data.raw_files[0], tmp_path / "run", candidate, baseline)
    assert blessed == blesses(task, uri)

    true = np.array([SPECIES.index(row["species"]) for row in animals])
    for which, found in ((candidate, evaluation.metrics(uri)), (baseline, evaluation.metrics(uri, "baseline"))):
        probabilities = answers(which, data.raw, "probabilities").astype(float)
        for name in ("overall", "hour=3"):
            chosen = np.array([name == "overall" or row["hour"] == 3 for row in animals])
            expected = expected_of_one(true[chosen], probabilities[chosen])
            own = {metric: found[name][metric] for metric in metrics}
            assert own == pytest.approx(expected, abs=1e-6), name

    classes = evaluation.by_class(uri, task.label)
    decided = answers(candidate, data.raw, "probabilities").argmax(1)
    parts = precision_recall_fscore_support(true, decided, labels=range(5), zero_division=0)
    assert list(classes) == list(SPECIES)
    for number, name in enumerate(SPECIES):
        expected = dict(
            zip(("precision", "recall", "f1", "example_count"), [part[number] for part in parts], strict=True)
        )
        assert classes[name] == pytest.approx(expected, abs=1e-6)
    assert classes["newt"]["example_count"] == 0
    assert answers(candidate, data.raw, "class").tolist() == [SPECIES[i].encode() for i in decided]


def expected_of_one(true: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The metrics by scikit-learn, and the areas by their definition."""
    decided = probabilities.argmax(1)
    precision, recall, f1, _ = precision_recall_fscore_support(true, decided, average="macro", zero_division=0)
    present = np.unique(true)
    own = precision_recall_fscore_support(true, decided, labels=present, zero_division=0)[1]
    hot = true[:, None] == np.arange(probabilities.shape[1])
    sure = probabilities / probabilities.sum(1, keepdims=True)
    tops = {
        f"top_{k}_accuracy": top_k_accuracy_score(true, probabilities, k=k, labels=range(5)) if k < 5 else 1.0
        for k in (2, 3, 5)
    }
    return tops | {
        "accuracy": accuracy_score(true, decided),
        "cross_entropy": log_loss(true, sure, labels=range(5)),
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
        "lowest_recall": own.min(),
        "micro_auc": roc_auc_score(hot.ravel(), steps(probabilities).ravel()),
        "macro_auc": np.mean([roc_auc_score(hot[:, i], steps(probabilities)[:, i]) for i in present]),
        "example_count": len(true),
    }


def steps(probabilities: np.ndarray) -> np.ndarray:
    """Log-odds to four decimals, as fine as `pipeline.curves` tells probabilities apart."""
    return np.round(np.log(probabilities / (1 - probabilities)), 4)


def test_any_number_of_classes_a_row(
    tiny: Task, animals: Any, tiny_spec: Any, transformed: Callable[..., Any], tmp_path: Path
) -> None:
    metrics = tuple(sorted(MultiLabel.measures))
    label = MultiLabel("genres", GENRES, none="-", threshold=0.45)
    task = labelled(tiny, label, metrics, Gate("exact_match", at_least=0.99))
    data = transformed(animals, {**tiny_spec, "genres": tf.io.VarLenFeature(tf.string)}, task.features, task.label)
    keras.utils.set_random_seed(4)
    candidate = str(tmp_path / "7")
    export(untrained(task, TransformGraph(data.transform)), f"{candidate}/Format-Serving")
    uri, blessed = evaluated(task, data.raw_files[0], tmp_path / "run", candidate)
    assert not blessed
    assert not blesses(task, uri)

    true = np.array([[name in row["genres"].split("|") for name in GENRES] for row in animals])
    probabilities = answers(candidate, data.raw, "probabilities").astype(float)
    decided = answers(candidate, data.raw, "chosen")
    np.testing.assert_array_equal(decided, probabilities > 0.45)
    parts = precision_recall_fscore_support(true, decided, zero_division=0)
    macro = precision_recall_fscore_support(true, decided, average="macro", zero_division=0)
    micro = precision_recall_fscore_support(true, decided, average="micro", zero_division=0)
    expected = {
        **{f"macro_{name}": macro[i] for i, name in enumerate(("precision", "recall", "f1"))},
        **{f"micro_{name}": micro[i] for i, name in enumerate(("precision", "recall", "f1"))},
        "lowest_recall": parts[1].min(),
        "exact_match": (true == decided).all(1).mean(),
        "hamming_accuracy": (true == decided).mean(),
        "cross_entropy": np.where(true, -np.log(probabilities), -np.log(1 - probabilities)).mean(),
        "micro_auc": roc_auc_score(true.ravel(), steps(probabilities).ravel()),
        "macro_auc": roc_auc_score(true, steps(probabilities), average="macro"),
        "example_count": len(true),
    }
    assert evaluation.metrics(uri)["overall"] == pytest.approx(expected, abs=1e-6)
    classes = evaluation.by_class(uri, task.label)
    assert [classes[name]["recall"] for name in GENRES] == pytest.approx(parts[1], abs=1e-6)
    assert [classes[name]["example_count"] for name in GENRES] == true.sum(0).tolist()
