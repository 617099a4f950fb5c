"""TFX's Transform with our executor."""

from tfx.components.transform.component import Transform as TfxTransform
from tfx.dsl.components.base import executor_spec

from components.transform.executor import Executor


class Transform(TfxTransform):
    """Inputs, outputs and parameters are TFX's."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
