"""LiteConverter: the model for phones and small boards, and the proof that it answers as the full one."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import LiteModel
from components.lite.executor import Executor


class LiteConverterSpec(component_spec.ComponentSpec):
    """A model and raw rows in; the converted files and a report out."""

    PARAMETERS = {  # noqa: RUF012
        "task": component_spec.ExecutionParameter(type=str),
        "overrides": component_spec.ExecutionParameter(type=str),
        "split": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {"lite": component_spec.ChannelParameter(type=LiteModel)}  # noqa: RUF012


class LiteConverter(base_component.BaseComponent):
    """Converts and judges; a rule that is broken does not stop the node but keeps the Pusher from pushing."""

    SPEC_CLASS = LiteConverterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        task: str,
        overrides: str,
        split: str,
        code: str,
    ) -> None:
        """Wires the converter.

        Args:
          model: of the Trainer.
          examples: raw rows: `train` calibrates, `split` is compared on.
          transform_graph: of Transform.
          task: its name.
          overrides: of the task, a JSON list.
          split: the one that measures the model.
          code: fingerprint of the executor's code and of what it is to do, part of the cache key.
        """
        super().__init__(
            LiteConverterSpec(
                model=model,
                examples=examples,
                transform_graph=transform_graph,
                task=task,
                overrides=overrides,
                split=split,
                code=code,
                lite=types.Channel(type=LiteModel),
            )
        )
