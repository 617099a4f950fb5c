"""The settings of the training loop."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import TaskError, nearest
from pipeline.strategies import NAMES
from pipeline.training.optimizers import Adam, AdamW, RmsProp, Sgd
from pipeline.training.require import require

_DEFAULT_STEPS = 1000
_RUN_ID = re.compile(r"\d{8}T\d{6}(-\d+)?")
_PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class EarlyStopping:
    """Stops when a metric of the eval split no longer gets better, and restores the best weights.

    Attributes:
      patience: validations without a better value before it stops.
      metric: "val_loss", or "val_" and one of the label's metrics, such as "val_auc".
      min_delta: a value counts as better if it is so by more than this.
    """

    patience: int = 3
    metric: str = "val_loss"
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        require(self.patience > 0, "early_stopping.patience: expected at least 1", patience=self.patience)
        named = self.metric.startswith("val_")
        require(named, "early_stopping.metric: expected val_loss or val_ and a metric", metric=self.metric)
        require(0 <= self.min_delta < math.inf, "early_stopping.min_delta: expected from 0", min_delta=self.min_delta)


@dataclass(frozen=True)
class Training:
    """The training loop.

    Attributes:
      steps: gradient steps; None: as many as `epochs` make, or 1,000 without either. With both, training ends at
        whichever comes first.
      batch_size: rows in a step, over all replicas. Rows are drawn without gaps: a batch that reaches the end of an
        epoch goes on into the next, and one that is larger than the data holds rows several times.
      validate_every: steps between two validations on the eval split; there is one more at the end.
      validation_rows: rows of the eval split that these measure at the most, the same ones each time and as many of
        each of its shards; None: all. The Evaluator measures all in any case.
      optimizer: Adam(…), AdamW(…), Sgd(…) or RmsProp(…).
      early_stopping: EarlyStopping(…), or None: then the weights of the last step are kept.
      seed: of the weights, of dropout and of the order of rows. Two runs on the CPU are equal bit for bit.
      strategy: how the work is spread over devices and processes, see `pipeline.strategies`.
      epochs: passes over the train split; a part of one is allowed.
      class_weights: weight of each class in the loss: None, "balanced" (rows / (classes * rows of the class), of the
        train split) or {class's name: weight}, where a class that is not named weighs 1; of a Binary: "no", "yes".
      precision: "float32", "mixed_bfloat16" or "mixed_float16" (with a scaled loss); weights are float32 in any case,
        and so is the exported model.
      jit_compile: whether steps are compiled by XLA.
      steps_per_execution: steps in one call of the graph; None: as many as run in about half a second. It changes
        the speed, not the result.
      deterministic: whether TensorFlow is asked for operations that repeat themselves bit for bit. On the CPU they do
        without it; on GPUs it costs speed.
      checkpoint_every: steps between two checkpoints; None: one after each validation.
      checkpoints_kept: the newest ones that are kept while the training goes on; it removes all when it has ended.
      warm_start: what the weights begin with: None (initialised anew), "latest" (those of the latest blessed model, if
        there is one), or the id of a run (those of the model that it trained); see `pipeline.train.warm_start`.
      workers: processes that compute under multi_worker and parameter_server (None: 2), replicas of mirrored and
        central_storage (None: one for each device).
      servers: processes that hold the weights under parameter_server.
    """

    steps: int | None = None
    batch_size: int = 200
    validate_every: int = 200
    optimizer: Adam | AdamW | Sgd | RmsProp = field(default_factory=Adam)
    early_stopping: EarlyStopping | None = None
    seed: int = 1
    strategy: str = "auto"
    epochs: float | None = None
    class_weights: Literal["balanced"] | Mapping[str, float] | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: bool = False
    steps_per_execution: int | None = None
    deterministic: bool = False
    checkpoint_every: int | None = None
    checkpoints_kept: int = 2
    warm_start: str | None = None
    workers: int | None = None
    servers: int = 1
    validation_rows: int | None = 100_000

    def __post_init__(self) -> None:
        if self.steps is None and self.epochs is None:
            object.__setattr__(self, "steps", _DEFAULT_STEPS)
        require(self.steps is None or self.steps > 0, "steps: expected at least 1", steps=self.steps)
        whole = self.epochs is None or 0 < self.epochs < math.inf
        require(whole, "epochs: expected above 0", epochs=self.epochs)
        for name in ("batch_size", "validate_every", "checkpoints_kept", "servers"):
            value = getattr(self, name)
            require(value > 0, f"{name}: expected at least 1", **{name: value})
        for name in ("steps_per_execution", "checkpoint_every", "workers", "validation_rows"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name}: expected at least 1 or None", **{name: value})
        require(
            isinstance(self.optimizer, Adam | Sgd | RmsProp),
            "optimizer: expected Adam(…), AdamW(…), Sgd(…) or RmsProp(…)",
            optimizer=self.optimizer,
        )
        if self.strategy not in NAMES:
            raise TaskError(f"training: unknown strategy {self.strategy!r}.{nearest(self.strategy, NAMES)}")
        require(
            self.precision in _PRECISIONS,
            f"precision: expected one of {', '.join(_PRECISIONS)}",
            precision=self.precision,
        )
        require(
            self.warm_start in (None, "latest") or _RUN_ID.fullmatch(str(self.warm_start)) is not None,
            "warm_start: expected None, 'latest' or the id of a run, as `millrace runs` lists them",
            warm_start=self.warm_start,
        )
        require(
            (self.workers or 1) <= self.batch_size,
            "workers: expected at most batch_size, a row of each batch for each",
            workers=self.workers,
            batch_size=self.batch_size,
        )
        self._check_class_weights()

    def _check_class_weights(self) -> None:
        weights = self.class_weights
        if isinstance(weights, Mapping):
            known = bool(weights) and all(isinstance(c, str) and 0 <= w < math.inf for c, w in weights.items())
            require(known, "class_weights: expected names of classes with weights from 0", class_weights=weights)
            # A tuple of pairs would hash; a dict is what reads well. Sorted, equal settings have equal digests.
            object.__setattr__(self, "class_weights", dict(sorted(weights.items())))
        elif weights not in (None, "balanced"):
            rule = "class_weights: expected None, 'balanced' or {class: weight}"
            require(False, rule, class_weights=weights)

    def unfit(self, classes: Sequence[str]) -> list[str]:
        """Why the settings do not fit a label: a sentence each.

        Args:
          classes: the label's, empty where it has none.
        """
        if self.class_weights is None:
            return []
        if not classes:
            return ["training: class_weights: expected a label of classes."]
        named = self.class_weights if isinstance(self.class_weights, Mapping) else {}
        return [
            f"training: class_weights: no class {name!r}.{nearest(name, classes)}"
            for name in named
            if name not in classes
        ]

    def length(self, rows: int | None) -> int:
        """The number of steps.

        Args:
          rows: of the train split; needed where there are epochs.
        """
        if self.epochs is None:
            return self.steps or _DEFAULT_STEPS
        by_epochs = max(1, math.ceil(self.epochs * (rows or 0) / self.batch_size))
        return by_epochs if self.steps is None else min(self.steps, by_epochs)


def check_metric(stopping: EarlyStopping | None, metrics: frozenset[str]) -> None:
    """Raises TaskError where early stopping goes by a metric that the label does not have.

    Args:
      stopping: the setting.
      metrics: the label's, without "val_".
    """
    known = {"val_loss", *(f"val_{name}" for name in metrics)}
    if stopping and stopping.metric not in known:
        raise TaskError(
            f"training: early_stopping.metric: no metric {stopping.metric!r}.{nearest(stopping.metric, known)}"
        )
