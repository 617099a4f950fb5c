"""DataGate: nothing that learns from the data starts before it has opened."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import DataVerdict, Findings, Quarantine
from components.data_gate.executor import Executor


class DataGateSpec(component_spec.ComponentSpec):
    """Findings in; a verdict out where the gate opens."""

    PARAMETERS = {  # noqa: RUF012
        "task": component_spec.ExecutionParameter(type=str),
        "waivers_today": component_spec.ExecutionParameter(type=str),
        "root": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "findings": component_spec.ChannelParameter(type=Findings),
        "quarantine": component_spec.ChannelParameter(type=Quarantine, optional=True),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"verdict": component_spec.ChannelParameter(type=DataVerdict)}  # noqa: RUF012


class DataGate(base_component.BaseComponent):
    """Stops the run, with a sentence for each cause, where a finding of severity "fail" is not waived."""

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        findings: types.BaseChannel,
        quarantine: types.BaseChannel | None,
        statistics: types.BaseChannel,
        examples: types.BaseChannel,
        task: str,
        waivers_today: str,
        root: str,
        code: str,
    ) -> None:
        """Wires the gate.

        Args:
          findings: of DataChecks.
          quarantine: where the rows are that were kept out, for the message; None for a source that has none.
          statistics: named by the verdict, so that later runs compare with them.
          examples: named by the verdict.
          task: name for the message.
          waivers_today: of `pipeline.checks.waivers_today`, when the pipeline is built: so an expired waiver is a new
            cache key.
          root: folder of all runs, for the commands in the message.
          code: fingerprint of the executor's code, part of the cache key.
        """
        super().__init__(
            DataGateSpec(
                findings=findings,
                quarantine=quarantine,
                statistics=statistics,
                examples=examples,
                task=task,
                waivers_today=waivers_today,
                root=root,
                code=code,
                verdict=types.Channel(type=DataVerdict),
            )
        )
