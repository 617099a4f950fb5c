"""Analysis and rows of our executor equal those of TFX's own, of every analyzer that is run without Beam."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from stored import content
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.components.transform import executor as tfx_transform

from components.transform import analysis
from components.transform.executor import Executor
from pipeline.features import Bucketized, Categorical, Date, Hashed, Log, MinMax, Numeric, RawText, Text, Vocabulary
from pipeline.features.base import dense, dense_floats, dense_strings
from pipeline.labels import Binary
from pipeline.transform import preprocess

FEATURES = (
    Numeric("zscore", missing="mean"),
    Numeric("minmax", scale=MinMax(), clip=(0.0, 30.0)),
    Numeric("log", scale=Log(), missing="median"),
    Bucketized("bucket", buckets=5),
    Bucketized("edge", edges=(1.0, 10.0)),
    Vocabulary("word", top_k=6, oov_buckets=2),
    Vocabulary("number", top_k=50, min_frequency=12),
    Categorical("kind", size=4),
    Hashed("area", buckets=7),
    Date("day"),
    Text("text", vocabulary=30, length=6, ngrams=(1, 2), min_frequency=2),
    RawText("raw"),
)
FLOATS = ("zscore", "minmax", "log", "bucket", "edge")
INTEGERS = ("number", "kind", "area", "day", "id", "label")
COLUMNS = {
    **dict.fromkeys(FLOATS, tf.float32),
    **dict.fromkeys(INTEGERS, tf.int64),
    **dict.fromkeys(("word", "text", "raw", "unused"), tf.string),
}
SCHEMA: schema_pb2.Schema = schema_utils.schema_from_feature_spec(
    {name: tf.io.VarLenFeature(kind) for name, kind in COLUMNS.items()}
)


def rows(start: int, count: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(start)
    made: list[dict[str, Any]] = []
    for i in range(start, start + count):
        row: dict[str, Any] = {name: float(random.gamma(3.0, 5.0)) for name in FLOATS}
        row |= {"number": int(random.integers(0, 40)), "kind": int(random.integers(0, 5)), "area": i, "id": i}
        row |= {"day": 86_400 * i, "label": i % 2, "unused": "x", "word": str(random.choice(list("abcdefghijkl")))}
        row |= {"text": " ".join(random.choice(["red", "green", "Blue", "a"], 5)), "raw": f"raw {i}"}
        gone = [name for name in row if name not in ("id", "label") and random.random() < 0.1]
        made.append({name: None if name in gone else value for name, value in row.items()})
    return made


def every_analyzer(inputs: dict[str, Any]) -> dict[str, Any]:
    """What tasks' features do, and TFT's analyzers, in two phases."""
    made = preprocess(inputs, FEATURES, Binary("label"))
    x, y = dense_floats(inputs["bucket"]), dense_floats(inputs["edge"])
    x, y = (tf.where(tf.math.is_finite(v), v, tf.zeros_like(v)) for v in (x, y))
    words = dense_strings(inputs["word"])
    zeros = tf.zeros_like(x)

    def row(value: Any) -> tf.Tensor:
        return zeros + tf.cast(value, tf.float32)

    centred = x - tft.mean(x)
    both = tf.cast(tf.stack([x, y], axis=1), tf.float64)
    per_key = tft.scale_to_z_score_per_key(x, words)
    made |= {
        "id": tf.cast(dense(inputs["id"]), tf.int64),
        "sum": row(tft.sum(x)),
        "size": row(tft.size(x)),
        "spread": row(tft.max(tf.abs(centred))),
        "covariance": row(tft.covariance(both, tf.float64)[0, 1]),
        "principal": row(tf.abs(tft.pca(both, 1, tf.float64)[0, 0])),
        "per_key": per_key,
        "count": row(tf.reduce_sum(tft.count_per_key(words)[1])),
        "weighed": tft.compute_and_apply_vocabulary(
            words, weights=tf.round(y), vocab_filename="weighed", store_frequency=True
        ),
    }
    settings: dict[str, Any] = {"fingerprint_shuffle": True, "reserved_tokens": ["[CLS]", "a"]}
    tft.vocabulary(words, vocab_filename="odd", file_format="tfrecord_gzip", **settings)
    return made


@pytest.fixture(scope="module")
def outputs(
    write_examples: Callable[..., Any], transform: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Stock TFX's, ours from TFRecords, ours from columns, and ours by workers."""
    folder = tmp_path_factory.mktemp("transform")
    shards = {"train": [rows(0, 300), rows(300, 150)], "eval": [rows(450, 100)]}
    plain = write_examples(folder / "plain", shards)
    columns = write_examples(folder / "columns", shards, SCHEMA)
    return {
        "stock": transform(tfx_transform.Executor, plain, SCHEMA, every_analyzer, folder / "stock"),
        "records": transform(Executor, plain, SCHEMA, every_analyzer, folder / "records"),
        "columns": transform(Executor, columns, SCHEMA, every_analyzer, folder / "ours"),
        "workers": transform(
            Executor, columns, SCHEMA, every_analyzer, folder / "workers", runner="BundleBasedDirectRunner"
        ),
    }


