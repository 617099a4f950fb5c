"""Training: what the model reads and answers, how long it trains, that it repeats itself, what it says when it diverges."""

import re
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline import tasks
from pipeline.errors import DataBlocked, MillraceError, TaskError
from pipeline.features import Categorical, Numeric
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Regression, Scale
from pipeline.models.dnn import Dnn
from pipeline.models.linear import Linear
from pipeline.models.wide_deep import WideDeep
from pipeline.task import Task
from pipeline.train.fit import Fitted
from pipeline.train.logs import settings_of
from pipeline.train.loop import scoring_model
from pipeline.train.rows import label_scale, rows
from pipeline.train.run import run_fn
from pipeline.train.validate import Validator
from pipeline.training import Adam, EarlyStopping, Sgd, Training


def batch(task: Task, size: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        feature.transformed: random.normal(size=(size, 1)).astype(np.float32)
        if feature.cardinality is None
        else random.integers(0, feature.cardinality, (size, 1))
        for feature in task.features
    }


@pytest.mark.parametrize("family", [Linear(l2=0.1), Dnn(hidden_units=(4,), dropout=0.5), WideDeep(hidden_units=(4, 2))])
def test_every_family_reads_the_transformed_columns_and_gives_one_score_a_row(tiny: Task, family: Any) -> None:
    model = scoring_model(replace(tiny, model=family))
    assert {tensor.name: (tensor.shape, tensor.dtype) for tensor in model.inputs} == {
        feature.transformed: ((None, 1), "float32" if feature.cardinality is None else "int64")
        for feature in tiny.features
    }
    assert model(batch(tiny)).shape == (5, 1)


def test_a_linear_models_score_is_the_sum_of_its_weights(tiny: Task) -> None:
    features = (Numeric("miles"), Categorical("hour", size=3), Categorical("day", size=2))
    task = replace(tiny, features=features, model=Linear())
    model = scoring_model(task)
    model.get_layer("numbers_weight").set_weights([np.array([[2.0]]), np.array([0.5])])
    model.get_layer("ids_weight").set_weights([np.arange(7.0).reshape(7, 1)])
    columns = {
        "miles_xf": np.array([[1.0], [-1.0], [0.0]], np.float32),
        "hour_xf": np.array([[0], [3], [2]]),
        "day_xf": np.array([[0], [2], [1]]),
    }
    score = 2 * columns["miles_xf"] + 0.5 + columns["hour_xf"] + 4 + columns["day_xf"]
    np.testing.assert_allclose(model(columns).numpy(), score, rtol=1e-5)


def test_one_feature_is_enough(tiny: Task) -> None:
    for feature in (Numeric("miles"), Categorical("hour", size=24)):
        for family in (Linear(), Dnn(), WideDeep()):
            task = replace(tiny, features=(feature,), model=family)
            assert scoring_model(task)(batch(task)).shape == (5, 1)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("mse", lambda e: e**2), ("mae", abs), ("huber", lambda e: np.where(abs(e) <= 1, e**2 / 2, abs(e) - 0.5))],
)
def test_a_regression_answers_in_the_labels_unit_and_learns_in_standard_deviations(
    tiny: Task, loss: Any, expected: Callable[[np.ndarray], np.ndarray]
) -> None:
    evaluation = Evaluation(metrics=("mae",), gates=(Gate("mae", at_most=1),))
    task = replace(tiny, label=Regression("tips", loss=loss), model=Linear(), evaluation=evaluation)
    scale = Scale(50.0, 10.0)
    model = scoring_model(task)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    scores = model(batch(task))
    np.testing.assert_allclose(task.label.answers(scores, scale)["prediction"], np.full(5, 50.0))
    targets = np.array([[50.0], [55.0], [80.0], [0.0], [41.0]], np.float32)
    np.testing.assert_allclose(
        task.label.losses(targets, scores, scale), expected((targets[:, 0] - 50.0) / 10.0), rtol=1e-5
    )


def test_rows_come_in_file_order_with_the_label_apart(tiny: Task, tiny_data: Any) -> None:
    batches = list(rows(tiny_data.files, tiny_data.transform, tiny, 128))
    assert [len(target) for _, target in batches] == [128, 128, 44]
    names = {feature.transformed for feature in tiny.features}
    for name in names:
        received = np.concatenate([columns[name].numpy() for columns, _ in batches])
        np.testing.assert_array_equal(received, tiny_data.columns[name])
    targets = np.concatenate([target.numpy() for _, target in batches])
    np.testing.assert_array_equal(targets, tiny_data.columns["tips_label"])
    assert set(batches[0][0]) == names


