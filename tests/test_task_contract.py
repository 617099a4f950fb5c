"""The contract that every task keeps; a new task is tested by being there.

On the first rows of a task's own data, or, in place of what would be downloaded, of noise of the same shape: names and types against its schema, a transform, a few training steps, an
evaluation config that TFMA accepts, an export that a TF1 session, TF Serving's path, can run.
"""

from collections.abc import Callable, Iterator
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
from pipeline.export import LABELS_SIGNATURE, Trained, _Session, export, verify
from pipeline.ingest import checking, columns, infer, read, selection
from pipeline.ingest.partition import Partition
from pipeline.labels import Binary, Classes, MultiClass
from pipeline.task import Task
from pipeline.train.fit import Data, fit
from pipeline.transform_graph import TransformGraph

ROWS = 200


@dataclass(frozen=True)
class Case:
    """A task, what its schema says, and its first rows through its transform."""

    task: Task
    schema: schema_pb2.Schema
    data: Any


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In place of the images that keras.datasets downloads, some of noise; and a cache folder of its own for them."""

    def images(*shape: int) -> Callable[[], Any]:
        random = np.random.default_rng(2)
        sets = [(random.integers(0, 256, (n, *shape), np.uint8), np.arange(n) % 10) for n in (300, 50)]
        return lambda: sets

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(keras.datasets.mnist, "load_data", images(28, 28))
        patch.setattr(keras.datasets.cifar10, "load_data", images(32, 32, 3))
        yield


@pytest.fixture(scope="module", params=tasks.names())
def case(request: pytest.FixtureRequest, transformed: Callable[..., Any], noise: None) -> Case:
    task = tasks.load(request.param)
    task = replace(task, source=task.source.at(None))
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


def test_a_model_reads_columns_of_the_shapes_types_and_ranges_that_the_features_say(case: Case) -> None:
    for feature in case.task.features:
        column = feature.model_input(tf.constant(case.data.columns[feature.transformed])).numpy()
        assert column.shape == (len(case.data.raw), *feature.shape), feature.name
        assert column.dtype == feature.dtype, feature.name
        if feature.cardinality is not None:
            assert 0 <= column.min() <= column.max() < feature.cardinality, feature.name
        elif column.dtype == np.float32:
            assert np.isfinite(column).all(), feature.name


def test_the_label_is_known_and_differs_from_row_to_row(case: Case) -> None:
    label, target = case.task.label, case.data.columns[case.task.label.transformed]
    assert target.shape == (len(case.data.raw), *label.shape)
    assert target.dtype == np.float32
    assert np.isfinite(target).all()
    assert len(np.unique(target, axis=0)) > 1, "the label is the same in every row"
    if isinstance(label, MultiClass):
        assert set(np.unique(target)) <= set(range(label.units))
    elif isinstance(label, Binary | Classes):
        assert set(np.unique(target)) <= {0.0, 1.0}


def test_its_metrics_fit_its_label(case: Case) -> None:
    assert set(case.task.evaluation.metrics) <= case.task.label.measures


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
    before: list[np.ndarray] = []
    files = Data(data.files, data.files, data.transform)
    fitted = fit(task, files, log_dir=str(tmp_path / "logs"), start=lambda model: before.extend(model.get_weights()))
    assert [validation.step for validation in fitted.history] == [2]
    assert np.isfinite(list(fitted.history[0].values.values())).all()
    assert any((old != new).any() for old, new in zip(before, fitted.model.get_weights(), strict=True))

    path, label = str(tmp_path / "model"), task.label
    trained = Trained(fitted.model, fitted.scale, TransformGraph(data.transform), task.features, label)
    export(trained, path)
    verify(path, data.raw, trained)
    answers = trained.answers(tf.io.parse_example(data.raw, trained.serving_spec))
    assert label.output in answers
    assert all(answer.shape[0] == len(data.raw) for answer in answers.values())
    if isinstance(label, Classes):
        assert answers["classes"].numpy()[-1].tolist() == [name.encode() for name in label.names]
    labels = _Session(path)(LABELS_SIGNATURE, label.transformed, lambda types: {"examples": data.raw})
    np.testing.assert_array_equal(labels, data.columns[label.transformed])
