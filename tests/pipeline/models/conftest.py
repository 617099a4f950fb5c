"""What the tests of model families share: features of each kind, a separable data set, a training loop, a TF1 session."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.features import Categorical, Feature, Image, Numeric, Text
from pipeline.models.base import Model, every_trainable, inputs_of

Columns = dict[str, np.ndarray]
Built = Callable[..., keras.Model]
Fit = Callable[..., list[float]]


@pytest.fixture(scope="session")
def kinds() -> dict[str, Feature]:
    """A small feature of each modality."""
    return {
        "number": Numeric("length"),
        "ids": Categorical("plan", size=4),
        "text": Text("review", vocabulary=28, length=7),
        "image": Image("photo", height=8, width=8),
    }


@pytest.fixture(scope="session")
def separable(kinds: dict[str, Feature]) -> Callable[..., tuple[Columns, np.ndarray]]:
    """A function: features and a number of rows, to columns and a class, 0 or 1, that each of them tells."""

    def made(features: Sequence[Feature], rows: int = 48) -> tuple[Columns, np.ndarray]:
        random = np.random.default_rng(5)
        target = random.integers(0, 2, rows)
        columns: Columns = {}
        for feature in features:
            shape = (rows, *feature.shape)
            if feature.modality == "image":
                left = np.arange(shape[2])[None, None, :, None] < shape[2] // 2
                bright = np.where(left == target.astype(bool)[:, None, None, None], 200, 40)
                columns[feature.transformed] = (bright + random.integers(-30, 30, shape)).astype(np.uint8)
            elif feature.modality == "text":
                ids = np.where(random.random(shape) < 0.5, 3 + target[:, None], random.integers(5, 29, shape))
                ends = random.integers(3, shape[1] + 1, (rows, 1))
                columns[feature.transformed] = np.where(np.arange(shape[1]) < ends, ids, 0).astype(np.int64)
            elif feature.modality == "ids":
                columns[feature.transformed] = (target[:, None] + 2 * random.integers(0, 2, shape)).astype(np.int64)
            else:
                noise = random.normal(size=shape)
                columns[feature.transformed] = (target[:, None] * 2 - 1 + 0.3 * noise).astype(np.float32)
        return columns, target

    return made


@pytest.fixture(scope="session")
def build() -> Built:
    """A function: a family, features and a number of scores, to its Keras model with seeded weights."""

    def built(family: Model, features: Sequence[Feature], units: int = 2) -> keras.Model:
        keras.utils.set_random_seed(3)
        assert family.problems(features) == []
        inputs = inputs_of(features)
        return keras.Model(inputs, family.scores(features, inputs, units))

    return built


@pytest.fixture(scope="session")
def fit() -> Fit:
    """A function: a family, its model and data, to the loss before each step; goes through the family's phases."""

    def fitted(
        family: Model, model: keras.Model, columns: Columns, target: np.ndarray, steps: int = 30, rate: float = 0.01
    ) -> list[float]:
        optimizer = keras.optimizers.Adam(rate)
        optimizer.build(every_trainable(family, model))
        inputs = {name: tf.constant(v.tolist() if v.dtype == object else v) for name, v in columns.items()}
        losses: list[float] = []

        def step() -> tf.Tensor:
            variables = model.trainable_variables
            with tf.GradientTape() as tape:
                scores = model(inputs, training=True)
                rows = tf.nn.sparse_softmax_cross_entropy_with_logits(target, scores)
                loss = tf.reduce_mean(rows) + sum(model.losses)
            optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
            return loss

        for number, phase in enumerate(family.phases):
            family.enter(model, number)
            optimizer.learning_rate.assign(rate * phase.learning_rate)
            compiled = tf.function(step)
            losses += [float(compiled()) for _ in range(round(phase.share * steps))]
        return losses

    return fitted


@pytest.fixture
def served(tmp_path: Path) -> Callable[[keras.Model, Mapping[str, np.ndarray]], np.ndarray]:
    """A function: a model and columns, to the scores of its export in a TF1 session, as TF Serving runs it."""

    def answer(model: keras.Model, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        path = str(tmp_path / "model")
        archive = keras.export.ExportArchive()
        archive.track(model)
        spec = {t.name: tf.TensorSpec([None, *t.shape[1:]], t.dtype, name=t.name) for t in model.inputs}
        archive.add_endpoint("scores", lambda inputs: {"scores": model(inputs, training=False)}, [spec])
        archive.write_out(path, verbose=False)
        with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
            signature = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def["scores"]
            feed = {signature.inputs[name].name: values for name, values in columns.items()}
            scores: np.ndarray = session.run(signature.outputs["scores"].name, feed)
        return scores

    return answer
