"""TFX's Pusher with two more inputs: the files of TF Lite, and the model that the candidate was compared with."""

import json
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from components.artifacts import LiteModel
from components.pusher.executor import BASELINE_KEY, LITE_KEY, Executor
from pipeline.push.settings import Push, as_json


class PusherSpec(standard_component_specs.PusherSpec):
    """TFX's, with the files of TF Lite and the baseline."""

    INPUTS = {  # noqa: RUF012
        **standard_component_specs.PusherSpec.INPUTS,
        LITE_KEY: component_spec.ChannelParameter(type=LiteModel, optional=True),
        BASELINE_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
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
        infra_blessing: types.BaseChannel | None = None,
        baseline: types.BaseChannel | None = None,
        push: Push | None = None,
        signature_change: bool = False,
        forced: str | None = None,
    ) -> None:
        """Wires the pusher.

        Args:
          model: of the Trainer.
          model_blessing: of the Evaluator.
          lite: of LiteConverter, or None.
          folder: that a model server watches.
          custom_config: part of the cache key.
          infra_blessing: of the serving check, or None; its `warmup/tf_serving_warmup_requests` goes with the model.
          baseline: the model that the candidate was compared with, or None; its versions are never removed.
          push: how many versions stay, and where else they go.
          signature_change: whether a model may take the place of one with other signatures.
          forced: why the model is pushed whatever speaks against it; a withdrawn one is then pushed too.
        """
        destination = pusher_pb2.PushDestination.Filesystem(base_directory=folder)
        optional = {LITE_KEY: lite, "infra_blessing": infra_blessing, BASELINE_KEY: baseline}
        settings = push or Push()
        told = {"keep": settings.keep, "targets": [as_json(target) for target in settings.targets], "forced": forced}
        told |= {"signature_change": signature_change}
        super().__init__(
            PusherSpec(
                model=model,
                model_blessing=model_blessing,
                push_destination=pusher_pb2.PushDestination(filesystem=destination),
                custom_config=json.dumps({**custom_config, **told}),
                pushed_model=types.Channel(type=standard_artifacts.PushedModel),
                **{key: channel for key, channel in optional.items() if channel},
            )
        )
