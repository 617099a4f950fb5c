"""TFMA on columns: no model is run here, so that its metrics, its plots and our evidence speak of the same answers."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import apache_beam as beam
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.writers import eval_config_writer, metrics_plots_and_validations_writer

from components.evaluator.inference import record_batches
from pipeline.evaluation import eval_config, plots_config
from pipeline.evidence.report import Columns
from pipeline.evidence.tables import BASELINE
from pipeline.task import Task


def write(pipeline: beam.Pipeline, task: Task, columns: Columns, locations: Mapping[str, str], path: str) -> None:
    """Adds the computation of metrics by slice, and of plots over all rows, to a Beam pipeline.

    Args:
      pipeline: that the caller runs.
      task: whose metrics are wanted.
      columns: of all rows.
      locations: model's name -> where it is, for the record.
      path: folder that `tfma.load_eval_result` is to read.
    """
    baseline = BASELINE in columns.answers
    config = eval_config(task, baseline=baseline)
    places = {spec.name: location for spec, location in zip(config.model_specs, locations.values(), strict=False)}
    batches = pipeline | "Columns" >> beam.Create(record_batches(task.label, columns), reshuffle=False)
    _ = batches | "Metrics" >> tfma.ExtractEvaluateAndWriteResults(
        eval_config=config,
        output_path=path,
        writers=[
            eval_config_writer.EvalConfigWriter(path, eval_config=config, model_locations=places),
            _writer(config, path, constants.METRICS_KEY),
        ],
    )
    plots = plots_config(task, columns.target, baseline=baseline)
    _ = batches | "Plots" >> tfma.ExtractEvaluateAndWriteResults(
        eval_config=plots, output_path=path, writers=[_writer(plots, path, constants.PLOTS_KEY)]
    )


def _writer(config: tfma.EvalConfig, path: str, kind: str) -> Any:
    """Of one kind of result, where TFMA's readers look for it."""
    return metrics_plots_and_validations_writer.MetricsPlotsAndValidationsWriter(
        output_paths={kind: str(PurePosixPath(path) / kind)}, eval_config=config, output_file_format="tfrecord"
    )
