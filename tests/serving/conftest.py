"""Models that tests of the server load: made once, copied where a test may change them."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.manager import Manager
from serving.metrics import Metrics
from serving.settings import ModelConfig, Settings


@pytest.fixture(scope="session")
def half_plus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of versions 1, 2, 3 of a TF1 model that halves and adds the version's number.

    Signatures: serving_default (x -> y), pair (x -> y and count, which is no output of rows), picky (fails on 13, and on
    no rows), slow (counts to x), classify and regress (tf.Examples with x).
    """
    folder = tmp_path_factory.mktemp("half-plus")
    for version in (1, 2, 3):
        _build(folder / str(version), version)
    return folder


def _build(path: Path, version: int) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        half, plus = v1.get_variable("half", initializer=0.5), v1.get_variable("plus", initializer=float(version))
        x = v1.placeholder(tf.float32, [None], "x")
        y = half * x + plus
        checks = [v1.assert_none_equal(x, 13.0, message="13 is refused"), v1.assert_greater(tf.size(x), 0)]
        with tf.control_dependencies(checks):
            picky = tf.identity(y)
        steps = tf.while_loop(lambda at: at < tf.reduce_max(x), lambda at: (at + 1.0,), (tf.constant(0.0),))[0]
        examples = v1.placeholder(tf.string, [None], "examples")
        parsed = v1.parse_example(examples, {"x": v1.FixedLenFeature([1], tf.float32)})["x"]
        scores = half * parsed + plus
        classes = tf.tile(tf.constant([["half"]]), [tf.shape(examples)[0], 1])
        session.run(v1.global_variables_initializer())
        info, sign = v1.saved_model.build_tensor_info, v1.saved_model.build_signature_def
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.SERVING],
            {
                "serving_default": sign({"x": info(x)}, {"y": info(y)}, "tensorflow/serving/predict"),
                "pair": sign(
                    {"x": info(x)},
                    {"y": info(y), "names": info(v1.placeholder_with_default(tf.constant(["a", "b"]), [None]))},
                    "tensorflow/serving/predict",
                ),
                "slow": sign({"x": info(x)}, {"steps": info(steps)}, "tensorflow/serving/predict"),
                "picky": sign({"x": info(x)}, {"y": info(picky)}, "tensorflow/serving/predict"),
                "classify": sign(
                    {"inputs": info(examples)},
                    {"classes": info(classes), "scores": info(scores)},
                    "tensorflow/serving/classify",
                ),
                "regress": sign({"inputs": info(examples)}, {"outputs": info(scores)}, "tensorflow/serving/regress"),
            },
        )
        builder.save()


@pytest.fixture
def put(half_plus: Path, tmp_path: Path) -> Callable[..., Path]:
    """A function: puts a version of half_plus into `tmp_path/models/half` by rename, under a name of its own if told."""

    def copy(version: int, name: str | None = None) -> Path:
        base = tmp_path / "models" / "half"
        base.mkdir(parents=True, exist_ok=True)
        part = tmp_path / f"part-{name or version}"
        shutil.copytree(half_plus / str(version), part)
        return part.rename(base / (name or str(version)))

    return copy


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """A function: settings of the one model `half`, or others, to a manager that has started."""
    started: list[Manager] = []

    def run(model: ModelConfig | None = None, **settings: Any) -> Manager:
        models = () if "config_file" in settings else (model or ModelConfig("half", str(tmp_path / "models" / "half")),)
        manager = Manager(Settings(models=models, **{"poll_seconds": 0.02, **settings}), Metrics())
        started.append(manager)
        manager.start()
        return manager

    yield run
    for manager in started:
        manager.stop()


def until(holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Waits until a condition holds, and returns its value."""
    ends = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.01)
    return value


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    """`until`."""
    return until


@pytest.fixture
def floats() -> Callable[..., np.ndarray]:
    """A function: numbers to a float32 array."""
    return lambda *values: np.array(values, np.float32)
