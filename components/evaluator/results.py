"""TFMA's files of results, of what was measured on columns: what TFMA itself computes row by row, by Beam.

The metrics are those of `pipeline.evidence`, but for one that TFMA defines in another way, and the tests hold each against
TFMA's. TFMA says which keys there are, derives plots from counts, and turns both into its records, so that its readers find
the same.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import config_util
from tensorflow_model_analysis.writers import eval_config_writer
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from components.evaluator.plots import counted
from pipeline.class_metrics import Tally
from pipeline.evaluation import eval_config, model_name, plots_config
from pipeline.evidence.class_measures import Decisions
from pipeline.evidence.cuts import Cut
from pipeline.evidence.report import Columns, Found
from pipeline.evidence.tables import BASELINE, CANDIDATE
from pipeline.labels import Classes
from pipeline.task import Task

_SHARD = "-00000-of-00001.tfrecord"
_COLUMNS = "<user provided PCollection>"
_UNKNOWN = "<unknown>"


def write(task: Task, columns: Columns, found: Found, locations: Mapping[str, str], path: str) -> None:
    """Writes metrics by slice, plots of all rows, and what was computed.

    Args:
      task: whose evaluation it is.
      columns: of all rows.
      found: what was measured of them.
      locations: model's name -> where it is, for the record.
      path: folder that `tfma.load_eval_result` is to read.
    """
    config = eval_config(task, baseline=BASELINE in columns.answers)
    Path(path).mkdir(parents=True, exist_ok=True)
    run = config_pb2.EvalRun(
        eval_config=config,
        version=tfma.version.VERSION,
        data_location=_COLUMNS,
        file_format=_UNKNOWN,
        model_locations=locations_of(config, locations),
    )
    name = f"{eval_config_writer.EVAL_CONFIG_FILE}.{eval_config_writer.EVAL_CONFIG_FILE_FORMAT}"
    Path(path, name).write_text(json_format.MessageToJson(run) + "\n", "utf-8")
    with tf.io.TFRecordWriter(f"{path}/{constants.METRICS_KEY}{_SHARD}") as records:
        for measured in _metrics(task, columns, found, config):
            records.write(writer.convert_slice_metrics_to_proto(measured, None).SerializeToString())
    with tf.io.TFRecordWriter(f"{path}/{constants.PLOTS_KEY}{_SHARD}") as records:
        drawn = _plots(task, columns)
        records.write(writer.convert_slice_plots_to_proto(((), drawn), None).SerializeToString())


def locations_of(config: tfma.EvalConfig, locations: Mapping[str, str]) -> dict[str, str]:
    """Where models are, by the names that TFMA's configuration gives them."""
    return {spec.name: place for spec, place in zip(config.model_specs, locations.values(), strict=False)}


def _computations(config: tfma.EvalConfig) -> list[Any]:
    """What TFMA would compute, for each of the models."""
    complete = config_util.update_eval_config_with_defaults(config, has_baseline=len(config.model_specs) > 1)
    return list(metric_specs.to_computations(complete.metrics_specs, eval_config=complete))


def _metrics(task: Task, columns: Columns, found: Found, config: tfma.EvalConfig) -> Iterator[tuple[Any, Any]]:
    """Each slice: TFMA's key of it, and its metrics by TFMA's keys."""
    keys = dict.fromkeys(
        key for computation in _computations(config) for key in computation.keys if not key.name.startswith("_")
    )
    models = {model_name(model, baseline=BASELINE in columns.answers): model for model in columns.answers}
    for cut in found.cuts:
        by_class = _by_class(task.label, columns, cut) if isinstance(task.label, Classes) else {}
        values = {}
        for key in keys:
            model = models[key.model_name]
            if key.sub_key is not None:
                values[key] = float(by_class[model][key.name][key.sub_key.class_id])
            elif key.name == "binary_cross_entropy":
                values[key] = _cross_entropy(columns, cut, model)
            else:
                measured = found.table[cut.name, key.name]
                values[key] = measured.candidate if model == CANDIDATE else measured.baseline
        if BASELINE in columns.answers:
            own = [key for key in keys if models[key.model_name] == CANDIDATE]
            base = model_name(BASELINE, baseline=True)
            values |= {key.make_diff_key(): values[key] - values[key.make_baseline_key(base)] for key in own}
        yield tuple(zip(cut.cross, cut.values, strict=True)), values


def _cross_entropy(columns: Columns, cut: Cut, model: str) -> float:
    """TFMA's: without the bound that Keras and the evidence have, so that one row that is sure and wrong makes it infinite.

    A row whose answer is exactly 0 or 1 and right makes it NaN.
    """
    chosen = slice(None) if cut.rows is None else cut.rows
    target, answers = columns.target[chosen].reshape(-1), columns.answers[model][chosen].reshape(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = -(target * np.log(answers)) - (1 - target) * np.log(1 - answers)
    return float(losses.sum(dtype=np.float64) / len(losses))


def _by_class(label: Classes, columns: Columns, cut: Cut) -> dict[str, dict[str, np.ndarray]]:
    """Model -> what is known of each class in a slice, of the rows whose label is known."""
    chosen = slice(None) if cut.rows is None else cut.rows
    target = columns.target[chosen]
    known = np.isfinite(target).all(axis=1)
    found = {}
    for model, answers in columns.answers.items():
        counts = Decisions(label, target[known], answers[chosen][known]).counts()
        found[model] = Tally(0.0, 0.0, 0.0, 0.0, counts, np.zeros(counts.shape[1])).by_class()
    return found


def _plots(task: Task, columns: Columns) -> dict[Any, Any]:
    """The plots of all rows by TFMA's keys, derived by TFMA from counts."""
    baseline = BASELINE in columns.answers
    config = plots_config(task, columns.target, baseline=baseline)
    models = {model_name(model, baseline=baseline): model for model in columns.answers}
    found: dict[Any, Any] = {}
    for computation in _computations(config):
        if isinstance(computation, metric_types.DerivedMetricComputation):
            found |= computation.result(found)
        elif computation.keys[0] not in found:
            (key,) = computation.keys
            answers = columns.answers[models[key.model_name]]
            found[key] = counted(task.label, config.metrics_specs[0], columns.target, answers)
    return {
        key: plot
        for key, plot in found.items()
        if isinstance(key, metric_types.PlotKey) and not key.name.startswith("_")
    }