def test_label_scale_is_the_mean_and_deviation_of_the_first_batches(tiny: Task, tiny_data: Any) -> None:
    target = tiny_data.columns["tips_label"]
    data = rows(tiny_data.files, tiny_data.transform, tiny, 50)
    np.testing.assert_allclose(label_scale(data), (target.mean(), target.std()), rtol=1e-6)
    np.testing.assert_allclose(label_scale(data, 2), (target[:100].mean(), target[:100].std()), rtol=1e-6)


def test_label_scale_of_a_constant_label_is_one_and_of_no_row_an_error() -> None:
    constant = tf.data.Dataset.from_tensors(({}, tf.fill([4, 1], 3.0)))
    assert label_scale(constant) == (3.0, 1.0)
    with pytest.raises(DataBlocked, match="The train split has no row"):
        label_scale(constant.take(0))


@pytest.mark.parametrize(
    ("steps", "validate_every", "expected"), [(5, 200, [5]), (7, 3, [3, 6, 7]), (45, 30, [30, 45])]
)
def test_trains_for_exactly_as_many_steps_as_asked(
    tiny: Task, train: Any, steps: int, validate_every: int, expected: list[int]
) -> None:
    fitted = train(replace(tiny, training=replace(tiny.training, steps=steps, validate_every=validate_every)))
    assert [validation.step for validation in fitted.history] == expected
    assert fitted.best_step == steps
    assert set(fitted.history[-1].values) == {
        "loss", "val_loss", "val_auc", "val_binary_accuracy", "learning_rate"
    }  # fmt: skip


def test_epochs_are_steps_that_see_every_row_as_often(tiny: Task, train: Any) -> None:
    training = replace(tiny.training, steps=None, epochs=1.5, batch_size=32)
    assert train(replace(tiny, training=training)).history[-1].step == 15  # 1.5 * 300 / 32, rounded up


def test_two_fits_with_one_seed_are_equal_bit_for_bit_and_another_seed_differs(tiny: Task, train: Any) -> None:
    first, second = train(tiny), train(tiny)
    for one, other in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.history == second.history
    third = train(replace(tiny, training=replace(tiny.training, seed=12)))
    pairs = zip(first.model.get_weights(), third.model.get_weights(), strict=True)
    assert any((one != other).any() for one, other in pairs)


@pytest.mark.parametrize(("metric", "best"), [("val_loss", np.argmin), ("val_auc", np.argmax)])
def test_early_stopping_restores_the_best_weights(
    tiny: Task, tiny_data: Any, train: Any, metric: str, best: Any
) -> None:
    training = Training(
        steps=60, batch_size=32, validate_every=2, optimizer=Adam(0.3), early_stopping=EarlyStopping(2, metric)
    )
    fitted: Fitted = train(replace(tiny, training=training))
    values = [validation.values[metric] for validation in fitted.history]
    assert len(values) < 30
    assert len(values) == int(best(values)) + 1 + 2
    assert fitted.best_step == fitted.history[int(best(values))].step
    validator = Validator(fitted.model, tiny, fitted.scale, tiny_data.files, tiny_data.transform)
    assert validator()[metric] == pytest.approx(values[int(best(values))], rel=1e-6)


