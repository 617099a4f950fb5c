"""`--set section.field=value`: what it replaces, and what it refuses with the nearest name."""

from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.expressions import Column
from pipeline.features import Bucketized, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary, Regression
from pipeline.models.dnn import Dnn
from pipeline.overrides import apply, section_of
from pipeline.sources import Csv
from pipeline.task import Task
from pipeline.training import AdamW, Cosine, EarlyStopping, Exponential, RmsProp, Sgd, Training

TASK = Task(
    name="tips",
    question="?",
    source=Csv("data.csv"),
    label=Binary.where("tips", greater_than=0.2 * Column("fare")),
    features=(Numeric("trip_miles", clip=(0.0, 200.0)), Bucketized("latitude", buckets=10), Vocabulary("company")),
    model=Dnn(hidden_units=(8,)),
    training=Training(steps=10, early_stopping=EarlyStopping(3)),
    evaluation=Evaluation(metrics=("auc",), slices=("hour",), gates=(Gate("auc", at_least=0.5),)),
)


def refusal(override: str) -> str:
    with pytest.raises(UsageError) as caught:
        apply(TASK, [override])
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert text.startswith(f"--set {override}: ")
    return text


@pytest.mark.parametrize(
    ("override", "read", "expected"),
    [
        ("training.steps=500", lambda t: t.training.steps, 500),
        ("training.optimizer.learning_rate=0.01", lambda t: t.training.optimizer.learning_rate, 0.01),
        ("training.optimizer.learning_rate=1e-4", lambda t: t.training.optimizer.learning_rate, 1e-4),
        ("training.optimizer=sgd", lambda t: t.training.optimizer, Sgd()),
        ("training.optimizer=rms_prop", lambda t: t.training.optimizer, RmsProp()),
        (
            'training.optimizer={"kind":"adamw","weight_decay":0.1,"learning_rate":{"kind":"cosine","rate":0.5}}',
            lambda t: t.training.optimizer,
            AdamW(Cosine(0.5), weight_decay=0.1),
        ),
        (
            'training.optimizer.learning_rate={"kind":"exponential","rate":0.1,"steps":5}',
            lambda t: t.training.optimizer.learning_rate,
            Exponential(0.1, steps=5),
        ),
        ('training.early_stopping={"metric":"val_auc"}', lambda t: t.training.early_stopping.metric, "val_auc"),
        ("training.class_weights=balanced", lambda t: t.training.class_weights, "balanced"),
        ('training.class_weights={"yes":2}', lambda t: t.training.class_weights, {"yes": 2.0}),
        ("training.epochs=5", lambda t: t.training.epochs, 5.0),
        ("training.early_stopping=null", lambda t: t.training.early_stopping, None),
        ("training.early_stopping.patience=7", lambda t: t.training.early_stopping.patience, 7),
        ("training.strategy=mirrored", lambda t: t.training.strategy, "mirrored"),
        ("model.hidden_units=[16, 4]", lambda t: t.model.hidden_units, (16, 4)),
        ("model.dropout=0", lambda t: t.model.dropout, 0.0),
        ("evaluation.slices=[]", lambda t: t.evaluation.slices, ()),
        ('evaluation.slices=["day",["day","hour"]]', lambda t: t.evaluation.slices, ("day", ("day", "hour"))),
        (
            'evaluation.gates=[{"metric":"auc","at_least":0.7}]',
            lambda t: t.evaluation.gates,
            (Gate("auc", at_least=0.7),),
        ),
        ("split.train=9", lambda t: t.split.train, 9),
        ("features.trip_miles.clip=[0,50]", lambda t: t.features[0].clip, (0.0, 50.0)),
        ("features.trip_miles.clip=null", lambda t: t.features[0].clip, None),
        ("features.trip_miles.missing=mean", lambda t: t.features[0].missing, "mean"),
        ("features.trip_miles.missing=-1.5", lambda t: t.features[0].missing, -1.5),
        ("features.latitude.buckets=4", lambda t: t.features[1].buckets, 4),
        ("features.company.top_k=5", lambda t: t.features[2].top_k, 5),
        ("label.name=fare", lambda t: t.label.name, "fare"),
    ],
)
def test_replaces_one_setting(override: str, read: Any, expected: object) -> None:
    changed = apply(TASK, [override])
    assert read(changed) == expected
    assert type(read(changed)) is type(expected)


def test_leaves_all_else_alone_and_the_task_as_it_was() -> None:
    changed = apply(TASK, ["features.latitude.buckets=4"])
    assert changed.features[0] is TASK.features[0]
    assert changed.features[2] is TASK.features[2]
    assert (changed.model, changed.training, changed.label) == (TASK.model, TASK.training, TASK.label)
    assert TASK.features[1] == Bucketized("latitude", buckets=10)


