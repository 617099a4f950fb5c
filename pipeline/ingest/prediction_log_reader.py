"""TF Serving's request logs to Arrow: a TFRecord of PredictionLog, which a model server writes for a sample of requests.

What was asked becomes rows, as a reader of files gives them, so that served rows can be compared with training rows. A
request holds several rows, in one of these forms:

- Predict with one string tensor of serialised tf.Examples, whatever its name;
- Predict with a tensor of shape [rows] or [rows, 1] a column (the `columns` signature): NaN, "" and -2**63 are missing;
- Classify, Regress or MultiInference with tf.Examples, with a context or without.

Answers are not read. TensorFlow is imported when reading starts.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.errors import DataBlocked
from pipeline.features.base import INT_MISSING
from pipeline.ingest import mixed, tfrecord_reader
from pipeline.ingest.batch import Malformed, RawBatch
from pipeline.ingest.tfrecord_frames import Frames, frames, shown


class _NoRows(Exception):
    """A log whose rows can't be had, with the reason."""


def read_prediction_log(stream: BinaryIO, file: str) -> Iterator[RawBatch]:
    """Reads the rows of a log of requests.

    `RawBatch.lines` is the number of the log's record, from 1; the rows of one request share it. A record is malformed
    whose checksum is wrong, that is no PredictionLog, or whose request has none of the forms above.

    Args:
      stream: the file, plain or compressed.
      file: its name in messages.

    Raises:
      DataBlocked: empty, not TFRecord, truncated or damaged; none of the first records is a request.
    """
    parse = _parser()
    seen = 0
    for batch in frames(stream, file):
        made = list(_batches(batch, parse))
        rows = sum(len(part.lines) for part in made)
        seen += rows
        if not seen and made:
            first = made[0].malformed[0]
            raise DataBlocked(
                f"{file}: no rows in the first {len(batch.numbers) + len(batch.malformed):,} records. Expected "
                f"PredictionLogs of TF Serving. Received in record {first.line}: {first.message}"
            )
        yield from made


def _parser() -> Callable[[bytes], tuple[list[bytes], dict[str, np.ndarray]]]:
    """A function: a record to its serialised tf.Examples or its columns."""
    from google.protobuf.message import DecodeError
    from tensorflow import make_ndarray
    from tensorflow_serving.apis import prediction_log_pb2

    def parse(record: bytes) -> tuple[list[bytes], dict[str, np.ndarray]]:
        try:
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except DecodeError as error:
            raise _NoRows("expected a PredictionLog, received another record") from error
        kind = log.WhichOneof("log_type")
        if kind in ("classify_log", "regress_log", "multi_inference_log"):
            return _of_input(getattr(log, kind).request.input), {}
        if kind != "predict_log":
            raise _NoRows(f"expected a Predict, Classify or Regress request, received {kind or 'none'}")
        inputs = log.predict_log.request.inputs
        try:
            tensors = {name: make_ndarray(inputs[name]) for name in inputs}
        except (ValueError, TypeError) as error:
            raise _NoRows(f"expected tensors, received what is none: {error}") from error
        if len(tensors) == 1:
            ((_, tensor),) = tensors.items()
            values = tensor.ravel().tolist()
            if tensor.dtype == object and any(values) and all(tfrecord_reader.is_example(value) for value in values):
                return values, {}
        return [], _of_columns(tensors)

    return parse


def _of_input(request: Any) -> list[bytes]:
    """The tf.Examples of a Classify or Regress request; what a context has is in each of them."""
    context = request.example_list_with_context
    if not context.examples:
        return [example.SerializeToString() for example in request.example_list.examples]
    joined = []
    for example in context.examples:
        whole = type(example)()
        whole.CopyFrom(context.context)
        for name, feature in example.features.feature.items():
            whole.features.feature[name].CopyFrom(feature)
        joined.append(whole.SerializeToString())
    return joined


def _of_columns(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    columns = {name: t[:, 0] if t.ndim == 2 and t.shape[1] == 1 else t for name, t in tensors.items()}
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        received = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in sorted(tensors.items())) or "none"
        raise _NoRows(f"expected one tensor of shape [rows] a column, received {received[:200]}")
    return columns


def _batches(batch: Frames, parse: Callable[[bytes], Any]) -> Iterator[RawBatch]:
    """Rows of tf.Examples, then rows of columns, then what is malformed and has no batch yet."""
    malformed = [*batch.malformed]
    examples: list[bytes] = []
    example_lines: list[int] = []
    requests: list[tuple[int, dict[str, np.ndarray]]] = []
    for number, record in zip(batch.numbers, batch.records, strict=True):
        try:
            serialised, columns = parse(record)
        except _NoRows as error:
            malformed.append(Malformed(number, str(error), shown(record)))
            continue
        bad = next((one for one in serialised if not tfrecord_reader.is_example(one)), None)
        if bad is not None:
            malformed.append(Malformed(number, "expected tf.Examples, received something else", shown(bad)))
            continue
        examples += serialised
        example_lines += [number] * len(serialised)
        if columns:
            requests.append((number, columns))
    parts: list[tuple[pa.RecordBatch, list[int]]] = []
    if examples:
        parts.append((tfrecord_reader.decode(examples)[0], example_lines))
    if requests:
        parts.append(_join(requests))
    if malformed and not parts:
        parts.append((tfrecord_reader.record_batch({}, 0), []))
    malformed.sort(key=lambda record: record.line)
    for position, (columns, lines) in enumerate(parts):
        yield RawBatch(columns, np.array(lines, np.int64), () if position else tuple(malformed))


def _join(requests: list[tuple[int, dict[str, np.ndarray]]]) -> tuple[pa.RecordBatch, list[int]]:
    """The rows of requests of one form, one below the other; a column that a request lacks is null there."""
    sizes = [len(next(iter(columns.values()))) for _, columns in requests]
    names = sorted({name for _, columns in requests for name in columns})
    arrays = {
        name: _concatenated(
            [
                _present(columns[name]) if name in columns else pa.nulls(size)
                for (_, columns), size in zip(requests, sizes, strict=True)
            ]
        )
        for name in names
    }
    lines = [number for (number, _), size in zip(requests, sizes, strict=True) for _ in range(size)]
    return tfrecord_reader.record_batch(arrays, len(lines)), lines


def _present(column: np.ndarray) -> pa.Array:
    """A column with null where its value says that it is missing."""
    if column.dtype == object:
        return pa.array([value or None for value in column.tolist()], pa.binary())
    missing = (
        np.isnan(column) if column.dtype.kind == "f" else column == INT_MISSING if column.dtype == np.int64 else None
    )
    return pa.array(column, mask=missing)


def _concatenated(arrays: list[pa.Array]) -> pa.Array:
    kinds = {array.type for array in arrays if not pa.types.is_null(array.type)}
    if len(kinds) > 1:
        return mixed.guess([value for array in arrays for value in array.to_pylist()])
    kind = kinds.pop() if kinds else pa.null()
    return pa.concat_arrays([array.cast(kind) for array in arrays])
