"""Settings of the training loop: what is out of range is refused with its name and value."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import TaskError
from pipeline.training import Adam, EarlyStopping, Sgd, Training

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
        (lambda: Training(optimizer="adam"), "optimizer='adam'"),
        (lambda: Training(strategy="mirrord"), "strategy='mirrord'"),
    ],
)
def test_out_of_range(make: Callable[[], Any], received: str) -> None:
    with pytest.raises(TaskError, match=r"^training: .*expected ") as caught:
        make()
    assert str(caught.value).endswith(f"Received: {received}")


def test_defaults() -> None:
    assert Training() == Training(1000, 200, 200, Adam(1e-3), None, 1, "auto")