def test_applies_in_order() -> None:
    changed = apply(TASK, ["training.steps=1", "training.batch_size=7", "training.steps=2"])
    assert (changed.training.steps, changed.training.batch_size) == (2, 7)


def test_a_value_may_hold_an_equals_sign() -> None:
    assert apply(TASK, ["label.name=a=b"]).label.name == "a=b"


def test_a_regressions_settings() -> None:
    task = Task(**{**vars(TASK), "label": Regression("fare"), "evaluation": Evaluation(("mae",), (), (Gate("mae", at_most=1),))})  # fmt: skip
    changed = apply(task, ["label.clip=[0, 10]", "label.loss=mae"])
    assert changed.label == Regression("fare", loss="mae", clip=(0.0, 10.0))


@pytest.mark.parametrize("override", ["training.steps", "training", "=5", "steps=5"])
def test_form(override: str) -> None:
    assert "expected section.field=value, e.g. training.steps=500" in refusal(override)


def test_unknown_section_offers_the_nearest() -> None:
    assert "no section 'trainig'. Did you mean 'training'?" in refusal("trainig.steps=5")
    assert "no section 'source'" in refusal("source.path=x")


def test_unknown_field_offers_the_nearest() -> None:
    assert "Training has no field 'stepz'. Did you mean 'steps'?" in refusal("training.stepz=5")
    assert "Adam has no field 'lerning_rate'. Did you mean 'learning_rate'?" in refusal(
        "training.optimizer.lerning_rate=1"
    )
    assert "Numeric has no field 'clips'. Did you mean 'clip'?" in refusal("features.trip_miles.clips=null")


def test_unknown_feature_offers_the_nearest() -> None:
    assert "Did you mean 'trip_miles'? Known: company, latitude, trip_miles." in refusal("features.trip_mile.clip=null")


def test_a_feature_without_a_field_says_the_form() -> None:
    text = refusal("features.trip_miles=5")
    assert "expected features.<name>.<field>" in text
    assert "no feature" not in text


def test_a_path_through_a_value_that_has_no_fields() -> None:
    assert "no field 'more'" in refusal("training.steps.more=5")
    assert "no field 'patience'" in refusal("training.optimizer.learning_rate.patience=5")


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("training.batch_size=many", ["batch_size: ", 'Expected int. Received: "many"']),
        ("training.batch_size=true", ["batch_size: ", "Expected int. Received: true"]),
        ("training.batch_size=1.5", ["batch_size: ", "Expected int. Received: 1.5"]),
        ("training.batch_size=null", ["batch_size: ", "Expected int. Received: null"]),
        ("training.strategy=mirrord", ["unknown strategy 'mirrord'", "Did you mean 'mirrored'?"]),
        ("training.optimizer=5", ["optimizer: ", "Received: 5"]),
        ('training.optimizer={"kind":"adm"}', ["no kind 'adm'. Did you mean 'adam'?"]),
        ('training.optimizer={"kind":"sgd","momntum":0.9}', ["Sgd has no field 'momntum'. Did you mean 'momentum'?"]),
        ('training.optimizer.learning_rate={"kind":"cosine"}', ["Cosine needs rate"]),
        ("model.hidden_units=8", ["hidden_units: ", "tuple[int, ...]", "Received: 8"]),
        ("features.trip_miles.clip=[1]", ["clip: ", "tuple[float, float]", "Received: [1]"]),
        ("label.condition=1", ["condition can't be set here", "Received: 1", "edit the task"]),
    ],
)
def test_a_value_of_another_type(override: str, parts: list[str]) -> None:
    text = refusal(override)
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("training.steps=0", "steps: expected at least 1. Received: steps=0"),
        ("training.optimizer.learning_rate=-1", "learning_rate: expected above 0"),
        ("training.optimizer.learning_rate=NaN", "learning_rate: expected above 0"),
        ("model.dropout=1", "dropout: expected a share in [0, 1)"),
        ("split.eval=0", "eval=0"),
        ("features.trip_miles.clip=[5, 1]", "feature 'trip_miles' (Numeric): clip"),
        ("features.latitude.buckets=1", "buckets: expected at least 2"),
        ("features.latitude.name=company", "'company' is given more than once"),
        ("label.name=company", "the label 'company' is among them"),
        ("evaluation.gates=[]", "at least one gate"),
        ('evaluation.metrics=["acu"]', "Did you mean 'auc'?"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_rule_of_the_object(override: str, part: str) -> None:
    assert part in refusal(override)


def test_section_of() -> None:
    assert section_of("features.trip_miles.clip=[0,50]") == "features"
