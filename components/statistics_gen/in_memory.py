"""TFDV's statistics of the rows of files, each of which is read and counted for itself.

    statistics_of({"train": shards, "eval": shards}, tfdv.StatsOptions(schema=schema))["eval"].datasets[0].num_examples

A shard has columns (`pipeline.ingest.columnar`) or, where ExampleGen left none, gzipped TFRecords of tf.Examples.
Decoding these takes several times what counting does; the batches, and so the statistics, are the same. Most of the
work releases Python's lock, so that two threads take about half the time of one, if there is more than one file. What
a thread, or a worker of Beam, holds is one batch and TFDV's sketches, whatever the number of rows. These are merged
here, in the order of the shards: the statistics are the same to the byte, whoever counts.

In a window of spans each span is counted for itself, and what was counted is kept (kept.py): when the window moves on
only the new span is read.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
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

from components import by_shard
from components.known_spans import KnownSpans, by_span
from components.shards import Shard
from components.statistics_gen import kept
from components.statistics_gen.top_k import TopKUniques
from pipeline.ingest import columnar
from pipeline.remote import brought

_LOG = logging.getLogger(__name__)
_BATCH_ROWS = 16_384
_BATCH_BYTES = 16 << 20
_READ_ROWS = 512  # at once; a batch ends with the read that makes it large enough

Generators = Sequence[stats_generator.CombinerStatsGenerator]


def statistics_of(
    splits: Mapping[str, Sequence[Shard]],
    options: tfdv.StatsOptions,
    known: KnownSpans | None = None,
    spread: by_shard.Spread | None = None,
) -> dict[str, statistics_pb2.DatasetFeatureStatisticsList]:
    """Computes the statistics of all rows of each split.

    Args:
      splits: split -> its shards; there may be none.
      options: as for `tfdv.GenerateStatistics`; without sampling, slicing, weights, label and allowlist.
      known: what earlier runs kept of the spans of a window; None: nothing is kept.
      spread: who counts; None: threads. Threads also count where a generator's counts can't be passed on.

    Returns:
      Split -> what `tfdv.GenerateStatistics` makes of its rows.
    """
    made = _generators(options)
    if spread is None or not kept.encodes(made):
        if spread is not None:
            _LOG.info("The rows are counted here: the counts of these options can't be passed on.")
        spread = by_shard.Threads()
    count = Count(options.to_json())
    merged = {split: _empty(made) for split in splits}
    parts = [(*part, bool(known and part[1] and known.has(part[1]))) for part in _parts(splits, known)]
    new = [_rows(file) for *_, files, there in parts if not there for file in files]
    counted = spread.each("Count", count, new, kept.FORM)
    for split, key, files, there in parts:
        counting: Iterator[list[Any]] | None = None if there else islice(counted, len(files))
        if not (known and key):
            merged[split] = _merged(made, merged[split], counting or ())
            continue
        found = None if counting else kept.load(known, key, len(made))
        if found is None:
            _LOG.info("%s: span %s is counted, %d shards", split, files[0].span, len(files))
            again = counting or spread.each("Count", count, [_rows(file) for file in files], kept.FORM)
            found = kept.save(known, key, _merged(made, _empty(made), again))
        merged[split] = _merged(made, merged[split], [found])
    return {split: stats_impl.extract_statistics_output(one, made) for split, one in merged.items()}


def _rows(file: Shard) -> str:
    return file.columns or file.records


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


@dataclass(frozen=True)
class Count:
    """What each generator has seen after the rows of one file.

    Attributes:
      options: as JSON, with the schema.
    """

    options: str

    def __call__(self, file: str) -> list[Any]:
        """An accumulator for each generator."""
        made = _generators(tfdv.StatsOptions.from_json(self.options))
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
    with brought.here(file) as local:
        for records in _batches(local):
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