@pytest.mark.parametrize("settings", [{"steps_per_execution": 1}, {"steps_per_execution": 4}, {"checkpoint_every": 1}])
def test_how_steps_are_called_changes_nothing(tiny: Task, train: Any, tmp_path: Path, settings: Any) -> None:
    task = replace(tiny, training=replace(tiny.training, steps=20, validate_every=10))
    other = replace(task, training=replace(task.training, **settings))
    first, second = train(task), train(other, checkpoints=tmp_path / "training")
    assert first.history == second.history
    for one, two in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_lower_precision_learns_alike_and_ends_in_float32(tiny: Task, train: Any, precision: Any) -> None:
    task = replace(tiny, training=replace(tiny.training, steps=100, validate_every=100))
    plain = train(task)
    mixed = train(replace(task, training=replace(task.training, precision=precision)))
    assert mixed.history[-1].values["val_loss"] == pytest.approx(plain.history[-1].values["val_loss"], rel=0.1)
    assert {layer.compute_dtype for layer in mixed.model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    equal = [np.array_equal(*pair) for pair in zip(plain.model.get_weights(), mixed.model.get_weights(), strict=True)]
    assert not all(equal)


def test_the_log_has_scalars_histograms_graph_and_settings(tiny: Task, train: Any, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fitted = train(tiny)
    log = EventAccumulator(str(tmp_path / "logs"), size_guidance={"tensors": 0}).Reload()
    tags = log.Tags()
    assert tags["graph"]
    scalars = {"loss", "val_loss", "val_auc", "val_binary_accuracy", "learning_rate", "examples_per_second"}
    weights = {weight.path for weight in fitted.model.weights}
    assert scalars | weights <= set(tags["tensors"])
    found = [(event.step, tf.make_ndarray(event.tensor_proto)) for event in log.Tensors("val_loss")]
    assert found == [(v.step, pytest.approx(v.values["val_loss"])) for v in fitted.history]
    assert "_hparams_/session_start_info" in log.PluginTagToContent("hparams")
    assert settings_of(tiny)["training.optimizer.learning_rate"] == 0.01
    assert settings_of(tiny)["model"] == "WideDeep"


def test_an_unknown_metric_ends_it_before_it_begins(tiny: Task, train: Any) -> None:
    stopping = EarlyStopping(metric="val_acu")
    with pytest.raises(TaskError, match=r"no metric 'val_acu'\. Did you mean 'val_auc'"):
        train(replace(tiny, training=replace(tiny.training, early_stopping=stopping)))


def test_a_watcher_sees_each_validation_and_ends_the_training(tiny: Task, train: Any) -> None:
    seen = []
    fitted = train(tiny, watch=lambda validation: seen.append(validation.step) or len(seen) == 1)
    assert (seen, fitted.best_step) == ([3], 3)


def test_a_batch_larger_than_the_data_holds_rows_several_times(tiny: Task, train: Any, capfd: Any) -> None:
    fitted = train(replace(tiny, training=replace(tiny.training, batch_size=1000)))
    assert fitted.history[-1].step == 6
    assert "a batch of 1,000 rows is larger than the train split of 300" in capfd.readouterr().err


def test_a_loss_that_is_not_a_number_is_said_with_the_learning_rate(tiny: Task, train: Any) -> None:
    evaluation = Evaluation(metrics=("mae",), gates=(Gate("mae", at_most=1),))
    training = Training(steps=40, batch_size=32, validate_every=20, optimizer=Sgd(1e30))
    task = replace(tiny, label=Regression("tips", loss="mse"), evaluation=evaluation, training=training)
    with pytest.raises(MillraceError, match=r"task 'tiny': the loss or a gradient is not a number at step") as caught:
        train(task)
    assert re.search(
        r"at step [2-5] of 40\. Received: learning_rate=1e\+30, batch_size=32, loss of the step before: ",
        str(caught.value),
    )
    assert "--set training.optimizer.learning_rate=" in str(caught.value)


def test_run_fn_leaves_a_proved_export_and_logs(
    tiny: Task, tiny_data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "load", lambda name, overrides: {"tiny": tiny}[name])
    run_fn(
        types.SimpleNamespace(  # type: ignore[arg-type]
            transform_output=str(Path(tiny_data.transform.transform_savedmodel_dir).parent),
            train_files=tiny_data.files,
            eval_files=tiny_data.files,
            serving_model_dir=str(tmp_path / "model"),
            model_run_dir=str(tmp_path / "run"),
            custom_config={"task": "tiny", "overrides": [], "code": "", "raw_examples": tiny_data.raw_files},
        )
    )
    assert (tmp_path / "model" / "saved_model.pb").exists()
    assert list((tmp_path / "run").rglob("events.out.tfevents.*"))


def test_an_empty_eval_split_is_said(tiny: Task, tiny_data: Any, tmp_path: Path) -> None:
    from pipeline.train.run import _some_rows

    with tf.io.TFRecordWriter(str(tmp_path / "none.gz"), tf.io.TFRecordOptions(compression_type="GZIP")):
        pass
    with pytest.raises(DataBlocked, match="The eval split has no row"):
        _some_rows([str(tmp_path / "none.gz")])
    assert _some_rows(tiny_data.raw_files) == tiny_data.raw[:64]
