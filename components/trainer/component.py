"""TFX's Trainer and one more input, `raw_examples`."""

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.trainer.executor import RAW_EXAMPLES_KEY, Executor


class TrainerSpec(standard_component_specs.TrainerSpec):
    """TFX's, with the raw rows."""

    INPUTS = {  # noqa: RUF012
        **standard_component_specs.TrainerSpec.INPUTS,
        RAW_EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class Trainer(base_component.BaseComponent):
    """Calls a `run_fn` given by its dotted path."""

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        raw_examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        run_fn: str,
        custom_config: dict[str, Any],
        base_model: types.BaseChannel | None = None,
        hyperparameters: types.BaseChannel | None = None,
    ) -> None:
        """Wires the trainer.

        Args:
          examples: transformed rows, splits `train` and `eval`.
          raw_examples: the rows that they were made from; a few of `eval` prove the export.
          transform_graph: of Transform.
          run_fn: dotted path of the function that trains.
          custom_config: given to it.
          base_model: what the weights begin with, if anything.
          hyperparameters: values of settings that a search has found, if any.
        """
        super().__init__(
            TrainerSpec(
                examples=examples,
                raw_examples=raw_examples,
                transform_graph=transform_graph,
                run_fn=run_fn,
                train_args=trainer_pb2.TrainArgs(),
                eval_args=trainer_pb2.EvalArgs(),
                custom_config=json_utils.dumps(custom_config),
                base_model=base_model,
                hyperparameters=hyperparameters,
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )
