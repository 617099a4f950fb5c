"""TFX's StatisticsGen with our executor."""

from typing import Any

from tfx.components.statistics_gen.component import StatisticsGen as TfxStatisticsGen
from tfx.dsl.components.base import executor_spec

from components.statistics_gen.executor import Executor


class StatisticsGen(TfxStatisticsGen):
    """Inputs, outputs and parameters are TFX's, and one more: the code that computes them, for the cache."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, code: str, **inputs: Any) -> None:
        """Wires the component.

        Args:
          code: fingerprint of the executor's code, part of the cache key.
          **inputs: TFX's: `examples`, `schema`, `stats_options`.
        """
        super().__init__(**inputs)
        self.spec.exec_properties["code"] = code
