"""TFDV's statistics of the rows of files, by threads that each read and count one file at a time.

    statistics_of({"train": files, "eval": files}, tfdv.StatsOptions(schema=schema))["eval"].datasets[0].num_examples

A file holds columns (`pipeline.ingest.columnar`) or, where ExampleGen left none, gzipped TFRecords of tf.Examples.
Decoding these takes several times what counting does; the batches, and so the statistics, are the same. Most of the
work releases Python's lock, so that two threads take about half the time of one, if the larger split has more than one
file. What a thread holds is one batch and TFDV's sketches, whatever the number of rows.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators import stats_generator
from tensorflow_data_validation.statistics.generators.top_k_uniques_sketch_stats_generator import (
    TopKUniquesSketchStatsGenerator,
)
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.coders import example_coder

from components.statistics_gen.top_k import TopKUniques
from pipeline.ingest import columnar

_MOST_THREADS = 4
_BATCH_ROWS = 16_384
_BATCH_BYTES = 16 << 20
_READ_ROWS = 512  # at once; a batch ends with the read that makes it large enough


def statistics_of(
    splits: Mapping[str, Sequence[str]], options: tfdv.StatsOptions
) -> dict[str, statistics_pb2.DatasetFeatureStatisticsList]:
    """Computes the statistics of all rows of each split.

    Args:
      splits: split -> files of columns, whose names end with `.arrow`, or gzipped TFRecord files of serialised
        tf.Examples; a split may have none.
      options: as for `tfdv.GenerateStatistics`; without sampling, slicing, weights, label and allowlist.

    Returns:
      Split -> what `tfdv.GenerateStatistics` makes of its rows.
    """
    made = _generators(options)
    merged = {split: [generator.create_accumulator() for generator in made] for split in splits}
    shards = [(split, file) for split, files in splits.items() for file in files]
    with ThreadPoolExecutor(min(_MOST_THREADS, len(os.sched_getaffinity(0)))) as threads:
        found = threads.map(lambda shard: _accumulate(shard[1], options), shards)
        for (split, _), partial in zip(shards, found, strict=True):
            pairs = zip(made, merged[split], partial, strict=True)
            merged[split] = [generator.merge_accumulators([so_far, more]) for generator, so_far, more in pairs]
    return {split: stats_impl.extract_statistics_output(counted, made) for split, counted in merged.items()}


def _accumulate(file: str, options: tfdv.StatsOptions) -> list[Any]:
    """What each generator has seen after the rows of one file."""
    made = _generators(options)
    seen = [generator.create_accumulator() for generator in made]
    for batch in _stored(file) if file.endswith(".arrow") else _decoded(file):
        seen = [generator.add_input(so_far, batch) for generator, so_far in zip(made, seen, strict=True)]
    return seen


def _generators(options: tfdv.StatsOptions) -> list[stats_generator.CombinerStatsGenerator]:
    """TFDV's generators; like its Beam ones they count distinct values exactly unless sketches are asked for."""
    made = stats_impl.get_generators(options, in_memory=True)
    if options.use_sketch_based_topk_uniques:
        return made
    return [TopKUniques(options) if isinstance(one, TopKUniquesSketchStatsGenerator) else one for one in made]


def _stored(file: str) -> Iterator[pa.RecordBatch]:
    """Rows of a file of columns, in batches of 16,384.

    Where no row of a batch has a value, the decoder does not tell a column's type; TFDV takes it from another batch.
    """
    for batch in columnar.batches([file], _BATCH_ROWS):
        found = {
            name: pa.nulls(batch.num_rows) if column.null_count == batch.num_rows else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        yield pa.RecordBatch.from_pydict(found)


def _decoded(file: str) -> Iterator[pa.RecordBatch]:
    """Rows of a TFRecord file, in batches as `_batches` makes them."""
    decoder = example_coder.ExamplesToRecordBatchDecoder(None)
    for records in _batches(file):
        yield decoder.DecodeBatch(records)


def _batches(file: str) -> Iterator[np.ndarray]:
    """Serialised rows in batches of about 16,384, or fewer where they are large."""
    held: list[np.ndarray] = []
    rows = size = 0
    reads = tf.data.TFRecordDataset(file, compression_type="GZIP").batch(_READ_ROWS).prefetch(1)
    for records in reads.as_numpy_iterator():
        held.append(records)
        rows += len(records)
        size += sum(map(len, records))
        if rows >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield np.concatenate(held)
            held, rows, size = [], 0, 0
    if held:
        yield np.concatenate(held)
