"""A tiny task with made-up rows, transformed once and trained once for all tests of this folder."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.expressions import Column
from pipeline.features import Bucketized, Categorical, Hashed, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary
from pipeline.models.wide_deep import WideDeep
from pipeline.sources import Csv
from pipeline.task import Task
from pipeline.training import Adam, Training

ROWS = 300


@pytest.fixture(scope="session")
def tiny() -> Task:
    """A binary task with a feature of each kind."""
    return Task(
        name="tiny",
        question="Is the tip above a fifth of the fare?",
        source=Csv("unused.csv"),
        label=Binary.where("tips", greater_than=0.2 * Column("fare")),
        features=(
            Numeric("miles", missing="mean"),
            Bucketized("fare", buckets=4),
            Vocabulary("company", top_k=5, oov_buckets=2),
            Categorical("hour", size=24),
            Hashed("area", buckets=7),
        ),
        model=WideDeep(hidden_units=(8, 4), dropout=0.2, l2=1e-4),
        training=Training(steps=6, batch_size=32, validate_every=3, optimizer=Adam(0.01), seed=11),
        evaluation=Evaluation(metrics=("auc",), slices=("hour",), gates=(Gate("auc", at_least=0.5),)),
    )


@pytest.fixture(scope="session")
def tiny_spec() -> dict[str, Any]:
    """Column -> parsing spec of the tiny task's rows."""
    import tensorflow as tf

    kinds = {"miles": tf.float32, "fare": tf.float32, "tips": tf.float32, "company": tf.string}
    return {name: tf.io.VarLenFeature(kinds.get(name, tf.int64)) for name in (*kinds, "hour", "area")}


@pytest.fixture(scope="session")
def tiny_rows() -> list[dict[str, Any]]:
    """Rows with missing, unseen and odd values among them."""
    import numpy as np

    random = np.random.default_rng(3)
    rows: list[dict[str, Any]] = []
    for i in range(ROWS):
        fare = float(random.gamma(3.0, 5.0))
        rows.append(
            {
                "miles": None if i % 7 == 0 else float("nan") if i % 11 == 0 else fare / 3,
                "fare": None if i % 13 == 0 else fare,
                "tips": float(random.choice([0.0, 0.1, 0.25, 0.3]) * fare),
                "company": None if i % 5 == 0 else "" if i % 17 == 0 else str(random.choice(list("abcdefgh"))),
                "hour": None if i % 9 == 0 else int(random.integers(-1, 26)),
                "area": None if i % 10 == 0 else int(random.integers(0, 1000)),
            }
        )
    return rows


@pytest.fixture(scope="session")
def tiny_data(transformed: Callable[..., Any], tiny: Task, tiny_rows: Any, tiny_spec: Any) -> Any:
    """The rows, through TensorFlow Transform."""
    return transformed(tiny_rows, tiny_spec, tiny.features, tiny.label)
