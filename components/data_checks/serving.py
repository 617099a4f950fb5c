"""Logged serving requests as statistics, to be compared with what the model learns from.

A log is any source that a task may have (JSON Lines, Parquet, CSV, Avro, TFRecord of tf.Examples), or TFRecord files of
TensorFlow Serving's PredictionLog. A value that the raw-feature signature sends for a missing one counts as missing.
"""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_checks.facts import Reference
from pipeline.errors import DataBlocked, MillraceError
from pipeline.features.base import INT_MISSING
from pipeline.ingest import files, prediction_log_reader, read, tfrecord_frames, tfrecord_reader, typed
from pipeline.ingest.batch import RawBatch
from pipeline.sources import JsonLines, TfRecord

SPLIT = "requests"
QUANTILES = 50
"""Buckets of the quantile histogram of a number; distances need as many, see components/data_checks/distance.py."""
_MOST = 200_000


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
    try:
        for batch in _batches(file, kinds):
            if batch.columns.num_rows:
                names = [name for name in batch.columns.schema.names if name in kinds]
                yield _typed({name: batch.columns.column(name) for name in names}, kinds, batch.columns.num_rows)
    except DataBlocked as error:
        raise MillraceError(f"serving log: {error}") from error


def _batches(file: str, kinds: Mapping[str, str]) -> Iterator[RawBatch]:
    """The rows of a log; whether a TFRecord is of tf.Examples or of PredictionLogs, its first record says."""
    source = JsonLines("requests.jsonl").at(file)
    if isinstance(source, TfRecord) and not _holds_examples(file):
        with files.open_binary(file, decompress=False) as stream:
            yield from prediction_log_reader.read_prediction_log(stream, file)
    else:
        yield from read.batches(file, source, kinds)


def _holds_examples(file: str) -> bool:
    with files.open_binary(file, decompress=False) as stream:
        first = next(tfrecord_frames.frames(stream, file), None)
    return first is not None and bool(first.records) and tfrecord_reader.is_example(first.records[0])


def _typed(columns: Mapping[str, pa.Array], kinds: Mapping[str, str], rows: int) -> pa.Table:
    """Columns of lists of the schema's types, without what stands for missing values; a misfit is missing, too."""
    made = {}
    for name, column in columns.items():
        try:
            cast, _ = typed.cast(column, kinds[name])
        except typed.Unsupported:
            cast = pa.nulls(rows, typed.TARGETS[kinds[name]])
        made[name] = cast if pa.types.is_list(cast.type) else typed.as_lists(_present(cast))
    return pa.table(made) if made else pa.Table.from_batches([pa.RecordBatch.from_struct_array(pa.array([{}] * rows))])


def _present(column: pa.Array) -> pa.Array:
    """The column with null for what the raw-feature signature sends in place of a missing value."""
    stand_in = pa.scalar(INT_MISSING, pa.int64()) if pa.types.is_integer(column.type) else None
    if pa.types.is_binary(column.type):
        stand_in = pa.scalar(b"", pa.binary())
    if stand_in is None:
        return column
    return pc.if_else(pc.equal(column, stand_in), pa.scalar(None, column.type), column)
