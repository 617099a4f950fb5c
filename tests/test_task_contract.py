"""The contract that every task keeps; a new task is tested by being there.

On the first rows of a task's own data: names and types against its schema, a transform, a few training steps, an
evaluation config that TFMA accepts, an export that a TF1 session, TF Serving's path, can run.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.utils import config_util
from tensorflow_transform.tf_metadata import schema_utils

from pipeline import schema, tasks
from pipeline.evaluation import eval_config
from pipeline.export import LABELS_SIGNATURE, _session, export, predict, verify
from pipeline.ingest import checking, columns, infer, read, selection
from pipeline.ingest.partition import Partition
from pipeline.labels import Binary
from pipeline.task import Task
from pipeline.train import compiled, fit, label_scale, rows
from pipeline.transform_graph import TransformGraph

ROWS = 200


@dataclass(frozen=True)
class Case:
    """A task, what its schema says, and its first rows through its transform."""

    task: Task
    schema: schema_pb2.Schema
    data: Any


@pytest.fixture(scope="module", params=tasks.names())
def case(request: pytest.FixtureRequest, transformed: Callable[..., Any]) -> Case:
    task = tasks.load(request.param)
    path = next(iter(selection.selected(task.source, task.split).values()))[0]
    known = schema_of(task, path)
    job = checking.Job(
        task.source, columns.of_schema(known), dict(task.columns), task.rows, Partition(task.split, task.rows.key)
    )
    part = next(checking.checked(job, checking.Unit(path, 0)))
    first = {name: part.columns[name][:ROWS].to_pylist() for name in task.columns}
    typed = [dict(zip(first, row, strict=True)) for row in zip(*first.values(), strict=True)]
    spec = {
        name: parsing
        for name, parsing in schema_utils.schema_as_feature_spec(known).feature_spec.items()
        if name in task.columns
    }
    return Case(task, known, transformed(typed, spec, task.features, task.label))


def schema_of(task: Task, path: str) -> schema_pb2.Schema:
    """The curated schema, or the types that a run infers."""
    curated = schema.path_of(task.name)
    if curated:
        return schema.read(curated)
    accepted = {feature.name: feature.accepts for feature in task.features}
    kinds = infer.types(infer.infer(read.batches(path, task.source, {})), accepted)
    features = [schema_pb2.Feature(name=name, type=schema_pb2.FeatureType.Value(kind)) for name, kind in kinds.items()]
    return schema_pb2.Schema(feature=features)


def test_says_what_it_answers(case: Case) -> None:
    assert case.task.question.endswith("?")
    module = __import__(f"pipeline.tasks.{case.task.name}", fromlist=["TASK"])
    assert module.__doc__
    assert f"--task {case.task.name}" in module.__doc__


def test_data_is_there_and_fits(case: Case) -> None:
    selection.check(case.task.source, case.task.split, case.task.columns)
    schema.check(case.task, case.schema)


def test_transformed_columns_have_their_types_and_ranges(case: Case) -> None:
    for feature in case.task.features:
        column = case.data.columns[feature.transformed]
        assert column.shape == (len(case.data.raw), 1), feature.name
        if feature.cardinality is None:
            assert column.dtype == np.float32
            assert np.isfinite(column).all(), feature.name
        else:
            assert column.dtype == np.int64
            assert 0 <= column.min() <= column.max() < feature.cardinality, feature.name
    target = case.data.columns[case.task.label.transformed]
    assert np.isfinite(target).all()
    assert len(np.unique(target)) > 1, "the label is the same in every row"
    if isinstance(case.task.label, Binary):
        assert set(np.unique(target)) <= {0.0, 1.0}


def test_evaluation_config_is_one_that_tfma_accepts(case: Case) -> None:
    config = config_util.update_eval_config_with_defaults(eval_config(case.task), has_baseline=True)
    config_util.verify_eval_config(config, baseline_required=True)
    assert list(metric_specs.to_computations(config.metrics_specs, eval_config=config))
    alone = config_util.update_eval_config_with_defaults(eval_config(case.task), has_baseline=False, rubber_stamp=True)
    config_util.verify_eval_config(alone)
    assert [spec.label_key for spec in alone.model_specs] == [case.task.label.transformed]


def test_trains_and_its_export_answers_as_the_model(case: Case, tmp_path: Path) -> None:
    steps = replace(case.task.training, steps=2, batch_size=64, validate_every=2, early_stopping=None)
    task, data = replace(case.task, training=steps), case.data
    keras.utils.set_random_seed(1)
    model = compiled(task, label_scale(rows(data.files, data.transform, task, ROWS)))
    before = [weight.copy() for weight in model.get_weights()]
    history = fit(model, data.files, data.files, data.transform, task, str(tmp_path / "logs"))
    assert np.isfinite([*history.history["loss"], *history.history["val_loss"]]).all()
    assert any((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))

    path, graph = str(tmp_path / "model"), TransformGraph(data.transform)
    export(model, graph, task.features, task.label, path)
    spec = {feature.name: graph.spec[feature.name] for feature in task.features}
    expected = predict(model, graph, task.features, tf.io.parse_example(data.raw, spec)).numpy()
    verify(path, data.raw, expected, task.features, task.label)
    labels = _session(path)(LABELS_SIGNATURE, task.label.transformed, lambda types: {"examples": data.raw})
    np.testing.assert_array_equal(labels, data.columns[task.label.transformed])
