"""The rows' answers from the columns that ExampleGen left beside them: no tf.Example is read or parsed, a third of the time.

The `columns` signature answers as the serving one does, which the Trainer's proof and our tests hold it to, where a column
says the same as the tf.Examples. Where it may not, or a model is not one of ours, nothing is answered here: whoever asks
goes by the tf.Examples, which tell what is wrong.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from tfx_bsl.coders import example_coder

from components.evaluator.slices import Slices
from pipeline.export import COLUMNS_SIGNATURE, LABELS_SIGNATURE
from pipeline.features.base import INT_MISSING
from pipeline.ingest import columnar
from pipeline.labels import Label
from serving.session import SessionModel

_AHEAD = 2
_EMPTY: dict[str, Any] = {"float32": np.nan, "int64": INT_MISSING, "object": b""}
"""Type of a model's input -> what stands for a missing value."""
_TYPES: dict[str, Callable[[pa.DataType], bool]] = {
    "float32": pa.types.is_float32,
    "int64": pa.types.is_int64,
    "object": pa.types.is_large_binary,
}

Told = tuple[np.ndarray, np.ndarray]
"""Of some rows: the targets and the answers of a model."""


class NotTheSame(Exception):
    """The columns do not say, or may not say, what the tf.Examples do."""


def answered(
    stored: Sequence[str],
    size: int,
    label: Label,
    models: Sequence[SessionModel],
    pool: ThreadPoolExecutor,
    slices: Slices,
) -> Iterator[list[Told]]:
    """Answers batch by batch, in the order of the rows; each has what each of the models says.

    Args:
      stored: files of `pipeline.ingest.columnar`.
      size: rows of a batch.
      label: the task's.
      models: that are asked.
      pool: whose threads ask them, while the next rows are read here.
      slices: take the rows, too.

    Raises:
      NotTheSame: the rows have to be asked as tf.Examples.
      ServingError: a model does not answer.
    """
    names: set[str] = set()
    for model in models:
        wanted = ((COLUMNS_SIGNATURE, label.output), (LABELS_SIGNATURE, label.transformed))
        if any(s not in model.signatures or output not in model.signatures[s].outputs for s, output in wanted):
            raise NotTheSame
        names |= set(model.signatures[COLUMNS_SIGNATURE].inputs)
    encoder = example_coder.RecordBatchToExamplesEncoder()
    asked: deque[list[Future[np.ndarray]]] = deque()
    for batch in columnar.batches(stored, size, sorted({*names, *label.columns, *slices.names})):
        slices.take(batch)
        columns = _dense(batch, names, models)
        rows = np.array(encoder.encode(_labels(batch, label)), object)
        asked.append([future for model in models for future in _asked(pool, model, label, rows, columns)])
        if len(asked) > _AHEAD:
            yield _told(asked.popleft())
    while asked:
        yield _told(asked.popleft())


def _asked(
    pool: ThreadPoolExecutor, model: SessionModel, label: Label, rows: np.ndarray, columns: Mapping[str, np.ndarray]
) -> Iterator[Future[np.ndarray]]:
    inputs = {name: columns[name] for name in model.signatures[COLUMNS_SIGNATURE].inputs}
    for signature, given, output in (
        (LABELS_SIGNATURE, {"examples": rows}, label.transformed),
        (COLUMNS_SIGNATURE, inputs, label.output),
    ):
        yield pool.submit(_output, model, signature, given, output)


def _output(model: SessionModel, signature: str, given: Mapping[str, Any], output: str) -> np.ndarray:
    return model.run(signature, given, (output,))[output]


def _told(futures: Sequence[Future[np.ndarray]]) -> list[Told]:
    """Pairs of what was asked."""
    found = [future.result() for future in futures]
    return list(zip(found[::2], found[1::2], strict=True))


def _labels(batch: pa.RecordBatch, label: Label) -> pa.RecordBatch:
    """The columns that the label is made from."""
    known = [name for name in sorted(label.columns) if not pa.types.is_null(batch.schema.field(name).type)]
    if not known:
        raise NotTheSame
    return batch.select(known)


def _dense(batch: pa.RecordBatch, names: set[str], models: Sequence[SessionModel]) -> dict[str, np.ndarray]:
    """The columns that the models read, with what stands for a missing value."""
    found = {}
    for name in names:
        kinds = {
            model.signatures[COLUMNS_SIGNATURE].inputs[name].numpy_dtype.name
            for model in models
            if name in model.signatures[COLUMNS_SIGNATURE].inputs
        }
        if len(kinds) > 1:
            raise NotTheSame
        found[name] = dense(batch.column(name), kinds.pop())
    return found


def dense(column: pa.Array, kind: str) -> np.ndarray:
    """A column of lists as one value a row.

    Args:
      column: as `pipeline.ingest.columnar` gives it.
      kind: of the array: float32, int64, or object for bytes.

    Raises:
      NotTheSame: it is of another type, has several values in a row, or one that stands for a missing value.
    """
    if kind not in _EMPTY:
        raise NotTheSame
    if pa.types.is_null(column.type):
        return np.full(len(column), _EMPTY[kind], kind)
    if not _TYPES[kind](column.type.value_type):
        raise NotTheSame
    lengths = np.asarray(column.value_lengths().fill_null(0))
    values = column.flatten().to_numpy(zero_copy_only=False)
    if (len(lengths) and lengths.max() > 1) or _stand_in(values, kind):
        raise NotTheSame
    if len(values) == len(column):
        return np.asarray(values, kind)
    found = np.full(len(column), _EMPTY[kind], kind)
    found[lengths == 1] = values
    return found


def _stand_in(values: np.ndarray, kind: str) -> bool:
    """Whether a value would be taken for a missing one."""
    if kind == "float32":
        return not np.isfinite(values).all()
    return bool((values == _EMPTY[kind]).any())
