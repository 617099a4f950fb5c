"""An evaluation by TFX's own Evaluator, with and without a baseline: metrics against scikit-learn, blessing against gates."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score
from tfx.components.evaluator.executor import Executor
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils, proto_utils

from pipeline import evaluation
from pipeline.export import SERVING_SIGNATURE, _session, export
from pipeline.gates import Evaluation, Gate
from pipeline.task import Task
from pipeline.train import compiled
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
        export(compiled(task, (0.0, 1.0)), graph, task.features, task.label, f"{uri}/Format-Serving")
        aucs[uri] = roc_auc_score(tiny_data.columns["tips_label"].ravel(), answers(uri, tiny_data.raw))
    worse, better = sorted(aucs, key=lambda uri: aucs[uri])
    assert aucs[better] - aucs[worse] > 0.001
    return {"worse": worse, "better": better}


def answers(uri: str, rows: list[bytes]) -> np.ndarray:
    return _session(f"{uri}/Format-Serving")(SERVING_SIGNATURE, "probability", lambda types: {"examples": rows})


@pytest.fixture(scope="module")
def evaluate(task: Task, tiny_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    """A function: candidate and baseline to the evaluation's URI and whether TFX blesses the candidate."""

    def run(candidate: str, baseline: str | None) -> tuple[str, bool]:
        folder: Path = tmp_path_factory.mktemp("evaluation")
        (folder / "examples" / "Split-eval").mkdir(parents=True)
        shutil.copy(tiny_data.raw_files[0], folder / "examples" / "Split-eval" / "data_tfrecord-00000-of-00001.gz")
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

    return run


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
