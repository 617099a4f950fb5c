"""Converts the model into each format, runs the files on real rows beside the full model, and writes what it found.

The artifact holds `lite/<format>.tflite`, what may be pushed; `failed/<format>.tflite`, what broke a rule; and
`report.json`. It is blessed where every format that may not fail has passed.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components.artifacts import LiteModel
from components.lite import parity
from components.lite.convert import CannotConvert, Part, convertible
from pipeline import tasks
from pipeline.errors import DataBlocked
from pipeline.export import COLUMNS_SIGNATURE, LABELS_SIGNATURE, SERVING_SIGNATURE, model_inputs
from pipeline.lite import Format
from pipeline.task import Task
from pipeline.transform_graph import EMPTY, TransformGraph

REPORT = "report.json"
_FAILED = "failed"
_BATCH = 256
_SHARDS_AT_ONCE = 16


class Executor(base_executor.BaseExecutor):
    """Writes the files and the report; raises only where there is no row to compare on."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Converts, compares, judges.

        Raises:
          DataBlocked: the split that measures the model has no row.
        """
        task = tasks.load(exec_properties["task"], json.loads(exec_properties["overrides"]))
        path = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        graph = tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict["transform_graph"]))
        split = exec_properties["split"]
        train, measuring = (artifact_utils.get_split_uris(input_dict["examples"], name) for name in ("train", split))
        made = artifact_utils.get_single_instance(output_dict["lite"])
        report, contents = convert(task, path, TransformGraph(graph), train, measuring)
        for kind, content in contents.items():
            folder = LiteModel.FILES if report["formats"][kind]["passed"] else _FAILED
            fileio.makedirs(f"{made.uri}/{folder}")
            with fileio.open(f"{made.uri}/{folder}/{kind}.tflite", "wb") as file:
                file.write(content)
        report["split"] = split
        io_utils.write_string_file(f"{made.uri}/{REPORT}", json.dumps(report, indent=1) + "\n")
        made.set_int_custom_property(LiteModel.BLESSED, int(all(gate["passed"] for gate in gates(report))))


def gates(report: dict[str, Any]) -> list[dict[str, Any]]:
    """`{name, passed, reason}` of each format that may not fail."""
    return [
        {"name": f"lite {kind}", "passed": entry["passed"], "reason": entry["reason"]}
        for kind, entry in report["formats"].items()
        if not entry["may_fail"]
    ]


def convert(
    task: Task, path: str, graph: TransformGraph, train: list[str], measuring: list[str]
) -> tuple[dict[str, Any], dict[Format, bytes]]:
    """What a report says, and the files.

    Args:
      task: with its `lite`.
      path: the full model, a SavedModel.
      graph: the transform graph.
      train: folders or files of raw rows, to calibrate with.
      measuring: folders or files of raw rows, to compare on.

    Raises:
      DataBlocked: there is no row to compare on.
    """
    rules, label = task.lite, task.label
    loaded = tf.saved_model.load(path)
    report: dict[str, Any] = {"output": label.output, "formats": {}}
    try:
        part = convertible(loaded)
    except CannotConvert as error:
        report |= {"part": None, "not_converted": str(error)}
        for kind in rules.formats:
            report["formats"][kind] = _entry(task, kind, passed=False, reason=f"lite {kind}: {error}")
        return report, {}
    report |= {
        "part": part.title,
        "signature": part.signature,
        "not_converted": "; ".join(part.refusals),
        "inputs": {name: {"dtype": spec.dtype.name, "shape": list(spec.shape)} for name, spec in part.inputs.items()},
    }
    if part.refusals:
        logging.warning("TF Lite holds %s: %s", part.title, report["not_converted"])
    calibration = []
    if "int8" in rules.formats:
        calibration = _calibration(task, part, graph, train)
        report["calibration_rows"] = len(calibration)
        if len(calibration) < rules.calibration_rows:
            logging.warning("lite: %d rows asked for calibration, %d there", rules.calibration_rows, len(calibration))
    contents: dict[Format, bytes] = {}
    for kind in rules.formats:
        try:
            contents[kind] = part.convert(kind, calibration)
        except CannotConvert as error:
            report["formats"][kind] = _entry(task, kind, passed=False, reason=f"lite {kind}: {part.title} {error}")
    report["full"], found = compare(task, part, graph, contents, measuring)
    rows = report["full"]["rows"]
    for kind in contents.keys() - found.keys():
        report["formats"][kind] = _entry(task, kind, passed=False, reason=f"lite {kind}: LiteRT can't run the file")
    report["full"]["bytes"] = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    for kind, figures in found.items():
        said = parity.broken(rules, kind, figures, report["full"]["metrics"])
        reason = f"lite {kind}: " + (
            "; ".join(said) if said else f"differs from the full model by at most {figures['max_difference']:.4g}"
        )
        entry = _entry(task, kind, passed=not said, reason=f"{reason}, over {rows:,} rows")
        report["formats"][kind] = entry | figures | {"bytes": len(contents[kind])}
    for entry in report["formats"].values():
        logging.log(logging.INFO if entry["passed"] else logging.WARNING, "%s", entry["reason"])
    report["formats"] = {kind: report["formats"][kind] for kind in rules.formats}
    return report, contents


def _entry(task: Task, kind: Format, *, passed: bool, reason: str) -> dict[str, Any]:
    return {"passed": passed, "reason": reason, "may_fail": kind in task.lite.may_fail}


def compare(
    task: Task, part: Part, graph: TransformGraph, contents: dict[Format, bytes], measuring: list[str]
) -> tuple[dict[str, Any], dict[Format, dict[str, Any]]]:
    """The full model's figures and those of each file that runs, on the same rows.

    The full model answers to the raw rows, by the signature that is served; the files to what `part` reads of them.

    Raises:
      DataBlocked: there is no row.
    """
    output = task.label.output
    served, labels = part.loaded.signatures[SERVING_SIGNATURE], part.loaded.signatures[LABELS_SIGNATURE]
    same_part = part.loaded.signatures[part.signature]

    def own(inputs: parity.Rows) -> np.ndarray:
        return np.asarray(same_part(**{name: tf.constant(values) for name, values in inputs.items()})[output])

    runs = {kind: parity.Interpreted(content, output) for kind, content in contents.items()}
    full: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    lite: dict[Format, list[np.ndarray]] = {kind: [] for kind in runs}
    times: dict[str, float] = {}
    for batch in records(measuring, task.lite.evaluation_rows).batch(_BATCH):
        inputs = read(task, part, graph, batch)
        if not times:
            for kind, run in list(runs.items()):
                try:
                    times[kind] = parity.milliseconds(run, inputs)
                except (RuntimeError, ValueError):
                    logging.exception("lite %s: LiteRT can't run the file", kind)
                    del runs[kind]
            times["full"] = parity.milliseconds(own, inputs)
        full.append(served(examples=batch)[output].numpy())
        targets.append(labels(examples=batch)[task.label.transformed].numpy())
        for kind, run in runs.items():
            lite[kind].append(run(inputs))
    if not full:
        raise DataBlocked(
            "The split that measures the model has no row to compare TF Lite on. "
            "Next: check the split of the task and the size of the data."
        )
    answers, target = np.concatenate(full), np.concatenate(targets)
    found = {
        kind: parity.compared(task.label, target, answers, np.concatenate(batches)) | {"milliseconds": times[kind]}
        for kind, batches in lite.items()
        if kind in runs
    }
    metrics = parity.measured(task.label, target, answers)
    return {"rows": len(answers), "metrics": metrics, "milliseconds": times["full"]}, found


def _calibration(task: Task, part: Part, graph: TransformGraph, train: list[str]) -> list[dict[str, np.ndarray]]:
    """Rows of the train split, one by one, as the part reads them."""
    rows = []
    for batch in records(train, task.lite.calibration_rows).batch(_BATCH):
        inputs = read(task, part, graph, batch)
        rows += [{name: values[i : i + 1] for name, values in inputs.items()} for i in range(len(batch))]
    return rows


def records(places: list[str], count: int) -> tf.data.Dataset:
    """Serialised raw rows, from all shards alike: they may be in the order of time."""
    files = sorted(file for place in places for file in tf.io.gfile.glob([place, io_utils.all_files_pattern(place)]))
    shards = tf.data.Dataset.from_tensor_slices([file for file in files if not tf.io.gfile.isdir(file)])
    return shards.interleave(
        lambda shard: tf.data.TFRecordDataset(shard, compression_type="GZIP"), cycle_length=_SHARDS_AT_ONCE
    ).take(count)


def read(task: Task, part: Part, graph: TransformGraph, examples: tf.Tensor) -> dict[str, np.ndarray]:
    """What a part of the model reads of raw rows, by the names of its inputs."""
    spec = {feature.name: graph.spec[feature.name] for feature in task.features}
    raw = tf.io.parse_example(examples, spec)
    if part.signature == COLUMNS_SIGNATURE:
        return {name: _column(raw[name], part.inputs[name]) for name in part.inputs}
    return {name: values.numpy() for name, values in model_inputs(graph, task.features, raw).items()}


def _column(values: Any, spec: tf.TensorSpec) -> np.ndarray:
    """A raw column as a client sends it, with what stands for a missing value."""
    if isinstance(values, tf.SparseTensor):
        shape = [values.dense_shape[0], 1]
        values = tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, shape), EMPTY[spec.dtype])
    return np.asarray(tf.reshape(values, [-1, *spec.shape[1:]]).numpy())
