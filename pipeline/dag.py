"""The only wiring: one definition of the pipeline for every runner."""

import dataclasses
import importlib.metadata
import json
from typing import Any

import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from ml_metadata.proto import metadata_store_pb2
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.component import SchemaGen
from tfx.dsl.components.base import base_node
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import BaseChannel, Channel, standard_artifacts

from components.artifacts import DataVerdict
from components.baseline import ServedBaseline
from components.bulk_inferrer import BulkInferrer
from components.curated_schema import CuratedSchema
from components.data_checks import DataChecks
from components.data_gate import DataGate
from components.evaluator import Evaluator
from components.example_gen import ExampleGen
from components.lite import LiteConverter
from components.pusher import Pusher
from components.reference_statistics import PreviousStatistics, ServedStatistics
from components.serving_check import ServingCheck
from components.statistics_gen import StatisticsGen
from components.trainer import Trainer
from components.transform import Transform
from components.tuner import LatestTuned, Tuner
from components.warm_start import EarlierModel
from pipeline import fingerprint, schema, sources
from pipeline.beam import arguments
from pipeline.checks import waivers_today
from pipeline.config import RunConfig
from pipeline.evaluation import eval_config
from pipeline.ingest import files, images, read, selection
from pipeline.overrides import section_of
from pipeline.splits import HashSplit
from pipeline.task import Task
from pipeline.train.fit import check as check_training

_INGEST_SECTIONS = frozenset({"split", "rows"})
_CHECKS_SECTIONS = frozenset({"features", "label", "split", "rows", "checks", "evaluation"})
_TRANSFORM_SECTIONS = frozenset({"features", "label"})
_LITE_SECTIONS = frozenset({"features", "label", "lite"})
_EVALUATION_SECTIONS = frozenset({"features", "label", "evaluation"})
_PREDICT_SECTIONS = frozenset({"features", "label", "rows"})
_NOT_OF_TRAINING = frozenset({"tuning", "lite", "checks", "evaluation", "serving", "push"})
_QUANTILE_BUCKETS = 50
"""Of each numeric column's statistics: distances between numbers are measured on them."""


def build_pipeline(task: Task, config: RunConfig) -> Pipeline:
    """The components of a task, wired.

    Args:
      task: with the overrides of `config` applied.
      config: roots, data, Beam options, caching.

    Returns:
      A TFX pipeline; node ids are the components' names.
    """
    curated = schema.path_of(task.name)
    reviewed = (
        CuratedSchema(
            text=text_format.MessageToString(schema.with_images(schema.read(curated), task.features))
        ).with_id("SchemaGen")
        if curated
        else None
    )
    known = reviewed.outputs["schema"] if reviewed else None
    examples = _example_gen(task, config, known)
    quarantine = examples.outputs.get("quarantine")
    statistics = StatisticsGen(
        examples=examples.outputs["examples"],
        schema=known,
        stats_options=tfdv.StatsOptions(
            num_quantiles_histogram_buckets=_QUANTILE_BUCKETS,
            schema=None if reviewed else schema.of_images(task.features),
        ),
        code=fingerprint.of("components.statistics_gen.executor"),
        known_spans=config.named(config.analyses / "statistics"),
    )
    schema_gen = reviewed or SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=False)
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema_gen.outputs["schema"])
    previous = Resolver(
        strategy_class=PreviousStatistics,
        statistics=Channel(type=standard_artifacts.ExampleStatistics),
        verdicts=Channel(type=DataVerdict),
        present=statistics.outputs["statistics"],
        examples=examples.outputs["examples"],
    ).with_id("PreviousData")
    served = Resolver(
        strategy_class=ServedStatistics,
        config={"watched": config.named(config.serving)},
        statistics=Channel(type=standard_artifacts.ExampleStatistics),
        pushed=Channel(type=standard_artifacts.PushedModel),
        present=statistics.outputs["statistics"],
    ).with_id("ServedData")
    checks = DataChecks(
        examples=examples.outputs["examples"],
        statistics=statistics.outputs["statistics"],
        anomalies=validator.outputs["anomalies"],
        schema=schema_gen.outputs["schema"],
        quarantine=quarantine,
        previous_statistics=previous.outputs["statistics"],
        served_statistics=served.outputs["statistics"],
        **_for_checks(task, config),
    )
    gate = DataGate(
        findings=checks.outputs["findings"],
        quarantine=quarantine,
        statistics=statistics.outputs["statistics"],
        examples=examples.outputs["examples"],
        task=task.name,
        waivers_today=waivers_today(task.checks),
        root=config.root,
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
    tuned, values = _tuned(task, config, transform)
    earlier = _earlier_model(task)
    trainer = Trainer(
        examples=transform.outputs["transformed_examples"],
        raw_examples=examples.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        run_fn="pipeline.train.run.run_fn",
        custom_config=_for_training(task, config),
        base_model=earlier.outputs["model"] if earlier else None,
        hyperparameters=values,
    )
    trainer.add_upstream_node(gate)
    if isinstance(tuned, Tuner):
        tuned.add_upstream_node(gate)
    baseline = Resolver(
        strategy_class=ServedBaseline,
        config={"watched": config.named(config.serving)},
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
        candidate=trainer.outputs["model"],
    ).with_id("Baseline")
    evaluator = Evaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        schema=schema_gen.outputs["schema"],
        split=_measuring(task),
        eval_config=eval_config(task),
        **_for_evaluating(task, config),
    )
    lite = None
    if task.lite.formats:
        lite = LiteConverter(
            model=trainer.outputs["model"],
            examples=examples.outputs["examples"],
            transform_graph=transform.outputs["transform_graph"],
            **_for_lite(task, config),
        ).with_id("Lite")
    serving_check = ServingCheck(
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        **_for_serving_check(task, config),
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["blessing"],
        baseline=baseline.outputs["model"],
        lite=lite.outputs["lite"] if lite else None,
        folder=config.named(config.serving),
        push=task.push,
        signature_change=task.serving.signature_change,
        forced=config.force,
        custom_config={"code": fingerprint.of("components.pusher.executor")},
    )
    inferrer = None
    if config.predict:
        inferrer = BulkInferrer(
            model=trainer.outputs["model"],
            model_blessing=evaluator.outputs["blessing"],
            pushed_model=pusher.outputs["pushed_model"],
            **_for_predicting(task, config, config.predict),
        )
    nodes: list[base_node.BaseNode] = [
        schema_gen, examples, statistics, validator, previous, served, checks, gate,
        transform, *(node for node in (tuned, earlier) if node), trainer, baseline, evaluator,
        *([lite] if lite else []), serving_check, pusher,
        *([inferrer] if inferrer else []),
    ]  # fmt: skip
    beam = arguments.by_node(task, config)
    for node in nodes:
        if isinstance(node, BaseBeamComponent):
            node.with_beam_pipeline_args(beam[node.id])
    return Pipeline(
        pipeline_name=task.name,
        pipeline_root=str(config.artifacts),
        components=nodes,
        enable_cache=config.cache,
        metadata_connection_config=_sqlite(config),
    )


