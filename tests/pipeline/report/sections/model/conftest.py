"""What tests of the model section share: an evaluation of given columns, and a run with a model."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from components.evaluator import results
from pipeline.evidence import report
from pipeline.evidence.report import Columns
from pipeline.evidence.standing import Standing
from pipeline.evidence.tables import BASELINE, CANDIDATE
from pipeline.export import Trained, export
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Label, Scale
from pipeline.models.base import inputs_of
from pipeline.report.sections.model import rows
from pipeline.report.sources import Run
from pipeline.task import Task
from pipeline.transform_graph import TransformGraph

Evaluate = Callable[..., str]


@pytest.fixture(scope="session")
def with_label(tiny: Task) -> Callable[[Label, str], Task]:
    """A function: a label and a metric, to the tiny task with them and no slices."""

    def make(label: Label, metric: str) -> Task:
        evaluation = Evaluation(metrics=(metric,), gates=(Gate(metric, at_least=0.0),), resamples=100)
        return replace(tiny, label=label, evaluation=evaluation)

    return make


@pytest.fixture(scope="session")
def evaluate(tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    """A function: task, targets, answers and a baseline's, to the folder that the Evaluator would write."""

    def run(task: Task, target: np.ndarray, answers: np.ndarray, baseline: np.ndarray | None = None) -> str:
        uri = str(tmp_path_factory.mktemp("evaluation"))
        given = {CANDIDATE: answers} | ({} if baseline is None else {BASELINE: baseline})
        columns = Columns(target.astype(np.float32), given, {})
        results.write(task, columns, report.measure(task, columns), dict.fromkeys(given, "unused"), uri)
        standing = Standing("none" if baseline is None else "compared")
        Path(uri, report.NAME).write_text(json.dumps(report.report(task, columns, standing, "eval")), "utf-8")
        return uri

    return run


@pytest.fixture(scope="session")
def exported(tiny: Task, tiny_data: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny task's model with its first weights, as the Trainer's artifact holds it."""
    keras.utils.set_random_seed(4)
    inputs = inputs_of(tiny.features)
    model = keras.Model(inputs, tiny.model.scores(tiny.features, inputs, tiny.label.units))
    uri = str(tmp_path_factory.mktemp("model"))
    export(
        Trained(model, Scale(), TransformGraph(tiny_data.transform), tiny.features, tiny.label), f"{uri}/Format-Serving"
    )
    return uri


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """A function: a task, folders of artifacts by (node, key) and parts of run.json, to a run."""

    def make(task: Task | None, artifacts: dict[tuple[str, str], str], **record: Any) -> Run:
        found: Any = {key: SimpleNamespace(uri=uri) for key, uri in artifacts.items()}
        name = task.name if task else "gone"
        known = {"run_id": "20260101T000000", "task": name, "rows": {"in": 300, "train": 200, "eval": 100}}
        return Run(known | record, tmp_path_factory.mktemp("run"), task, found)

    return make


@pytest.fixture
def asked() -> Callable[..., rows.Asked]:
    """A function: a label, columns, targets and answers, to rows that were asked; no model is behind them."""

    def make(label: Label, columns: dict[str, Any], target: Any, answers: Any) -> rows.Asked:
        arrays = {name: np.array(values, object) for name, values in columns.items()}
        model: Any = None
        return rows.Asked(model, label, arrays, np.array(target, np.float32), np.array(answers, np.float32), 1e-6)

    return make
