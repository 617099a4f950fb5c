"""BulkInferrer: raw rows in, answers of the pushed model out.

TFX's component of this name reads tf.Examples of an ExampleGen and writes PredictionLogs; ours reads the files that
`millrace predict` reads, and writes what it writes.
"""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.bulk_inferrer.executor import Executor


class BulkInferrerSpec(component_spec.ComponentSpec):
    """A model and what became of it in; answers out."""

    PARAMETERS = {  # noqa: RUF012
        "task": component_spec.ExecutionParameter(type=str),
        "overrides": component_spec.ExecutionParameter(type=str),
        "data": component_spec.ExecutionParameter(type=str),
        "out": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        "inference_result": component_spec.ChannelParameter(type=standard_artifacts.InferenceResult)
    }


class BulkInferrer(base_beam_component.BaseBeamComponent):
    """Answers rows with a model that every gate has let through; with another it answers none, and says so."""

    SPEC_CLASS = BulkInferrerSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        task: str,
        overrides: str,
        data: str,
        code: str,
        out: str = "",
        pushed_model: types.BaseChannel | None = None,
    ) -> None:
        """Wires the node.

        Args:
          model: of the Trainer.
          model_blessing: of the Evaluator.
          task: its name.
          overrides: of the task, a JSON list.
          data: JSON `{path, fingerprint}`: file, folder or pattern, and the state of its files, for the cache key.
          code: fingerprint of the executor's code, part of the cache key.
          out: folder that gets a copy of the answers; none where it is empty.
          pushed_model: of the Pusher: what was not pushed answers nothing, and the pushed version is what is written.
        """
        super().__init__(
            BulkInferrerSpec(
                model=model,
                model_blessing=model_blessing,
                task=task,
                overrides=overrides,
                data=data,
                out=out,
                code=code,
                inference_result=types.Channel(type=standard_artifacts.InferenceResult),
                **({"pushed_model": pushed_model} if pushed_model else {}),
            )
        )
