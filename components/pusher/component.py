"""TFX's Pusher and one more input, the files of TF Lite."""

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.artifacts import LiteModel
from components.pusher.executor import LITE_KEY, Executor


class PusherSpec(standard_component_specs.PusherSpec):
    """TFX's, with the files of TF Lite."""

    INPUTS = {  # noqa: RUF012
        **standard_component_specs.PusherSpec.INPUTS,
        LITE_KEY: component_spec.ChannelParameter(type=LiteModel, optional=True),
    }


class Pusher(base_component.BaseComponent):
    """Pushes a model that every gate has let through."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        lite: types.BaseChannel | None,
        folder: str,
        custom_config: dict[str, Any],
    ) -> None:
        """Wires the pusher.

        Args:
          model: of the Trainer.
          model_blessing: of the Evaluator.
          lite: of LiteConverter, or None.
          folder: that a model server watches.
          custom_config: part of the cache key.
        """
        destination = pusher_pb2.PushDestination.Filesystem(base_directory=folder)
        super().__init__(
            PusherSpec(
                model=model,
                model_blessing=model_blessing,
                push_destination=pusher_pb2.PushDestination(filesystem=destination),
                custom_config=json_utils.dumps(custom_config),
                pushed_model=types.Channel(type=standard_artifacts.PushedModel),
                **({LITE_KEY: lite} if lite else {}),
            )
        )
