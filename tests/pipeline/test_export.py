"""The export: every signature answers as the model in process, and `verify` finds one that does not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import ExportError
from pipeline.export import (
    COLUMNS_SIGNATURE,
    LABELS_SIGNATURE,
    SERVING_SIGNATURE,
    TRANSFORMED_SIGNATURE,
    Trained,
    _Session,
    export,
    verify,
)
from pipeline.features.base import INT_MISSING
from pipeline.gates import Evaluation, Gate
from pipeline.labels import MultiClass, Regression, Scale
from pipeline.models.base import inputs_of
from pipeline.task import Task
from pipeline.transform_graph import TransformGraph


@dataclass(frozen=True)
class Exported:
    """A model on disk and in process, and rows to ask it about."""

    path: str
    trained: Trained
    rows: list[bytes]
    expected: np.ndarray


def untrained(task: Task, graph: TransformGraph, scale: Scale = Scale()) -> Trained:  # noqa: B008
    """The task's model with its first weights."""
    inputs = inputs_of(task.features)
    model = keras.Model(inputs, task.model.scores(task.features, inputs, task.label.units))
    return Trained(model, scale, graph, task.features, task.label)


@pytest.fixture(scope="module")
def exported(tiny: Task, tiny_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = str(tmp_path_factory.mktemp("export") / "model")
    keras.utils.set_random_seed(5)
    trained = untrained(tiny, TransformGraph(tiny_data.transform))
    export(trained, path)
    inputs = {feature.transformed: tiny_data.columns[feature.transformed][:64] for feature in tiny.features}
    scores = trained.model(inputs, training=False).numpy().ravel()
    return Exported(path, trained, tiny_data.raw[:64], 1 / (1 + np.exp(-scores)))


@pytest.fixture(scope="module")
def ask(exported: Exported) -> Callable[[str, Mapping[str, Any]], np.ndarray]:
    """A function: a signature and its inputs, to its output, in a TF1 session as TF Serving runs it."""
    run = _Session(exported.path)
    outputs = {LABELS_SIGNATURE: "tips_label"}
    return lambda signature, inputs: run(signature, outputs.get(signature, "probability"), lambda types: dict(inputs))


def columns_of(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What a JSON client sends for rows: one array a column, with the values that stand for missing ones."""
    return {
        "miles": np.array([np.nan if r["miles"] is None else r["miles"] for r in rows], np.float32),
        "fare": np.array([np.nan if r["fare"] is None else r["fare"] for r in rows], np.float32),
        "company": np.array([r["company"] or "" for r in rows], object),
        "hour": np.array([INT_MISSING if r["hour"] is None else r["hour"] for r in rows], np.int64),
        "area": np.array([INT_MISSING if r["area"] is None else r["area"] for r in rows], np.int64),
    }


def refused(exported: Exported, path: str) -> str:
    with pytest.raises(ExportError) as caught:
        verify(path, exported.rows, exported.trained)
    return str(caught.value)


def test_the_answers_differ_from_row_to_row(exported: Exported) -> None:
    assert len(set(exported.expected.round(4))) > 30


def test_a_good_export_is_verified(exported: Exported) -> None:
    verify(exported.path, exported.rows, exported.trained)


def test_serialised_examples(exported: Exported, ask: Any) -> None:
    answers = ask(SERVING_SIGNATURE, {"examples": exported.rows})
    assert answers.shape == (64,)
    np.testing.assert_allclose(answers, exported.expected, rtol=0, atol=1e-5)


def test_columns_with_missing_values(exported: Exported, ask: Any, tiny_rows: Any) -> None:
    inputs = columns_of(tiny_rows[:64])
    assert all(np.isnan(inputs[name]).any() for name in ("miles", "fare"))
    assert all((inputs[name] == INT_MISSING).any() for name in ("hour", "area"))
    answers = ask(COLUMNS_SIGNATURE, inputs)
    np.testing.assert_allclose(answers, exported.expected, rtol=0, atol=1e-5)


def test_labels(ask: Any, exported: Exported, tiny_rows: Any) -> None:
    answers = ask(LABELS_SIGNATURE, {"examples": exported.rows})
    expected = [
        float(row["fare"] is not None and np.float32(row["tips"]) > np.float32(0.2) * np.float32(row["fare"]))
        for row in tiny_rows[:64]
    ]
    assert answers.shape == (64, 1)
    assert answers.ravel().tolist() == expected
    assert 0 < sum(expected) < 64


def test_in_process_answers_on_raw_rows_are_the_same(exported: Exported, tiny: Task, tiny_spec: Any) -> None:
    spec = {feature.name: tiny_spec[feature.name] for feature in tiny.features}
    answers = exported.trained.answers(tf.io.parse_example(exported.rows, spec))
    assert set(answers) == {"probability"}
    np.testing.assert_allclose(answers["probability"].numpy(), exported.expected, rtol=0, atol=1e-5)


def test_a_row_without_any_value_and_a_request_without_a_row(ask: Any) -> None:
    empty = ask(SERVING_SIGNATURE, {"examples": [tf.train.Example().SerializeToString()]})
    nothing = dict.fromkeys(("miles", "fare", "company", "hour", "area"))
    assert empty.tolist() == ask(COLUMNS_SIGNATURE, columns_of([nothing])).tolist()
    assert 0 < empty[0] < 1
    assert ask(COLUMNS_SIGNATURE, columns_of([])).shape == (0,)


def test_tensorflows_own_loader_gives_the_same(exported: Exported) -> None:
    loaded = tf.saved_model.load(exported.path)
    assert set(loaded.signatures) == {SERVING_SIGNATURE, COLUMNS_SIGNATURE, LABELS_SIGNATURE, TRANSFORMED_SIGNATURE}
    answers = loaded.signatures[SERVING_SIGNATURE](examples=tf.constant(exported.rows))["probability"]
    np.testing.assert_allclose(answers.numpy(), exported.expected, rtol=0, atol=1e-5)


def test_the_keras_3_trap_is_caught(exported: Exported, tmp_path: Path) -> None:
    """What TFX's own examples do: TensorFlow loads it, TF Serving fails on every request."""
    trained = exported.trained
    model = trained.model

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return trained.answers(tf.io.parse_example(examples, trained.serving_spec))

    model.tracked_graph = trained.graph
    path = str(tmp_path / "model")
    tf.saved_model.save(model, path, signatures={SERVING_SIGNATURE: serve})
    assert "signature 'serving_default' fails in a session" in refused(exported, path)


def test_other_weights_are_caught_with_row_and_values(exported: Exported, tiny: Task, tmp_path: Path) -> None:
    path = str(tmp_path / "model")
    export(untrained(tiny, exported.trained.graph), path)
    text = refused(exported, path)
    assert "signature 'serving_default' does not answer as the trained model" in text
    assert "miles, fare, company, hour, area" in text
    received = _Session(path)(SERVING_SIGNATURE, "probability", lambda types: {"examples": exported.rows})
    expected = exported.trained.answers(tf.io.parse_example(exported.rows, exported.trained.serving_spec))
    answers = expected["probability"].numpy()
    row = int(np.argmax(abs(received - answers) > 1e-4))
    assert f"Expected row {row}: probability {answers[row]}. Received: {received[row]} " in text


def test_a_missing_signature_is_named(exported: Exported, tmp_path: Path) -> None:
    trained = exported.trained
    archive = keras.export.ExportArchive()
    archive.track(trained.model)
    archive._tf_trackable.graph = trained.graph

    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return trained.answers(tf.io.parse_example(examples, trained.serving_spec))

    archive.add_endpoint(SERVING_SIGNATURE, serve, [tf.TensorSpec([None], tf.string, name="examples")])
    path = str(tmp_path / "model")
    archive.write_out(path, verbose=False)
    text = refused(exported, path)
    assert "no signature 'columns'. Received: " in text
    assert "serving_default" in text


def test_no_model_at_all(exported: Exported, tmp_path: Path) -> None:
    assert "none does not load in a session" in refused(exported, str(tmp_path / "none"))


def test_answers_of_a_large_unit_are_compared_in_proportion(exported: Exported, tiny: Task, tmp_path: Path) -> None:
    """Float32 holds seven digits: prices of half a million differ in the second decimal from one kernel to another."""
    evaluation = Evaluation(metrics=("mae",), gates=(Gate("mae", at_most=1),))
    task = replace(tiny, label=Regression("tips"), evaluation=evaluation)
    trained = untrained(task, exported.trained.graph, Scale(500_000.0, 300_000.0))
    path = str(tmp_path / "model")
    export(trained, path)
    verify(path, exported.rows, replace(trained, scale=Scale(np.nextafter(np.float32(500_000), np.inf), 300_000.0)))
    with pytest.raises(ExportError, match="does not answer as the trained model"):
        verify(path, exported.rows, replace(trained, scale=Scale(500_500.0, 300_300.0)))


def test_names_of_classes_are_answered_and_compared(
    exported: Exported, tiny: Task, tmp_path: Path, tiny_rows: Any
) -> None:
    names = ("none", "some", "all")
    label = MultiClass("tips", names)
    evaluation = Evaluation(metrics=("accuracy",), gates=(Gate("accuracy", at_least=0.5),))
    keras.utils.set_random_seed(5)
    trained = untrained(replace(tiny, label=label, evaluation=evaluation), exported.trained.graph)
    path = str(tmp_path / "model")
    export(trained, path)
    verify(path, exported.rows, trained)
    run = _Session(path)
    inputs = columns_of(tiny_rows[:64])
    answers = {
        output: run(COLUMNS_SIGNATURE, output, lambda types: inputs) for output in ("probabilities", "classes", "class")
    }
    np.testing.assert_allclose(answers["probabilities"].sum(1), np.ones(64), rtol=1e-5)
    assert answers["classes"].tolist() == [[b"none", b"some", b"all"]] * 64
    chosen = answers["probabilities"].argmax(1)
    assert answers["class"].tolist() == [names[i].encode() for i in chosen]
    assert len(set(chosen)) > 1
    renamed = replace(trained, label=MultiClass("tips", ("none", "few", "all")))
    with pytest.raises(
        ExportError, match=r"Expected row 0: classes \[b'none' b'few' b'all'\]. Received: \[b'none' b'some'"
    ):
        verify(path, exported.rows, renamed)


def test_other_names_are_refused(exported: Exported) -> None:
    with pytest.raises(ExportError, match=r"expected inputs \['examples'\] and output 'price'. Received: inputs"):
        _Session(exported.path)(SERVING_SIGNATURE, "price", lambda types: {"examples": exported.rows})
