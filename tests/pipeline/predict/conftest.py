"""A task of three columns, its schema, and a model whose answers can be told by hand."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import schema
from pipeline.features import Categorical, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary
from pipeline.models.linear import Linear
from pipeline.predict.request import Request
from pipeline.sources import Csv
from pipeline.task import Task

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FAILS_ON, NOT_A_NUMBER_ON = 13.0, 14.0
SCHEMA = """
feature { name: "x" type: FLOAT value_count { min: 1 max: 1 } presence { min_fraction: 1.0 }
  float_domain { min: 0 max: 100 } }
feature { name: "n" type: INT value_count { max: 1 } }
feature { name: "t" type: BYTES value_count { max: 1 } string_domain { value: "a" value: "b" } }
feature { name: "y" type: FLOAT value_count { min: 1 max: 1 } presence { min_fraction: 1.0 } }
"""


@pytest.fixture(scope="session")
def task() -> Task:
    """Reads x, n and t; its label is y."""
    return Task(
        name="simple",
        question="Is y more than a half?",
        source=Csv("unused.csv"),
        label=Binary("y"),
        features=(Numeric("x"), Categorical("n", size=10), Vocabulary("t", top_k=5)),
        model=Linear(),
        evaluation=Evaluation(metrics=("auc",), gates=(Gate("auc", at_least=0.5),)),
    )


@pytest.fixture(autouse=True)
def schemas(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of curated schemas, with that of the task: x and y are required."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "simple").mkdir()
    (folder / "simple" / "schema.pbtxt").write_text(SCHEMA)
    monkeypatch.setattr(schema, "SCHEMAS", folder)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SavedModel, version 7: `probability` is x / 128, n / 16 more where there is an n, 1/32 more where t is "a".

    It fails on a batch with an x of 13, and answers NaN to an x of 14.
    """
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.int64, name="n"),
                tf.TensorSpec([None], tf.string, name="t"),
                tf.TensorSpec([None], tf.float32, name="x"),
            ],
            autograph=False,
        )
        def columns(self, n: Any, t: Any, x: Any) -> dict[str, Any]:
            fails = tf.debugging.assert_none_equal(x, FAILS_ON, message="no thirteens")
            with tf.control_dependencies([fails]):
                given = tf.where(n == tf.int64.min, 0.0, tf.cast(n, tf.float32) / 16)
                text = tf.where(t == "a", 1 / 32, 0.0)
                return {"probability": tf.where(x == NOT_A_NUMBER_ON, float("nan"), x / 128 + given + text)}

    path = tmp_path_factory.mktemp("served") / "simple" / "7"
    made = Model()
    tf.saved_model.save(made, str(path), {"columns": made.columns})
    return str(path)


@pytest.fixture
def ask(task: Task, model: str, tmp_path: Path) -> Callable[..., Request]:
    """A function: what differs, to a request with the task's model that writes to out.csv."""

    def made(data: Any, out: Any = None, **settings: Any) -> Request:
        return Request(
            **{
                "task": task,
                "data": str(data),
                "out": str(out or tmp_path / "out.csv"),
                "model": model,
                "version": "7",
                **settings,
            }
        )

    return made
