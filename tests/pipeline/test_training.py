"""Settings of the training loop: what is out of range is refused with its name and value."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import TaskError
from pipeline.training import Adam, AdamW, Cosine, EarlyStopping, Exponential, RmsProp, Sgd, Training
from pipeline.training.spec import check_metric

NAN = float("nan")


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: Adam(0.0), "learning_rate=0.0"),
        (lambda: Adam(NAN), "learning_rate=nan"),
        (lambda: Adam(float("inf")), "learning_rate=inf"),
        (lambda: Sgd(-1.0), "learning_rate=-1.0"),
        (lambda: Sgd(momentum=1.0), "momentum=1.0"),
        (lambda: EarlyStopping(0), "patience=0"),
        (lambda: Training(steps=0), "steps=0"),
        (lambda: Training(batch_size=0), "batch_size=0"),
        (lambda: Training(validate_every=0), "validate_every=0"),
        (lambda: Training(validation_rows=0), "validation_rows=0"),
        (lambda: Training(optimizer="adam"), "optimizer='adam'"),
        (lambda: Sgd(clip_norm=0.0), "clip_norm=0.0"),
        (lambda: Sgd(clip_norm=1.0, clip_value=2.0), "clip_norm=1.0, clip_value=2.0"),
        (lambda: AdamW(weight_decay=-1.0), "weight_decay=-1.0"),
        (lambda: RmsProp(rho=1.0), "rho=1.0"),
        (lambda: Adam(beta_2=1.0), "beta_2=1.0"),
        (lambda: Adam("fast"), "learning_rate='fast'"),  # type: ignore[arg-type]
        (lambda: Cosine(0.0), "rate=0.0"),
        (lambda: Cosine(0.1, warmup_steps=-1), "warmup_steps=-1"),
        (lambda: Cosine(0.1, steps=0), "steps=0"),
        (lambda: Cosine(0.1, final=2.0), "final=2.0"),
        (lambda: Exponential(0.1, factor=0.0), "factor=0.0"),
        (lambda: EarlyStopping(metric="auc"), "metric='auc'"),
        (lambda: EarlyStopping(min_delta=-0.1), "min_delta=-0.1"),
        (lambda: Training(epochs=0), "epochs=0"),
        (lambda: Training(checkpoint_every=0), "checkpoint_every=0"),
        (lambda: Training(checkpoints_kept=0), "checkpoints_kept=0"),
        (lambda: Training(precision="float8"), "precision='float8'"),  # type: ignore[arg-type]
        (lambda: Training(class_weights="equal"), "class_weights='equal'"),  # type: ignore[arg-type]
        (lambda: Training(class_weights={"yes": -1.0}), "class_weights={'yes': -1.0}"),
    ],
)
def test_out_of_range(make: Callable[[], Any], received: str) -> None:
    with pytest.raises(TaskError, match=r"^training: .*expected ") as caught:
        make()
    assert str(caught.value).endswith(f"Received: {received}")


def test_an_unknown_strategy_is_said_with_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"unknown strategy 'mirrord'\. Did you mean 'mirrored'\?"):
        Training(strategy="mirrord")


def test_defaults() -> None:
    assert Training() == Training(1000, 200, 200, Adam(1e-3), None, 1, "auto")


@pytest.mark.parametrize(
    ("training", "rows", "steps"),
    [
        (Training(), None, 1000),
        (Training(steps=7), None, 7),
        (Training(epochs=5, batch_size=64), 60_000, 4688),
        (Training(epochs=0.5, batch_size=100), 400, 2),
        (Training(steps=10, epochs=1, batch_size=10), 1000, 10),
        (Training(steps=1000, epochs=1, batch_size=10), 1000, 100),
        (Training(epochs=1, batch_size=100), 3, 1),
    ],
)
def test_length(training: Training, rows: int | None, steps: int) -> None:
    assert training.length(rows) == steps


def test_a_metric_that_the_label_does_not_have_is_named_with_the_choices() -> None:
    check_metric(EarlyStopping(metric="val_auc"), frozenset({"auc"}))
    with pytest.raises(TaskError, match=r"no metric 'val_acu'\. Did you mean 'val_auc'\? Known: val_auc, val_loss"):
        check_metric(EarlyStopping(metric="val_acu"), frozenset({"auc"}))


def test_weights_are_for_classes_that_the_label_has() -> None:
    weighted = Training(class_weights={"cat": 2.0, "dgo": 1.0})
    assert weighted.unfit(("cat", "dog")) == [
        "training: class_weights: no class 'dgo'. Did you mean 'dog'? Known: cat, dog."
    ]
    assert weighted.unfit(()) == ["training: class_weights: expected a label of classes."]
    assert Training(class_weights="balanced").unfit(("no", "yes")) == [] == Training().unfit(())
