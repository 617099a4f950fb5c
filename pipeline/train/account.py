"""What a training leaves for people who read about it, beside TensorBoard's logs: `architecture.json`, `training.json`.

architecture.json: {"name": "taxi_tips", "parameters": 21000, "trainable": 21000, "layers": [
    {"name": "hidden_0", "class": "Dense", "shape": [100], "parameters": 5300, "trainable": 5300}, …]}
training.json: {"steps": 1000, "best_step": 800, "history": [{"step": 200, "loss": 0.31, "val_loss": 0.28, …}, …]}
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from pipeline.train.validation import Validation

ARCHITECTURE = "architecture.json"
TRAINING = "training.json"


def architecture(model: keras.Model) -> dict[str, Any]:
    """The layers of a functional model, in its order.

    Returns:
      `shape` is of one row's output, without the rows; a list of such where a layer has several outputs. `parameters`
      counts numbers, `trainable` those of them that training changes.
    """
    return {
        "name": model.name,
        "parameters": _count(model.weights),
        "trainable": _count(model.trainable_weights),
        "layers": [
            {
                "name": layer.name,
                "class": type(layer).__name__,
                "shape": _shape(layer.output),
                "parameters": _count(layer.weights),
                "trainable": _count(layer.trainable_weights),
            }
            for layer in model.layers
        ],
    }


def training(history: Sequence[Validation], best_step: int) -> dict[str, Any]:
    """The course of a training; a value that is not finite is null.

    Args:
      history: all validations.
      best_step: the step whose weights the model has.
    """
    return {
        "steps": history[-1].step if history else best_step,
        "best_step": best_step,
        "history": [
            {"step": found.step}
            | {name: value if math.isfinite(value) else None for name, value in found.values.items()}
            for found in history
        ],
    }


def save(folder: str, model: keras.Model, history: Sequence[Validation], best_step: int) -> None:
    """Writes both files into a folder, which need not be there yet."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in ((ARCHITECTURE, architecture(model)), (TRAINING, training(history, best_step))):
        (place / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _count(weights: Sequence[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _shape(output: Any) -> list[Any]:
    if isinstance(output, list | tuple):
        return [_shape(each) for each in output]
    return list(output.shape[1:])
