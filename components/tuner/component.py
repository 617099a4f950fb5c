"""TFX's Tuner with our executor."""

from tfx.components.tuner.component import Tuner as TfxTuner
from tfx.dsl.components.base import executor_spec

from components.tuner.executor import Executor


class Tuner(TfxTuner):
    """Inputs, outputs and parameters are TFX's; `tuner_fn` is `components.tuner.search.tuner_fn`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
