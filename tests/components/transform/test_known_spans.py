"""A window that moves on: only the new span is analysed, and the outcome is that of an analysis of all."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import analyzers
from tensorflow_transform.tf_metadata import schema_utils

from components.by_shard import Spread, Threads, Workers
from components.known_spans import KnownSpans, by_span
from components.shards import Shard, shards
from components.transform import analysis
from components.transform.coders import decode
from components.transform.phases import Files
from components.transform.rows import Rows
from pipeline.features.base import dense_floats, dense_strings

SCHEMA: schema_pb2.Schema = schema_utils.schema_from_feature_spec(
    {"x": tf.io.VarLenFeature(tf.float32), "word": tf.io.VarLenFeature(tf.string)}
)


def rows(span: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(span)
    words = [f"w{number}" for number in range(span, span + 6)]
    return [{"x": float(random.normal(span)), "word": str(random.choice(words))} for _ in range(200)]


def analyzed(inputs: dict[str, Any]) -> dict[str, Any]:
    x, words = dense_floats(inputs["x"]), dense_strings(inputs["word"])
    return {
        "score": tft.scale_to_z_score(x),
        "range": tft.scale_to_0_1(x),
        "bucket": tft.apply_buckets(x, tft.quantiles(x, 5, 0.01)),
        "per_key": tft.scale_to_z_score_per_key(x, words),
        "word": tft.compute_and_apply_vocabulary(words, vocab_filename="words", store_frequency=True),
    }


def in_two_phases(inputs: dict[str, Any]) -> dict[str, Any]:
    centred = dense_floats(inputs["x"]) - tft.mean(dense_floats(inputs["x"]))
    return {"x": centred / tft.max(tf.abs(centred))}


Run = Callable[..., tuple[dict[str, np.ndarray], bytes, list[int]]]


@pytest.fixture
def run(write_examples: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function: the spans of a window to transformed rows, the vocabulary, and the spans that were read."""
    read: list[int] = []
    batches = Rows.batches

    def counted(self: Rows, file: Shard, size: int) -> Any:
        read.append(file.span or 0)
        return batches(self, file, size)

    monkeypatch.setattr(Rows, "batches", counted)
    runs = iter(range(100))

    def of(
        spans: Sequence[int],
        folder: Path | None,
        code: str = "code",
        preprocess: Callable[..., Any] = analyzed,
        spread: Spread | None = None,
    ) -> tuple[dict[str, np.ndarray], bytes, list[int]]:
        place = tmp_path / f"run{next(runs)}"
        examples = write_examples(place, {"train": [rows(span) for span in spans]}, SCHEMA, spans)
        read.clear()
        known = KnownSpans(folder, code) if folder else None
        files = shards(examples, "train")
        made = analysis.analyse(
            preprocess, SCHEMA, files, str(place), Files(str(place / "tmp")), spread or Threads(), known
        )
        found = sorted(read)
        _, function = made.ready()
        raw = [batch for file in files for batch in batches(Rows(SCHEMA), file, 1000)]
        parts = [function(batch) for batch in raw]
        assets = place / "transform_fn" / "assets" / "words"
        terms = assets.read_bytes() if assets.exists() else b""
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, terms, found

    return of


def equal(some: dict[str, np.ndarray], others: dict[str, np.ndarray], **tolerance: float) -> None:
    assert set(some) == set(others)
    for name, values in some.items():
        np.testing.assert_allclose(values, others[name], err_msg=name, **tolerance)


def test_only_the_new_span_of_a_window_is_analysed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "known"
    assert run((1, 2, 3), folder)[2] == [1, 2, 3]
    assert len(list(folder.iterdir())) == 3
    moved, terms, read = run((2, 3, 4), folder)
    assert read == [4]
    afresh, afresh_terms, all_read = run((2, 3, 4), tmp_path / "other")
    assert all_read == [2, 3, 4]
    assert terms == afresh_terms
    equal(moved, afresh, rtol=0, atol=0)
    unkept, unkept_terms, _ = run((2, 3, 4), None)
    assert terms == unkept_terms
    equal(moved, unkept, rtol=1e-6, atol=1e-6)
    assert run((2, 3, 4), folder)[2] == []


