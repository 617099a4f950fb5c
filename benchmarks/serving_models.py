"""The model that the serving benchmarks ask: 30 -> 128 -> 64 -> 1, dense rows or tf.Examples.

python -m benchmarks.serving_models FOLDER 3        writes FOLDER/3, whose every answer has 3 added
"""

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

INPUTS = 30
_WIDTHS = (INPUTS, 128, 64, 1)


def row() -> np.ndarray:
    """One row, [1, INPUTS]."""
    values: np.ndarray = np.random.default_rng(1).normal(size=(1, INPUTS)).astype(np.float32)
    return values


def example() -> bytes:
    """The same row as a serialised tf.Example."""
    import tensorflow as tf

    feature = tf.train.Feature(float_list=tf.train.FloatList(value=row()[0]))
    serialised: bytes = tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString()
    return serialised


def write(folder: Path, version: int) -> None:
    """Writes a version; answers lie between `version` and `version` + 1, so that they tell who answered."""
    import tensorflow as tf

    draws = np.random.default_rng(0)
    layers = [
        (
            tf.Variable(draws.normal(size=pair, scale=pair[0] ** -0.5).astype(np.float32)),
            tf.Variable(np.zeros(pair[1], np.float32)),
        )
        for pair in pairwise(_WIDTHS)
    ]
    module = tf.Module()
    module.layers = layers

    def score(x: Any) -> Any:
        for weights, bias in layers[:-1]:
            x = tf.nn.relu(tf.matmul(x, weights) + bias)
        return tf.sigmoid(tf.matmul(x, layers[-1][0]) + layers[-1][1]) + float(version)

    @tf.function(input_signature=[tf.TensorSpec([None, INPUTS], tf.float32, name="x")])
    def dense(x: Any) -> dict[str, Any]:
        return {"y": score(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def examples(examples: Any) -> dict[str, Any]:
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([INPUTS], tf.float32)})
        return {"y": score(parsed["x"])}

    part = folder / f".{version}"
    tf.saved_model.save(module, str(part), signatures={"serving_default": dense, "examples": examples})
    part.rename(folder / str(version))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    for number in sys.argv[2:]:
        write(Path(sys.argv[1]), int(number))