@pytest.mark.parametrize("source", ["records", "columns"])
def test_rows_vocabularies_and_metadata_equal_those_of_tfx(outputs: dict[str, Any], source: str) -> None:
    ours, stock = outputs[source], outputs["stock"]
    assert ours.vocabularies() == stock.vocabularies()
    assert set(ours.vocabularies()) >= {"word_xf", "number_xf", "text_xf", "weighed", "odd.tfrecord.gz"}
    for name in ("metadata/schema.pbtxt", "transformed_metadata/asset_map"):
        assert (ours.folder / name).read_text() == (stock.folder / name).read_text()
    assert ours.graph.transformed_metadata.schema == stock.graph.transformed_metadata.schema
    for split in ("train", "eval"):
        mine, theirs = ours.rows(split), stock.rows(split)
        assert set(mine) == set(theirs)
        mine_order, order = np.argsort(mine["id"].ravel()), np.argsort(theirs["id"].ravel())
        for name, expected in theirs.items():
            got = mine[name][mine_order]
            if expected.dtype == object:
                assert np.array_equal(got, expected[order]), name
            else:
                np.testing.assert_allclose(got, expected[order], rtol=2e-6, atol=2e-6, err_msg=name)


def test_from_columns_and_from_records_to_the_last_bit(outputs: dict[str, Any]) -> None:
    for split in ("train", "eval"):
        columns, records = outputs["columns"].rows(split), outputs["records"].rows(split)
        for name, expected in records.items():
            np.testing.assert_array_equal(columns[name], expected, err_msg=name)


def test_by_workers_to_the_last_byte(outputs: dict[str, Any]) -> None:
    threads, workers = outputs["columns"], outputs["workers"]
    assert workers.vocabularies() == threads.vocabularies()
    for split in ("train", "eval"):
        for file, other in zip(workers.files(split), threads.files(split), strict=True):
            assert content(Path(file)) == content(Path(other))


def test_shards_and_rows_are_in_the_order_of_the_raw_ones(outputs: dict[str, Any]) -> None:
    ours = outputs["columns"]
    names = [Path(file).name for file in ours.files("train")]
    assert names == [f"transformed_examples-0000{number}-of-00002.gz" for number in range(2)]
    assert ours.rows("train")["id"].ravel().tolist() == list(range(450))
    assert not list(ours.folder.glob(".temp*"))


def test_the_graph_that_was_written_does_what_was_done_to_the_rows(outputs: dict[str, Any]) -> None:
    ours = outputs["columns"]
    loaded = tf.saved_model.load(ours.graph.transform_savedmodel_dir)
    raw = {name: tf.sparse.from_dense(tf.zeros([2, 0], kind)) for name, kind in COLUMNS.items()}
    made = loaded.transform_fn(raw)
    assert set(made) == set(ours.rows("eval"))
    assert made["word_xf"].numpy().tolist() == [[0], [0]]


def by_information(inputs: dict[str, Any]) -> dict[str, Any]:
    words = dense_strings(inputs["word"])
    labels = tf.cast(dense(inputs["label"]), tf.int64)
    made = tft.vocabulary(words, top_k=3, labels=labels, vocab_filename="informative", min_diff_from_avg=0.0)
    return {"word": tft.apply_vocabulary(words, made), "id": tf.cast(dense(inputs["id"]), tf.int64)}


@pytest.mark.parametrize("runner", ["FnApiRunner", "DirectRunner"])
def test_what_only_beam_can_analyse_is_left_to_tfx(
    runner: str,
    write_examples: Callable[..., Any],
    transform: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(analysis.passes, "run", lambda *_: pytest.fail("it was analysed here"))
    examples = write_examples(tmp_path / "examples", {"train": [rows(0, 120)], "eval": [rows(120, 30)]})
    made = transform(Executor, examples, SCHEMA, by_information, tmp_path / "made", runner)
    assert len(made.vocabularies()["informative"].splitlines()) == 3
    assert made.rows("eval")["id"].ravel().tolist() == list(range(120, 150))