def test_workers_read_the_new_span_too_and_all_spans_in_one_job(run: Run, tmp_path: Path) -> None:
    jobs: list[beam.Pipeline] = []

    def pipeline() -> beam.Pipeline:
        jobs.append(beam.Pipeline(options=PipelineOptions(["--runner=BundleBasedDirectRunner"])))
        return jobs[-1]

    workers = Workers(pipeline, str(tmp_path / "spread"))
    found, terms, read = run((1, 2), tmp_path / "known", spread=workers)
    assert (read, len(jobs)) == ([1, 2], 1)
    by_threads, terms_by_threads, _ = run((1, 2), tmp_path / "other")
    assert terms == terms_by_threads
    equal(found, by_threads, rtol=0, atol=0)
    moved, terms, read = run((2, 3), tmp_path / "known", spread=workers)
    assert (read, len(jobs)) == ([3], 2)
    by_threads, terms_by_threads, _ = run((2, 3), tmp_path / "other")
    assert terms == terms_by_threads
    equal(moved, by_threads, rtol=0, atol=0)


def test_other_features_or_other_rows_are_analysed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "known"
    run((1, 2), folder)
    assert run((1, 2), folder, code="edited")[2] == [1, 2]
    original = rows
    monkeypatch.setitem(globals(), "rows", lambda span: original(span + 10 if span == 2 else span))
    assert run((1, 2), folder)[2] == [2]


def test_what_a_second_phase_needs_is_read_from_all_spans(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "known"
    run((1, 2), folder, preprocess=in_two_phases)
    moved, _, read = run((2, 3), folder, preprocess=in_two_phases)
    assert read == [2, 3, 3]
    equal(moved, run((2, 3), None, preprocess=in_two_phases)[0], rtol=1e-6, atol=1e-6)


def test_a_damaged_file_is_as_good_as_none(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "known"
    run((1, 2), folder)
    for path in folder.iterdir():
        path.write_bytes(b"ARROW1 no more")
    assert run((1, 2), folder)[2] == [1, 2]
    assert run((1, 2), folder)[2] == []


def test_as_many_as_are_allowed_are_kept(tmp_path: Path) -> None:
    known = KnownSpans(tmp_path, "code", most=2)
    keys = [known.key([Shard("", span=span, digest="d")]) for span in range(3)]
    assert len(set(keys)) == 3
    for key in keys:
        known.save(key, {b"mean": [b"1", b"2"]})
    assert len(list(tmp_path.iterdir())) == 2
    assert known.load(keys[-1]) == {b"mean": [b"1", b"2"]}


def test_a_folder_that_cant_be_written_stops_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "known").write_text("a file")
    assert run((1, 2), tmp_path / "known")[2] == [1, 2]


def test_shards_without_an_account_of_their_spans_have_none() -> None:
    one, two = Shard("1", span=1, digest="a"), Shard("2", span=2, digest="b")
    empty = Shard("0", span=None, digest="")
    assert by_span([one, empty, two]) == [[one], [two]]
    assert by_span([one, one]) == by_span([one, Shard("2")]) == by_span([]) == []


def test_nothing_but_sketches_is_unpickled() -> None:
    combiner = analyzers.QuantilesCombiner(4, 0.01, np.float32)
    sketch = combiner.add_input(combiner.create_accumulator(), [np.arange(100, dtype=np.float32)])
    coder = combiner.accumulator_coder
    again = decode(coder, coder.encode_cache(sketch))
    np.testing.assert_array_equal(combiner.extract_output(again)[0], combiner.extract_output(sketch)[0])
    with pytest.raises(pickle.UnpicklingError, match="expected one of QuantilesSketch"):
        decode(coder, pickle.dumps(Path))
