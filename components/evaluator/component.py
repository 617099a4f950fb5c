"""TFX's Evaluator with our executor, and what that one is told beside."""

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.evaluator.executor import Executor


class EvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """TFX's, with the task and what makes the decision."""

    PARAMETERS = {  # noqa: RUF012
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        "task": component_spec.ExecutionParameter(type=str),
        "overrides": component_spec.ExecutionParameter(type=str),
        "watched": component_spec.ExecutionParameter(type=str),
        "force": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }


class Evaluator(base_beam_component.BaseBeamComponent):
    """Measures a candidate and a baseline on the same rows, judges, and blesses.

    Outputs as of TFX's: `evaluation`, which TFMA can read and which holds `evidence.json`, and `blessing`.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel | None,
        schema: types.BaseChannel,
        split: str,
        eval_config: tfma.EvalConfig,
        task: str,
        overrides: str,
        watched: str,
        force: str,
        code: str,
    ) -> None:
        """Wires the evaluator.

        Args:
          examples: raw rows.
          model: the candidate.
          baseline_model: what it is compared with; resolves to nothing on a first run.
          schema: of the rows.
          split: the one that measures.
          eval_config: see pipeline.evaluation.eval_config.
          task: its name.
          overrides: of the task, a JSON list.
          watched: the folder that a server watches, see pipeline/push/versions.py; it may not be there yet.
          force: why a candidate is to be promoted even where gates fail; "" where it is not.
          code: fingerprint of the executor's code and of what it is to do, part of the cache key.
        """
        super().__init__(
            EvaluatorSpec(
                examples=examples,
                model=model,
                schema=schema,
                example_splits=json_utils.dumps([split]),
                eval_config=eval_config,
                fairness_indicator_thresholds=json_utils.dumps(None),
                task=task,
                overrides=overrides,
                watched=watched,
                force=force,
                code=code,
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
                **({"baseline_model": baseline_model} if baseline_model else {}),
            )
        )
