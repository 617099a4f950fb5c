"""The only wiring: one definition of the pipeline for every runner."""

from typing import Any

from google.protobuf import text_format
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.components import CsvExampleGen, Evaluator, ExampleValidator, Pusher, SchemaGen, StatisticsGen
from tfx.dsl.components.base import base_node, executor_spec
from tfx.proto import example_gen_pb2, pusher_pb2, range_config_pb2
from tfx.types import standard_artifacts

from components.baseline import LatestBlessedBaseline
from components.curated_schema import CuratedSchema
from components.data_gate import DataGate
from components.pusher import Executor as PusherExecutor
from components.trainer import Trainer
from components.transform import Transform
from pipeline import fingerprint, schema
from pipeline.config import RunConfig
from pipeline.evaluation import eval_config
from pipeline.overrides import section_of
from pipeline.task import Task

_TRANSFORM_SECTIONS = frozenset({"features", "label"})


def build_pipeline(task: Task, config: RunConfig) -> tfx.dsl.Pipeline:
    """The components of a task, wired.

    Args:
      task: with the overrides of `config` applied.
      config: roots, data, Beam options, caching.

    Returns:
      A TFX pipeline; node ids are the components' names.
    """
    examples = _example_gen(task, config)
    statistics = StatisticsGen(examples=examples.outputs["examples"])
    curated = schema.path_of(task.name)
    schema_gen = (
        CuratedSchema(text=text_format.MessageToString(schema.read(curated))).with_id("SchemaGen")
        if curated
        else SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=False)
    )
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema_gen.outputs["schema"])
    gate = DataGate(
        anomalies=validator.outputs["anomalies"],
        statistics=statistics.outputs["statistics"],
        task=task.name,
        code=fingerprint.of("components.data_gate.executor"),
    )
    transform = Transform(
        examples=examples.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        preprocessing_fn="pipeline.transform.preprocessing_fn",
        disable_statistics=True,
        disable_analyzer_cache=True,
        custom_config=_for_preprocessing(task, config),
    )
    trainer = Trainer(
        examples=transform.outputs["transformed_examples"],
        raw_examples=examples.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        run_fn="pipeline.train.run_fn",
        custom_config=_for_training(task, config),
    )
    trainer.add_upstream_node(gate)
    baseline = tfx.dsl.Resolver(
        strategy_class=LatestBlessedBaseline,
        model=tfx.dsl.Channel(type=standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
        candidate=trainer.outputs["model"],
    ).with_id("Baseline")
    evaluator = Evaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        schema=schema_gen.outputs["schema"],
        eval_config=eval_config(task),
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(config.serving))
        ),
        custom_config={"code": fingerprint.of("components.pusher.executor")},
        custom_executor_spec=executor_spec.ExecutorClassSpec(PusherExecutor),
    )
    nodes: list[base_node.BaseNode] = [
        examples, statistics, schema_gen, validator, gate, transform, trainer, baseline, evaluator, pusher,
    ]  # fmt: skip
    return tfx.dsl.Pipeline(
        pipeline_name=task.name,
        pipeline_root=str(config.artifacts),
        components=nodes,
        enable_cache=config.cache,
        metadata_connection_config=_sqlite(config),
        beam_pipeline_args=config.beam_args,
    )


def _sqlite(config: RunConfig) -> metadata_store_pb2.ConnectionConfig:
    """TFX's own function for this makes the folder, which `--plan` must not."""
    return metadata_store_pb2.ConnectionConfig(
        sqlite=metadata_store_pb2.SqliteMetadataSourceConfig(
            filename_uri=str(config.metadata),
            connection_mode=metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE,
        )
    )


def _example_gen(task: Task, config: RunConfig) -> base_node.BaseNode:
    """CsvExampleGen on a folder or one file, split by hash."""
    base, pattern = task.source.at(config.data).layout()
    span = config.span
    return CsvExampleGen(
        input_base=base,
        input_config=example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="single_split", pattern=pattern)]),
        output_config=example_gen_pb2.Output(
            split_config=example_gen_pb2.SplitConfig(
                splits=[
                    example_gen_pb2.SplitConfig.Split(name="train", hash_buckets=task.split.train),
                    example_gen_pb2.SplitConfig.Split(name="eval", hash_buckets=task.split.eval),
                ]
            )
        ),
        range_config=None
        if span is None
        else range_config_pb2.RangeConfig(
            static_range=range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
        ),
    ).with_id("ExampleGen")


def _for_preprocessing(task: Task, config: RunConfig) -> dict[str, Any]:
    """What `preprocessing_fn` is told: only what it depends on, so that an edit of the model leaves its cache alone."""
    kinds = {type(part).__module__ for part in (*task.features, task.label)}
    return {
        "task": task.name,
        "overrides": [o for o in config.overrides if section_of(o) in _TRANSFORM_SECTIONS],
        "code": fingerprint.of(
            "pipeline.transform", "components.transform.executor", *sorted(kinds), settings=(task.features, task.label)
        ),
    }


def _for_training(task: Task, config: RunConfig) -> dict[str, Any]:
    """What `run_fn` is told."""
    return {
        "task": task.name,
        "overrides": list(config.overrides),
        "code": fingerprint.of(
            "pipeline.train",
            type(task.model).__module__,
            settings=(task.features, task.label, task.model, task.training),
        ),
    }
