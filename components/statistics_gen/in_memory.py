"""TFDV's statistics of the rows of files, by threads that each read and count one file at a time.

    statistics_of({"train": shards, "eval": shards}, tfdv.StatsOptions(schema=schema))["eval"].datasets[0].num_examples

A shard has columns (`pipeline.ingest.columnar`) or, where ExampleGen left none, gzipped TFRecords of tf.Examples.
Decoding these takes several times what counting does; the batches, and so the statistics, are the same. Most of the
work releases Python's lock, so that two threads take about half the time of one, if the larger split has more than one
file. What a thread holds is one batch and TFDV's sketches, whatever the number of rows.

In a window of spans each span is counted for itself, and what was counted is kept (kept.py): when the window moves on
only the new span is read.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

from components.known_spans import KnownSpans, by_span
from components.shards import Shard
from components.statistics_gen import kept
from components.statistics_gen.top_k import TopKUniques
from pipeline.ingest import columnar

_LOG = logging.getLogger(__name__)
_MOST_THREADS = 4
_BATCH_ROWS = 16_384
_BATCH_BYTES = 16 << 20
_READ_ROWS = 512  # at once; a batch ends with the read that makes it large enough

Generators = Sequence[stats_generator.CombinerStatsGenerator]


def statistics_of(
    splits: Mapping[str, Sequence[Shard]], options: tfdv.StatsOptions, known: KnownSpans | None = None
) -> dict[str, statistics_pb2.DatasetFeatureStatisticsList]:
    """Computes the statistics of all rows of each split.

    Args:
      splits: split -> its shards; there may be none.
      options: as for `tfdv.GenerateStatistics`; without sampling, slicing, weights, label and allowlist.
      known: what earlier runs kept of the spans of a window; None: nothing is kept.

    Returns:
      Split -> what `tfdv.GenerateStatistics` makes of its rows.
    """
    made = _generators(options)
    merged = {split: _empty(made) for split in splits}
    parts = list(_parts(splits, known))
    with ThreadPoolExecutor(min(_MOST_THREADS, len(os.sched_getaffinity(0)))) as threads:

        def count(files: Sequence[Shard]) -> Iterator[list[Any]]:
            return threads.map(lambda file: _accumulate(file.columns or file.records, options), files)

        try:
            begun = [None if known and key and known.has(key) else count(files) for _, key, files in parts]
            for (split, key, files), counting in zip(parts, begun, strict=True):
                if not (known and key):
                    merged[split] = _merged(made, merged[split], counting or ())
                    continue
                found = None if counting else kept.load(known, key, len(made))
                if found is None:
                    _LOG.info("%s: span %s is counted, %d shards", split, files[0].span, len(files))
                    found = kept.save(known, key, _merged(made, _empty(made), counting or count(files)))
                merged[split] = _merged(made, merged[split], [found])
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return {split: stats_impl.extract_statistics_output(counted, made) for split, counted in merged.items()}


def _parts(
    splits: Mapping[str, Sequence[Shard]], known: KnownSpans | None
) -> Iterator[tuple[str, str | None, Sequence[Shard]]]:
    """What is counted for itself: in a window each span of a split, with its key; else all of a split, without one.

    The key leaves out the split: a span that evaluated yesterday and trains today has the same counts.
    """
    spans = [of[0].span for of in by_span([file for files in splits.values() for file in files])] if known else []
    for split, files in splits.items():
        if not (known and spans):
            yield split, None, files
            continue
        for span in spans:
            if of_span := [file for file in files if file.span == span]:
                yield split, known.key(of_span), of_span


def _empty(made: Generators) -> list[Any]:
    return [generator.create_accumulator() for generator in made]


def _merged(made: Generators, into: list[Any], more: Iterable[list[Any]]) -> list[Any]:
    """Accumulators with others added, which must not be used any more."""
    for partial in more:
        pairs = zip(made, into, partial, strict=True)
        into = [generator.merge_accumulators([so_far, one]) for generator, so_far, one in pairs]
    return into


def _accumulate(file: str, options: tfdv.StatsOptions) -> list[Any]:
    """What each generator has seen after the rows of one file."""
    made = _generators(options)
    seen = _empty(made)
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
