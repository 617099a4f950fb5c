"""TFX's StatisticsGen with our executor."""

from tfx.components import StatisticsGen as TfxStatisticsGen
from tfx.dsl.components.base import executor_spec

from components.statistics_gen.executor import Executor


class StatisticsGen(TfxStatisticsGen):
    """Inputs, outputs and parameters are TFX's: `StatisticsGen(examples=…, schema=…)`."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
