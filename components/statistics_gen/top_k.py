"""The most frequent values of a column and how many distinct ones there are, exact for up to 100,000 of them.

TFDV has two ways: a Beam transform that counts every distinct value, and sketches that hold a thousand. Statistics by
default come from the first, which needs Beam; the sketches differ from it even for a few values (they join all that is
not UTF-8). This generator gives what the first gives. A column with more distinct values than are held, or longer
ones, goes on in sketches: its number of distinct values is then off by about 1 %, and a frequency is at most
1/8,192 of the rows too low.
"""

import heapq
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import tensorflow_data_validation as tfdv
from tensorflow_data_validation import constants
from tensorflow_data_validation.arrow import arrow_util
from tensorflow_data_validation.statistics.generators import stats_generator, top_k_uniques_stats_generator
from tensorflow_data_validation.utils import schema_util, stats_util, top_k_uniques_stats_util
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.arrow import array_util
from tfx_bsl.sketches import KmvSketch, MisraGriesSketch

_MOST_VALUES = 100_000
_MOST_BYTES = 8 << 20
_FREQUENT = 8_192  # values that the sketch of the frequent ones holds
_SMALLEST = 16_384  # hashes that the sketch of the distinct ones holds; TFDV's number
_LONGEST = 1_024  # bytes of a value in a sketch; TFDV's number

Path = Any  # tfdv.types.FeaturePath


class Values:
    """How often each value of a column occurs."""

    def __init__(self) -> None:
        self._held: list[pa.Table] = []  # value, rows; a value may be in several
        self._bytes = 0
        self._sketches: tuple[KmvSketch, MisraGriesSketch] | None = None

    def add(self, values: pa.Array) -> None:
        """Counts the values of a batch."""
        counted = values.value_counts()
        self._take(pa.table({"value": counted.field("values"), "rows": counted.field("counts")}))

    def merge(self, other: "Values") -> None:
        """Counts what another one has counted, which must not be used any more."""
        if other._sketches and not self._sketches:
            self._to_sketches()
        if other._sketches and self._sketches:
            for mine, its in zip(self._sketches, other._sketches, strict=True):
                mine.Merge(its)
        for table in other._held:
            self._take(table)

    def result(self, most: int) -> tuple[int, list[tuple[int, Any]]]:
        """The number of distinct values, and the most frequent with their number of rows."""
        self._compact()
        if self._sketches:
            distinct, frequent = self._sketches
            found = ((round(one["counts"]), one["values"]) for one in frequent.Estimate().to_pylist())
            return distinct.Estimate(), heapq.nlargest(most, found)
        table = self._held[0]
        pairs = zip(table["rows"].to_pylist(), table["value"].to_pylist(), strict=True)
        return table.num_rows, heapq.nlargest(most, pairs)

    def __getstate__(self) -> tuple[bytes, tuple[KmvSketch, MisraGriesSketch] | None]:
        """The table as Arrow's own bytes: so that nothing of pyarrow has to be unpickled."""
        self._compact()
        sink = pa.BufferOutputStream()
        for table in self._held:
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        return sink.getvalue().to_pybytes(), self._sketches

    def __setstate__(self, state: tuple[bytes, tuple[KmvSketch, MisraGriesSketch] | None]) -> None:
        stored, self._sketches = state
        self._held = [pa.ipc.open_stream(stored).read_all()] if stored else []
        self._bytes = sum(table.nbytes for table in self._held)

    def _take(self, table: pa.Table) -> None:
        self._held.append(table)
        self._bytes += table.nbytes
        if self._sketches or self._bytes > _MOST_BYTES:
            self._compact()

    def _compact(self) -> None:
        """Leaves one table with each value once, or the sketches where that would be too large."""
        if self._held:
            table = pa.concat_tables(self._held).group_by("value", use_threads=False).aggregate([("rows", "sum")])
            table = table.rename_columns(["value", "rows"])
            self._held, self._bytes = [table], table.nbytes
            if self._sketches or table.num_rows > _MOST_VALUES or table.nbytes > _MOST_BYTES:
                self._to_sketches()

    def _to_sketches(self) -> None:
        if not self._sketches:
            self._sketches = KmvSketch(_SMALLEST), MisraGriesSketch(num_buckets=_FREQUENT)
        distinct, frequent = self._sketches
        for table in self._held:
            for batch in table.to_batches():
                distinct.AddValues(batch["value"])
                frequent.AddValues(_short(batch["value"]), batch["rows"].cast(pa.float32()))
        self._held, self._bytes = [], 0


def _short(values: pa.Array) -> pa.Array:
    """With TFDV's placeholder for each value that is too long."""
    if not pa.types.is_large_binary(values.type):
        return values
    placeholder = pa.scalar(constants.LARGE_BYTES_PLACEHOLDER, values.type)
    return pc.if_else(pc.greater(pc.binary_length(values), _LONGEST), placeholder, values)


class TopKUniques(stats_generator.CombinerStatsGenerator):
    """Does what TFDV's TopKUniquesStatsGenerator does, without Beam and without weights.

    It sees strings, and the integers that the schema calls categorical; not the strings that it calls bytes.
    """

    def __init__(self, options: tfdv.StatsOptions) -> None:
        """Takes the numbers of top values and of buckets, the threshold and the schema from the options."""
        super().__init__("TopKUniques", options.schema)
        self._options = options
        self._bytes = frozenset(schema_util.get_bytes_features(options.schema)) if options.schema else frozenset()
        self._categorical = schema_util.get_categorical_numeric_feature_types(options.schema) if options.schema else {}

    def create_accumulator(self) -> dict[Path, Values]:
        """Nothing counted yet."""
        return {}

    def add_input(self, accumulator: dict[Path, Values], input_record_batch: pa.RecordBatch) -> dict[Path, Values]:
        """Counts the values of a batch of rows."""
        for path, column, _ in arrow_util.enumerate_arrays(
            input_record_batch, example_weight_map=None, enumerate_leaves_only=True
        ):
            kind = stats_util.get_feature_type_from_arrow_type(path, column.type)
            counts = top_k_uniques_stats_generator._should_run(self._categorical, path, kind)
            if counts and path not in self._bytes:
                values, _ = array_util.flatten_nested(column)
                if len(values):
                    accumulator.setdefault(path, Values()).add(values)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[Path, Values]]) -> dict[Path, Values]:
        """Adds the later ones to the first."""
        first, *others = accumulators
        for other in others:
            for path, values in other.items():
                if path in first:
                    first[path].merge(values)
                else:
                    first[path] = values
        return first

    def extract_output(self, accumulator: dict[Path, Values]) -> statistics_pb2.DatasetFeatureStatistics:
        """`string_stats` with `unique`, `top_values` and `rank_histogram`, by TFDV's own function."""
        result = statistics_pb2.DatasetFeatureStatistics()
        most = max(self._options.num_top_values, self._options.num_rank_histogram_buckets)
        for path, values in accumulator.items():
            distinct, frequent = values.result(most)
            result.features.append(
                top_k_uniques_stats_util.make_feature_stats_proto_topk_uniques(
                    feature_path=path,
                    num_top_values=self._options.num_top_values,
                    num_rank_histogram_buckets=self._options.num_rank_histogram_buckets,
                    num_unique=distinct,
                    value_count_list=[
                        top_k_uniques_stats_util.FeatureValueCount(value, rows) for rows, value in frequent
                    ],
                    frequency_threshold=self._options.frequency_threshold,
                )
            )
        return result