def _sqlite(config: RunConfig) -> metadata_store_pb2.ConnectionConfig:
    """TFX's own function for this makes the folder, which `--plan` must not."""
    return metadata_store_pb2.ConnectionConfig(
        sqlite=metadata_store_pb2.SqliteMetadataSourceConfig(
            filename_uri=str(config.metadata),
            connection_mode=metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE,
        )
    )


def _example_gen(task: Task, config: RunConfig, known: BaseChannel | None) -> base_node.BaseNode:
    """The task's rows; those of a query by TFX's own component."""
    made = config.only_structure and isinstance(task.source, sources.Prepared) and not config.data
    source = sources.Parquet(task.source.path) if made else task.source.at(config.data)
    if isinstance(source, sources.BigQuery):
        return _query_gen(task, source, config)
    base, patterns = selection.patterns(source, task.split)
    return ExampleGen(
        input_base=base,
        patterns=patterns,
        split_names=task.split.names,
        schema=known,
        span=config.span,
        window=config.window,
        settings={
            "task": task.name,
            "overrides": [o for o in config.overrides if section_of(o) in _INGEST_SECTIONS],
            "source": sources.settings(source),
            "needed": dict(task.columns),
            "images": [dataclasses.asdict(image) for image in images.encoded(task.features)],
            "code": fingerprint.of(
                "components.example_gen.executor", read.module_of(source), settings=(task.split, task.rows)
            ),
        },
    ).with_id("ExampleGen")


def _query_gen(task: Task, source: sources.BigQuery, config: RunConfig) -> base_node.BaseNode:
    """TFX's own component: BigQuery's columns have types, so that there is nothing to quarantine."""
    from tfx.extensions.google_cloud_big_query.example_gen.component import BigQueryExampleGen

    by = task.split.by if isinstance(task.split, HashSplit) else ()
    parts = ((name, getattr(task.split, name)) for name in task.split.names)
    splits = [example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=buckets) for name, buckets in parts]
    span = config.span
    return BigQueryExampleGen(
        query=source.path,
        output_config=example_gen_pb2.Output(
            split_config=example_gen_pb2.SplitConfig(splits=splits, partition_feature_name=by[0] if by else None)
        ),
        range_config=None
        if span is None
        else range_config_pb2.RangeConfig(
            static_range=range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
        ),
    ).with_id("ExampleGen")


def _for_checks(task: Task, config: RunConfig) -> dict[str, str]:
    """What the checks are told: what they depend on, and the state of the serving log."""
    return {
        "task": task.name,
        "overrides": json.dumps([o for o in config.overrides if section_of(o) in _CHECKS_SECTIONS]),
        "serving_log": _files(config.serving_log, config) if config.serving_log else "",
        "code": fingerprint.of(
            "components.data_checks.executor",
            settings=(
                *(task.features, task.label, task.split, task.rows, task.evaluation.crosses),
                dataclasses.replace(task.checks, waivers=()),
            ),
        ),
    }


