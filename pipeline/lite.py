"""What is converted to TF Lite, and the rules that a converted model must pass: plain settings, no TensorFlow."""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import TaskError, nearest

Format = Literal["float32", "float16", "dynamic_range", "int8"]
MAX_DIFFERENCE: dict[Format, float] = {"float32": 1e-4, "float16": 0.02, "dynamic_range": 0.1, "int8": 0.3}
"""Format -> how far an answer may be from the full model's, where the task does not say."""


@dataclass(frozen=True)
class Lite:
    """The formats of a model for phones and small boards, and how far each may be from the full model.

        Lite(formats=("float16", "int8"), may_fail=("int8",))

    - `float32`: as trained. `float16`: weights of half the size.
    - `dynamic_range`: weights of 8 bits, arithmetic in floats where there is no integer kernel.
    - `int8`: weights and arithmetic of 8 bits, in ranges that real rows of the train split have shown. Inputs and
      outputs keep the types that the full model has, so that a client need not know any scale.

    A converted model is compared with the full one on rows of the split that measures the model. A rule that does not
    hold keeps the whole model from being pushed, as any gate does.

    Attributes:
      formats: what to make; nothing is converted where there is none.
      may_fail: of these, those that are left out of the push where they can't be converted or break a rule.
      max_difference: of any answer from the full model's: in probability, or, for a number, in standard deviations of
        the label. None is MAX_DIFFERENCE of the format.
      min_agreement: share of decisions (the class; yes or no) that must be the full model's; not for numbers.
      max_metric_loss: by what share of its value each metric of the label may be worse.
      calibration_rows: of the train split, from which `int8` learns its ranges.
      evaluation_rows: at most that many are compared.
    """

    formats: tuple[Format, ...] = ()
    may_fail: tuple[Format, ...] = ()
    max_difference: float | None = None
    min_agreement: float = 0.98
    max_metric_loss: float = 0.01
    calibration_rows: int = 500
    evaluation_rows: int = 5000

    def __post_init__(self) -> None:
        for name in (*self.formats, *self.may_fail):
            if name not in MAX_DIFFERENCE:
                raise TaskError(f"lite: unknown format {name!r}.{nearest(name, MAX_DIFFERENCE)}")
        twice = sorted({name for name in self.formats if self.formats.count(name) > 1})
        if twice:
            raise TaskError(f"lite: formats: expected each once. Received: formats={self.formats}")
        if self.formats and not set(self.may_fail) <= set(self.formats):
            raise TaskError(
                f"lite: may_fail: expected some of the formats {self.formats}. Received: may_fail={self.may_fail}"
            )
        for rule, value in (("max_difference", self.max_difference), ("max_metric_loss", self.max_metric_loss)):
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise TaskError(f"lite: {rule}: expected a number of at least 0. Received: {rule}={value}")
        if not 0 <= self.min_agreement <= 1:
            raise TaskError(
                f"lite: min_agreement: expected a share in [0, 1]. Received: min_agreement={self.min_agreement}"
            )
        for setting in ("calibration_rows", "evaluation_rows"):
            if getattr(self, setting) < 1:
                raise TaskError(f"lite: {setting}: expected at least 1. Received: {setting}={getattr(self, setting)}")

    def limit(self, name: Format) -> float:
        """How far an answer of a format may be from the full model's."""
        return MAX_DIFFERENCE[name] if self.max_difference is None else self.max_difference
