"""TFX's StatisticsGen with our executor."""

from typing import Any

from tfx.components.statistics_gen.component import StatisticsGen as TfxStatisticsGen
from tfx.dsl.components.base import executor_spec

from components.statistics_gen.executor import Executor


class StatisticsGen(TfxStatisticsGen):
    """Inputs, outputs and parameters are TFX's, and two more: the code, for the cache, and a folder for windows."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, code: str, known_spans: str | None = None, **inputs: Any) -> None:
        """Wires the component.

        Args:
          code: fingerprint of the executor's code, part of the cache key.
          known_spans: the folder where counts of the spans of a window are kept, as the user names it; None: nowhere.
          **inputs: TFX's: `examples`, `schema`, `stats_options`.
        """
        super().__init__(**inputs)
        self.spec.exec_properties["code"] = code
        if known_spans:
            self.spec.exec_properties["known_spans"] = known_spans
