"""The candidate asked once more, on rows of the split that measured it: for what TFMA does not keep of single rows."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.utils import path_utils
from tfx_bsl.coders import example_coder

from components.evaluator import inference
from pipeline.export import COLUMNS_SIGNATURE, LABELS_SIGNATURE, as_written
from pipeline.features.base import INT_MISSING
from pipeline.labels import Label
from pipeline.report.sources import Run
from serving.session import SessionModel

MOST = 20_000
_SECONDS = 1.0
_FIRST, _AT_ONCE = 256, 8192
_KINDS: dict[str, tuple[int, Any]] = {
    "float32": (schema_pb2.FLOAT, np.nan),
    "int64": (schema_pb2.INT, INT_MISSING),
    "object": (schema_pb2.BYTES, b""),
}
"""Type of a model's input -> of the column, and what stands for a missing value."""


@dataclass(frozen=True)
class Asked:
    """A loaded model and its answers; to be closed.

    Attributes:
      model: the candidate.
      label: the task's.
      columns: raw feature -> [rows]: float32 with NaN, int64 with INT_MISSING, bytes with b"" where missing.
      target: [rows, *shape], NaN where unknown.
      answers: the label's main output, [rows] or [rows, classes].
      seconds_a_row: that an answer takes.
    """

    model: SessionModel
    label: Label
    columns: Mapping[str, np.ndarray]
    target: np.ndarray
    answers: np.ndarray
    seconds_a_row: float

    @property
    def rows(self) -> int:
        """How many were asked."""
        return len(self.target)

    def answer(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the model says to raw columns; any number of threads may ask at once."""
        return answers(self.model, self.label, columns)

    def close(self) -> None:
        """Frees the model."""
        self.model.close()


def ask(run: Run, label: Label, split: str, most: int = MOST, seconds: float = _SECONDS) -> Asked | None:
    """Asks the candidate on the first rows of a split.

    Args:
      run: whose model and rows are meant.
      label: the task's.
      split: that measured the model.
      most: rows.
      seconds: after the first few rows, when no further ones are asked.

    Returns:
      None where the model or the rows are not there any more.

    Raises:
      ServingError: the model does not load or does not answer.
    """
    model_uri, examples = run.uri("Trainer", "model"), run.uri("ExampleGen", "examples")
    files = sorted(str(file) for file in (examples / f"Split-{split}").glob("*")) if examples else []
    path = path_utils.serving_model_path(str(model_uri)) if model_uri else ""
    if not files or not path or not Path(path).exists():
        return None
    return of_files(path, label, files, most, seconds)


def of_files(
    path: str, label: Label, files: Sequence[str], most: int = MOST, seconds: float = _SECONDS
) -> Asked | None:
    """`ask`, of a SavedModel and gzipped TFRecord files of raw rows; None where these are empty."""
    model = SessionModel(path, as_written())
    columns: list[dict[str, np.ndarray]] = []
    target: list[np.ndarray] = []
    given: list[np.ndarray] = []
    took, ends = math.inf, math.inf
    for part in _parts(files, most):
        columns.append(_columns(model, part))
        began = time.perf_counter()
        given.append(answers(model, label, columns[-1]))
        took = min(took, (time.perf_counter() - began) / len(part))
        target.append(model.run(LABELS_SIGNATURE, {"examples": part}, (label.transformed,))[label.transformed])
        if time.perf_counter() > ends:
            break
        ends = min(ends, time.perf_counter() + seconds)  # Not counting the first rows, for which the model gets ready.
    if not columns:
        model.close()
        return None
    together = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    return Asked(model, label, together, np.concatenate(target), np.concatenate(given), took)


def answers(model: SessionModel, label: Label, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The label's main output for raw columns, [rows] or [rows, classes]."""
    rows = len(next(iter(columns.values())))
    parts = []
    for start in range(0, rows, _AT_ONCE):
        inputs = {name: values[start : start + _AT_ONCE] for name, values in columns.items()}
        parts.append(model.run(COLUMNS_SIGNATURE, inputs, (label.output,))[label.output])
    return np.concatenate(parts)


def _parts(files: Sequence[str], most: int) -> Iterator[np.ndarray]:
    """Rows: few at first, as a model may be slow and takes its time to get ready, then more."""
    size = _FIRST
    for batch in (batch for file in sorted(files) for batch in inference.batches(file)):
        start = 0
        while start < len(batch) and most > 0:
            part = batch[start : start + min(size, most)]
            yield part
            start, most, size = start + len(part), most - len(part), min(4 * size, _AT_ONCE)
        if most <= 0:
            return


def _columns(model: SessionModel, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The raw columns that the model reads."""
    inputs = model.signatures[COLUMNS_SIGNATURE].inputs
    kinds = {name: _KINDS[tensor.numpy_dtype.name] for name, tensor in inputs.items()}
    schema = schema_pb2.Schema(feature=[schema_pb2.Feature(name=name, type=kind) for name, (kind, _) in kinds.items()])
    batch = example_coder.ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(rows.tolist())
    return {
        name: dense(batch.column(batch.schema.get_field_index(name)), empty, inputs[name].numpy_dtype)
        for name, (_, empty) in kinds.items()
    }


def dense(column: pa.Array, empty: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """A column of lists as one value a row: the first, or `empty` where there is none."""
    found = np.full(len(column), empty, dtype)
    if pa.types.is_null(column.type):
        return found
    lengths = np.asarray(column.value_lengths().fill_null(0))
    starts = np.cumsum(lengths) - lengths
    has = lengths > 0
    found[has] = column.flatten().to_numpy(zero_copy_only=False)[starts[has]]
    return found


def told(value: Any) -> Any:
    """A raw value as JSON has it: a number, a text, or None where it is missing."""
    if isinstance(value, bytes):
        return value.decode(errors="replace") or None
    if isinstance(value, np.floating | float):
        return float(value) if np.isfinite(value) else None
    return None if int(value) == INT_MISSING else int(value)
