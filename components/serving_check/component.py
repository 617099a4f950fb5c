"""ServingCheck: what TFX's InfraValidator is for, without a container, and with answers that are looked at."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.serving_check.executor import Executor


class ServingCheckSpec(component_spec.ComponentSpec):
    """A model and the Trainer's probes in; a blessing with a report out."""

    PARAMETERS = {  # noqa: RUF012
        "task": component_spec.ExecutionParameter(type=str),
        "overrides": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }
    OUTPUTS = {"blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)}  # noqa: RUF012


class ServingCheck(base_component.BaseComponent):
    """Asks the candidate in a server; what it finds wrong does not stop the node but keeps the Pusher from pushing."""

    SPEC_CLASS = ServingCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_run: types.BaseChannel,
        task: str,
        overrides: str,
        code: str,
    ) -> None:
        """Wires the check.

        Args:
          model: of the Trainer.
          model_run: of the Trainer, with the probes.
          task: its name.
          overrides: of the task, a JSON list.
          code: fingerprint of the executor's code and of the rules, part of the cache key.
        """
        super().__init__(
            ServingCheckSpec(
                model=model,
                model_run=model_run,
                task=task,
                overrides=overrides,
                code=code,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
