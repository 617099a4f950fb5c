"""TFX's taxi template, node for node, and its runner with a clock.

The chain is `taxi_pipeline_native_keras.py` of the tfx wheel. Where it differs, it differs in the template's favour, or
so that both sides answer the same question:

- Beam runs on FnApiRunner in one process. The template's `multi_processing` is several times slower on a small machine.
- The example's functions are named by dotted path. As a module file TFX would build a wheel of them and pip-install
  that twice in a run.
- LocalDagRunner replaces BeamDagRunner: the same launcher, without a Beam job around every node.
- The cache is off. Evaluator also measures AUC and the number of rows, and slices by `trip_start_hour` (as
  `taxi_pipeline_simple.py` does) unless told not to.
- Given a folder for each split, CsvExampleGen takes them as they are, and the schema is our reviewed one: a column with
  a single value in all rows may be empty in train, an inferred schema then lacks it, and the example's transform fails.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tensorflow_model_analysis as tfma
from tfx.components import (
    CsvExampleGen,
    Evaluator,
    ExampleValidator,
    Pusher,
    SchemaGen,
    StatisticsGen,
    Trainer,
    Transform,
)
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.experimental.latest_blessed_model_resolver import LatestBlessedModelResolver
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable.launcher import Launcher
from tfx.proto import example_gen_pb2, pusher_pb2, trainer_pb2
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from pipeline import schema as reviewed

# TFX's generated messages and its runner carry no types.
_trainer: Any = trainer_pb2
_pusher: Any = pusher_pb2
_inputs: Any = example_gen_pb2
_runner: Any = LocalDagRunner

TASK = "taxi_tips"
EXAMPLE = "tfx.examples.chicago_taxi_pipeline.taxi_utils_native_keras"


def eval_config(slices: bool) -> Any:
    """The template's evaluation with its thresholds, plus AUC and the number of rows.

    Args:
        slices: whether to slice by `trip_start_hour`.
    """
    accuracy = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": 0.6}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -1e-10}
        ),
    )
    by_hour = [tfma.SlicingSpec(feature_keys=["trip_start_hour"])] if slices else []
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default",
                label_key="tips_xf",
                preprocessing_function_names=["transform_features"],
            )
        ],
        slicing_specs=[tfma.SlicingSpec(), *by_hour],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(class_name="BinaryAccuracy", threshold=accuracy),
                    tfma.MetricConfig(class_name="AUC"),
                    tfma.MetricConfig(class_name="ExampleCount"),
                ]
            )
        ],
    )


def template(data: Path, root: Path, *, steps: int, batch_size: int, seed: int | None, slices: bool) -> Pipeline:
    """The template's nine nodes.

    Args:
        data: folder of CSV files, or of the folders `train` and `eval` of them.
        root: where metadata, artifacts and the pushed model go.
        steps: training steps (the template's: 1,000).
        batch_size: rows in a training step (the template's: 40).
        seed: of the training; None leaves it unseeded.
        slices: whether Evaluator slices by `trip_start_hour`.
    """
    example_gen = _example_gen(data)
    statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"])
    if _is_split(data):
        schema_gen = ImportSchemaGen(schema_file=str(reviewed.path_of(TASK))).with_id("SchemaGen")
    else:
        schema_gen = SchemaGen(statistics=statistics_gen.outputs["statistics"], infer_feature_shape=True)
    schema = schema_gen.outputs["schema"]
    example_validator = ExampleValidator(statistics=statistics_gen.outputs["statistics"], schema=schema)
    transform = Transform(
        examples=example_gen.outputs["examples"], schema=schema, preprocessing_fn=f"{EXAMPLE}.preprocessing_fn"
    )
    trainer = Trainer(
        run_fn="benchmarks.stock_trainer.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema,
        train_args=_trainer.TrainArgs(num_steps=steps),
        eval_args=_trainer.EvalArgs(num_steps=150),
        custom_config={"batch_size": batch_size, "seed": seed},
    )
    resolver = Resolver(
        strategy_class=LatestBlessedModelResolver,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id("latest_blessed_model_resolver")
    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=resolver.outputs["model"],
        eval_config=eval_config(slices),
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=_pusher.PushDestination(
            filesystem=_pusher.PushDestination.Filesystem(base_directory=str(root / "serving"))
        ),
    )
    return Pipeline(
        pipeline_name="chicago_taxi_native_keras",
        pipeline_root=str(root / "artifacts"),
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            transform,
            trainer,
            resolver,
            evaluator,
            pusher,
        ],
        enable_cache=False,
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.db")),
        beam_pipeline_args=["--runner=FnApiRunner"],
    )


def _example_gen(data: Path) -> CsvExampleGen:
    """Splits 2:1 by a hash, unless there are folders for the splits."""
    if not _is_split(data):
        return CsvExampleGen(input_base=str(data))
    splits = [_inputs.Input.Split(name=name, pattern=f"{name}/*") for name in ("train", "eval")]
    return CsvExampleGen(input_base=str(data), input_config=_inputs.Input(splits=splits))


def _is_split(data: Path) -> bool:
    return (data / "train").is_dir()


def run_timed(pipeline: Pipeline) -> dict[str, float]:
    """Runs the pipeline with TFX's LocalDagRunner.

    Returns:
        Seconds per node: driver, executor and publisher, as `Launcher.launch` has them.

    Raises:
        RuntimeError: a node didn't run. LocalDagRunner itself reports such a run as finished.
    """
    seconds: dict[str, float] = {}
    launch: Callable[[Launcher], Any] = Launcher.launch

    def timed(launcher: Launcher) -> Any:
        began = time.perf_counter()
        execution = launch(launcher)
        node = launcher._pipeline_node.node_info.id
        seconds[node] = time.perf_counter() - began
        return execution

    with patch.object(Launcher, "launch", timed):
        _runner().run(pipeline)
    missing = [component.id for component in pipeline.components if component.id not in seconds]
    if missing:
        raise RuntimeError(f"the template's nodes didn't all run. Missing: {', '.join(missing)}")
    return seconds


def evaluated(root: Path) -> dict[str, float]:
    """The metrics of the run's Evaluator over all rows: `auc`, `binary_accuracy`, `example_count`.

    Raises:
        RuntimeError: Evaluator left nothing, or the model was not pushed.
    """
    folders = sorted((root / "artifacts" / "Evaluator" / "evaluation").glob("*"))
    if not folders:
        raise RuntimeError("the template's Evaluator left no evaluation: see the log above")
    if not any((root / "serving").glob("*/saved_model.pb")):
        raise RuntimeError("the template's model was not pushed: see the log above")
    result = tfma.load_eval_result(str(folders[-1]))
    overall = dict(result.slicing_metrics)[()][""][""]
    return {name: float(overall[name]["doubleValue"]) for name in ("auc", "binary_accuracy", "example_count")}
