"""TFMA on columns, by Beam: no model is run here, so that its metrics, its plots and our evidence speak of the same answers.

TFMA takes the columns apart into rows, and each row through each of its slices. `components.evaluator.results` writes the same
without Beam.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.writers import eval_config_writer, metrics_plots_and_validations_writer

from components.evaluator.results import locations_of
from pipeline.evaluation import answer_column, eval_config, plots_config
from pipeline.evidence.cuts import Values
from pipeline.evidence.report import Columns
from pipeline.evidence.tables import BASELINE
from pipeline.labels import Label
from pipeline.task import Task

_BATCH = 8192


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
    places = locations_of(config, locations)
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


def record_batches(label: Label, columns: Columns) -> list[pa.RecordBatch]:
    """The columns for TFMA, in batches: see `pipeline.evaluation.eval_config` for their names."""
    lists: Mapping[str, pa.Array] = {
        label.transformed: _lists(columns.target),
        **{answer_column(label, model): _lists(values) for model, values in columns.answers.items()},
        **{
            name: pa.array([None if text is None else [text] for text in _texts(values)], pa.list_(pa.string()))
            for name, values in columns.slices.items()
        },
    }
    table = pa.table(dict(lists))
    return [batch for batch in table.to_batches(max_chunksize=_BATCH) if batch.num_rows]


def _lists(values: np.ndarray) -> pa.Array:
    flat = values.reshape(len(values), -1)
    width = flat.shape[1]
    offsets = pa.array(np.arange(len(flat) + 1) * width, pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(flat.ravel()))


def _texts(values: Values) -> list[str | None]:
    return list(pa.array(np.asarray(values, object), pa.string(), from_pandas=True).to_pylist())
