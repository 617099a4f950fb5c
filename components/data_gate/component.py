"""DataGate: nothing that learns from the data starts before it has opened."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.data_gate.executor import Executor


class DataGateSpec(component_spec.ComponentSpec):
    """Anomalies in; nothing out: an open gate is a successful execution."""

    PARAMETERS = {  # noqa: RUF012
        "task": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }
    OUTPUTS: dict[str, component_spec.ChannelParameter] = {}  # noqa: RUF012


class DataGate(base_component.BaseComponent):
    """Fails the run, with a sentence for each cause, where ExampleValidator found anomalies."""

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, anomalies: types.BaseChannel, statistics: types.BaseChannel, task: str, code: str) -> None:
        """Wires the gate.

        Args:
          anomalies: of ExampleValidator, for all splits.
          statistics: of StatisticsGen, for the counts in the message.
          task: name for the message.
          code: fingerprint of the executor's code, part of the cache key.
        """
        super().__init__(DataGateSpec(anomalies=anomalies, statistics=statistics, task=task, code=code))
