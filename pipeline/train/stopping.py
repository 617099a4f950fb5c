"""Early stopping: which validation was the best, and when there is no hope of a better one."""

import math
from typing import Any

import keras
import numpy as np

from pipeline.train.validation import Validation
from pipeline.training import EarlyStopping

_LESS_IS_BETTER = ("loss", "error", "entropy", "mae", "mse", "rmse")


def less_is_better(metric: str) -> bool:
    """Whether a metric of this name is better where it is lower."""
    return any(word in metric for word in _LESS_IS_BETTER)


class Best:
    """The best validation so far, and its weights."""

    def __init__(self, spec: EarlyStopping) -> None:
        """There is none yet."""
        self._spec = spec
        self.step = 0
        self.weights: list[np.ndarray] = []
        self._value = math.nan
        self._waited = 0

    @property
    def metric(self) -> str:
        """What it goes by."""
        return self._spec.metric

    @property
    def over(self) -> bool:
        """Whether there were as many validations without a better one as the setting allows."""
        return self._waited >= self._spec.patience

    def sees(self, found: Validation, model: keras.Model) -> bool:
        """Takes a validation into account; whether training is to end."""
        value = found.values[self._spec.metric]
        gain = self._value - value if less_is_better(self._spec.metric) else value - self._value
        if math.isfinite(value) and (not self.weights or gain > self._spec.min_delta):
            self.step, self._value, self._waited = found.step, value, 0
            self.weights = [weight.numpy().copy() for weight in model.weights]
        else:
            self._waited += 1
        return self.over

    def state(self) -> dict[str, Any]:
        """All but the weights."""
        return {"step": self.step, "value": self._value, "waited": self._waited}

    def restore(self, state: dict[str, Any], weights: list[np.ndarray]) -> None:
        """Takes up what `state` gave."""
        self.step, self._value, self._waited = state["step"], state["value"], state["waited"]
        self.weights = weights