def _files(path: str, config: RunConfig) -> str:
    """A path and the state of its files, for a cache key."""
    found = [] if config.only_structure else [(file, *files.stat(file)) for file in files.list_files(path)]
    return json.dumps({"path": path, "fingerprint": found})


def _measuring(task: Task) -> str:
    """The split that measures the model."""
    return "test" if "test" in task.split.names else "eval"


def _for_evaluating(task: Task, config: RunConfig) -> dict[str, str]:
    """What the evaluator is told: what is judged by, what was served, and whether a gate may be passed over."""
    kinds = {type(part).__module__ for part in (*task.features, task.label)}
    return {
        "task": task.name,
        "overrides": json.dumps([o for o in config.overrides if section_of(o) in _EVALUATION_SECTIONS]),
        "watched": config.named(config.serving),
        "force": config.force or "",
        "code": fingerprint.of("components.evaluator.executor", *sorted(kinds), settings=(task.label, task.evaluation)),
    }


def _for_lite(task: Task, config: RunConfig) -> dict[str, str]:
    """What the converter is told: beside the model and the rows, what it depends on."""
    kinds = {type(part).__module__ for part in (*task.features, task.label)}
    runtime = importlib.metadata.version("ai-edge-litert")
    return {
        "task": task.name,
        "overrides": json.dumps([o for o in config.overrides if section_of(o) in _LITE_SECTIONS]),
        "split": _measuring(task),
        "code": fingerprint.of(
            "components.lite.executor", *sorted(kinds), settings=(task.features, task.label, task.lite, runtime)
        ),
    }


def _for_serving_check(task: Task, config: RunConfig) -> dict[str, str]:
    """What the check is told: its rules, and what its result depends on."""
    return {
        "task": task.name,
        "overrides": json.dumps([o for o in config.overrides if section_of(o) == "serving"]),
        "code": fingerprint.of("components.serving_check.executor", "serving.__main__", settings=task.serving),
    }


def _for_predicting(task: Task, config: RunConfig, data: str) -> dict[str, str]:
    """What the inferrer is told, with the state of its files."""
    return {
        "task": task.name,
        "overrides": json.dumps([o for o in config.overrides if section_of(o) in _PREDICT_SECTIONS]),
        "data": _files(data, config),
        "out": config.predict_out or "",
        "code": fingerprint.of("components.bulk_inferrer.executor", settings=(task.features, task.label)),
    }


def _for_preprocessing(task: Task, config: RunConfig) -> dict[str, Any]:
    """What `preprocessing_fn` is told: only what it depends on, so that an edit of the model leaves its cache alone."""
    kinds = {type(part).__module__ for part in (*task.features, task.label)}
    return {
        "task": task.name,
        "overrides": [o for o in config.overrides if section_of(o) in _TRANSFORM_SECTIONS],
        "analyses": config.named(config.analyses),
        "code": fingerprint.of(
            "pipeline.transform", "components.transform.executor", *sorted(kinds), settings=(task.features, task.label)
        ),
    }


def _tuned(task: Task, config: RunConfig, transform: Transform) -> tuple[base_node.BaseNode | None, BaseChannel | None]:
    """What gives the Trainer values of settings, and these: a search, what an earlier one found, or nothing."""
    if config.tune:
        tuner = Tuner(
            examples=transform.outputs["transformed_examples"],
            transform_graph=transform.outputs["transform_graph"],
            tuner_fn="components.tuner.search.tuner_fn",
            custom_config=_for_tuning(task, config),
        )
        return tuner, tuner.outputs["best_hyperparameters"]
    if task.tuning is None or not config.tuned:
        return None, None
    found = Resolver(
        strategy_class=LatestTuned, hyperparameters=Channel(type=standard_artifacts.HyperParameters)
    ).with_id("Tuned")
    return found, found.outputs["hyperparameters"]


def _earlier_model(task: Task) -> base_node.BaseNode | None:
    """What finds the model that the training begins with, if it is to."""
    if task.training.warm_start is None:
        return None
    return Resolver(
        strategy_class=EarlierModel,
        config={"run": task.training.warm_start},
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("WarmStart")


def _for_tuning(task: Task, config: RunConfig) -> dict[str, Any]:
    """What `tuner_fn` is told; `code` is what a trial's result depends on, beside its settings and the data."""
    training = _for_training(task, config)
    return {
        **training,
        "overrides": [o for o in config.overrides if section_of(o) not in _NOT_OF_TRAINING - {"tuning"}],
        "search": repr(task.tuning),
        "searching": fingerprint.of("components.tuner.search"),
        "folder": config.named(config.home / "tuning"),
    }


def _for_training(task: Task, config: RunConfig) -> dict[str, Any]:
    """What `run_fn` is told."""
    check_training(task)
    return {
        "task": task.name,
        "overrides": [o for o in config.overrides if section_of(o) not in _NOT_OF_TRAINING],
        "checkpoints": config.named(config.training),
        "code": fingerprint.of(
            "pipeline.train.run",
            *sorted({type(part).__module__ for part in (task.model, *task.features)}),
            settings=(task.features, task.label, task.model, task.model.origin, task.training),
        ),
    }
