"""Logged serving requests as statistics, to be compared with what the model learns from.

A log is any source that a task may have (JSON Lines, Parquet, CSV, Avro, TFRecord of tf.Examples), or TFRecord files of
TensorFlow Serving's PredictionLog. A value that the raw-feature signature sends for a missing one counts as missing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_checks.facts import Reference
from pipeline.errors import MillraceError
from pipeline.features import INT_MISSING
from pipeline.ingest import files, read, typed
from pipeline.sources import JsonLines, TfRecord

SPLIT = "requests"
QUANTILES = 50
"""Buckets of the quantile histogram of a number; distances need as many, see components/data_checks/distance.py."""
_MOST = 200_000
_BATCH = 8192


def reference(path: str, schema: schema_pb2.Schema) -> Reference:
    """The statistics of a log's first 200,000 requests.

    Args:
      path: a file, a folder or a pattern.
      schema: columns and types; other columns are left out.

    Raises:
      MillraceError: a file is not what its name says.
    """
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.statistics import stats_impl

    table = requests(path, schema)
    dataset = statistics_pb2.DatasetFeatureStatistics()
    if table.num_rows and table.num_columns:
        options = tfdv.StatsOptions(schema=schema, num_quantiles_histogram_buckets=QUANTILES)
        (batch,) = table.combine_chunks().to_batches()
        dataset = stats_impl.generate_statistics_in_memory(batch, options).datasets[0]
    return Reference("the logged requests", {SPLIT: dataset}, uri=path)


def requests(path: str, schema: schema_pb2.Schema) -> pa.Table:
    """The requests as columns of lists, as tfx_bsl decodes tf.Examples."""
    kinds = {feature.name: schema_pb2.FeatureType.Name(feature.type) for feature in schema.feature}
    parts: list[pa.Table] = []
    rows = 0
    for file in files.list_files(path):
        for part in _tables(file, kinds):
            parts.append(part)
            rows += part.num_rows
            if rows >= _MOST:
                return pa.concat_tables(parts, promote_options="default").slice(0, _MOST)
    return pa.concat_tables(parts, promote_options="default") if parts else pa.table({})


def _tables(file: str, kinds: Mapping[str, str]) -> Iterator[pa.Table]:
    source = JsonLines("requests.jsonl").at(file)
    if isinstance(source, TfRecord):
        yield from _records(file, kinds)
        return
    for batch in read.batches(file, source, kinds):
        if batch.columns.num_rows:
            names = [name for name in batch.columns.schema.names if name in kinds]
            yield _typed({name: batch.columns.column(name) for name in names}, kinds, batch.columns.num_rows)


def _typed(columns: Mapping[str, pa.Array], kinds: Mapping[str, str], rows: int) -> pa.Table:
    """Columns of lists of the schema's types, without what stands for missing values; a misfit is missing, too."""
    made = {}
    for name, column in columns.items():
        try:
            cast, _ = typed.cast(column, kinds[name])
        except typed.Unsupported:
            cast = pa.nulls(rows, typed.TARGETS[kinds[name]])
        made[name] = cast if pa.types.is_list(cast.type) else _lists(_present(cast))
    return pa.table(made) if made else pa.Table.from_batches([pa.RecordBatch.from_struct_array(pa.array([{}] * rows))])


def _present(column: pa.Array) -> pa.Array:
    """The column with null for what the raw-feature signature sends in place of a missing value."""
    stand_in = pa.scalar(INT_MISSING, pa.int64()) if pa.types.is_integer(column.type) else None
    if pa.types.is_binary(column.type):
        stand_in = pa.scalar(b"", pa.binary())
    if stand_in is None:
        return column
    return pc.if_else(pc.equal(column, stand_in), pa.scalar(None, column.type), column)


def _lists(column: pa.Array) -> pa.Array:
    """A list of one for each value, null for a missing one."""
    valid = np.asarray(column.is_valid())
    offsets = np.concatenate([[0], np.cumsum(valid)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), column.drop_null(), mask=pa.array(~valid))


def _records(file: str, kinds: Mapping[str, str]) -> Iterator[pa.Table]:
    """TFRecord of tf.Examples or of PredictionLogs; which, the first record says."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        first = True
        logs = False
        compression = "GZIP" if file.endswith(".gz") else ""
        for batch in tf.data.TFRecordDataset(file, compression).batch(_BATCH).as_numpy_iterator():
            records = batch.tolist()
            if first:
                logs = prediction_log_pb2.PredictionLog.FromString(records[0]).WhichOneof("log_type") is not None
                first = False
            if logs:
                parsed = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
                yield from _of_logs(parsed, kinds)
            else:
                yield _decoded(records, kinds)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise MillraceError(
            f"serving log: {file}: expected tf.Examples or PredictionLogs of the schema's types. "
            f"Received: {str(error).splitlines()[0][:200]}"
        ) from error


def _of_logs(logs: list[Any], kinds: Mapping[str, str]) -> Iterator[pa.Table]:
    """Requests by `columns` as they are, those by serialised tf.Examples decoded."""
    import tensorflow as tf

    examples: list[bytes] = []
    for log in logs:
        kind = str(log.WhichOneof("log_type"))
        request: Any = getattr(getattr(log, kind, None), "request", None)
        if kind == "predict_log":
            inputs = {name: tf.make_ndarray(tensor).reshape(-1) for name, tensor in request.inputs.items()}
            columns = {name: values for name, values in inputs.items() if name in kinds}
            if columns:
                arrays = {name: pa.array(values.tolist()) for name, values in columns.items()}
                yield _typed(arrays, kinds, len(next(iter(arrays.values()))))
            else:
                examples += [value for values in inputs.values() if values.dtype == object for value in values]
        elif request is not None and hasattr(request, "input"):
            listed = request.input.example_list.examples or request.input.example_list_with_context.examples
            examples += [example.SerializeToString() for example in listed]
    if examples:
        yield _decoded(examples, kinds)


def _decoded(records: list[bytes], kinds: Mapping[str, str]) -> pa.Table:
    from tfx_bsl.coders import example_coder

    plain = schema_pb2.Schema(
        feature=[schema_pb2.Feature(name=name, type=schema_pb2.FeatureType.Value(kind)) for name, kind in kinds.items()]
    )
    decoder = example_coder.ExamplesToRecordBatchDecoder(plain.SerializeToString())
    batch = decoder.DecodeBatch(records)
    lists = {name: _as_list(batch.column(index)) for index, name in enumerate(batch.schema.names)}
    return pa.table(lists)


def _as_list(column: pa.Array) -> pa.Array:
    """Lists with 32-bit offsets, as the other readers make them."""
    values = column.type.value_type
    return column.cast(pa.list_(pa.binary() if pa.types.is_large_binary(values) else values))
