"""DataChecks: what is wrong or odd about the data, as findings; it never stops a run, the data gate does."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import Findings, Quarantine
from components.data_checks.executor import Executor


class DataChecksSpec(component_spec.ComponentSpec):
    """Data, what is known of it, and what it is compared with; out come findings."""

    PARAMETERS = {  # noqa: RUF012
        "task": component_spec.ExecutionParameter(type=str),
        "overrides": component_spec.ExecutionParameter(type=str),
        "serving_log": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "quarantine": component_spec.ChannelParameter(type=Quarantine, optional=True),
        "previous_statistics": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics, optional=True
        ),
        "served_statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }
    OUTPUTS = {"findings": component_spec.ChannelParameter(type=Findings)}  # noqa: RUF012


class DataChecks(base_component.BaseComponent):
    """Runs every check of `pipeline.checks` and writes `findings.json`."""

    SPEC_CLASS = DataChecksSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        anomalies: types.BaseChannel,
        schema: types.BaseChannel,
        quarantine: types.BaseChannel | None,
        task: str,
        overrides: str,
        code: str,
        serving_log: str = "",
        previous_statistics: types.BaseChannel | None = None,
        served_statistics: types.BaseChannel | None = None,
    ) -> None:
        """Wires the checks.

        Args:
          examples: the rows, splits as in `statistics`.
          statistics: of these rows; with 50 quantile buckets a column, or distances between numbers are coarse.
          anomalies: of ExampleValidator, for all splits.
          schema: for types, and for which columns are there at serving.
          quarantine: the account of all rows; None for a source that has none.
          task: its name.
          overrides: of the task, JSON list of `section.field=value`.
          code: fingerprint of the checks' code and of the settings that they read, part of the cache key.
          serving_log: JSON `{"path": …, "fingerprint": …}` of logged requests, or "".
          previous_statistics: of the previous data that the gate let through, or of none.
          served_statistics: of the data that the served model learned from, or of none.
        """
        super().__init__(
            DataChecksSpec(
                examples=examples,
                statistics=statistics,
                anomalies=anomalies,
                schema=schema,
                quarantine=quarantine,
                previous_statistics=previous_statistics,
                served_statistics=served_statistics,
                task=task,
                overrides=overrides,
                serving_log=serving_log,
                code=code,
                findings=types.Channel(type=Findings),
            )
        )
