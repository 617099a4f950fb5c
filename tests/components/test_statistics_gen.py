"""Statistics computed in process equal those of TFX's own executor, field for field; quantiles within the sketch's error."""

import dataclasses
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from pyarrow import csv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.components.statistics_gen import executor as tfx_statistics_gen
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder, RecordBatchToExamplesEncoder

from components.statistics_gen import StatisticsGen, in_memory, top_k
from components.statistics_gen.executor import Executor
from pipeline import schema
from pipeline.features import Image
from pipeline.ingest import columnar, files, typed
from pipeline.ingest.column_shards import ColumnShards
from pipeline.remote import transfer
from pipeline.sources import bundled_taxi_trips

SPAN = 7
ONLY = "data_tfrecord-00000-of-00001.gz"
WORKERS = "--runner=BundleBasedDirectRunner"
QUANTILE_ERROR = 0.02  # of the rows; TFDV's epsilon is 0.01, on both sides

Rows = Mapping[str, Sequence[Sequence[bytes]]]


def write_examples(folder: Path, splits: Rows) -> Any:
    """An Examples artifact: split -> shards -> serialised rows."""
    for split, shards in splits.items():
        target = folder / f"Split-{split}"
        for number, rows in enumerate(shards):
            target.mkdir(parents=True, exist_ok=True)
            path = target / f"data_tfrecord-{number:05d}-of-{len(shards):05d}.gz"
            with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
                for row in rows:
                    writer.write(row)
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    examples.span = SPAN
    examples.split_names = artifact_utils.encode_split_names(list(splits))
    return examples


def run(
    kind: type[Any],
    examples: Any,
    folder: Path,
    *,
    runner: str = "--runner=FnApiRunner",
    curated: Path | None = None,
    **properties: Any,
) -> Any:
    """The statistics artifact that an executor makes."""
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(folder)
    inputs = {"examples": [examples]}
    if curated:
        artifact = standard_artifacts.Schema()
        artifact.uri = str(curated.parent)
        inputs["schema"] = [artifact]
    context = base_beam_executor.BaseBeamExecutor.Context(beam_pipeline_args=[runner])
    kind(context).Do(inputs, {"statistics": [statistics]}, {"exclude_splits": "[]"} | properties)
    return statistics


def load(statistics: Any, split: str) -> statistics_pb2.DatasetFeatureStatistics:
    path = Path(statistics.uri) / f"Split-{split}" / "FeatureStats.pb"
    (found,) = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()).datasets
    return found


def assert_equal(
    ours: statistics_pb2.DatasetFeatureStatistics,
    stock: statistics_pb2.DatasetFeatureStatistics,
    values: Callable[[str], np.ndarray],
) -> None:
    """Everything but quantiles and histograms as it is; these by the share of the column's values below each edge."""
    assert ours.num_examples == stock.num_examples
    by_name = {feature.path.step[0]: feature for feature in ours.features}
    assert set(by_name) == {feature.path.step[0] for feature in stock.features}
    for theirs in stock.features:
        name = theirs.path.step[0]
        mine = by_name[name]
        if theirs.HasField("num_stats"):
            check_numbers(name, mine.num_stats, theirs.num_stats, values(name))
        assert text_format.MessageToString(exact_part(mine)) == text_format.MessageToString(exact_part(theirs)), name


def check_numbers(name: str, mine: Any, theirs: Any, values: np.ndarray) -> None:
    for field in ("mean", "std_dev"):
        assert getattr(mine, field) == pytest.approx(getattr(theirs, field), rel=1e-6, nan_ok=True), f"{name} {field}"
    assert rank(values, mine.median) == pytest.approx(rank(values, theirs.median), abs=QUANTILE_ERROR), name
    assert [histogram.type for histogram in mine.histograms] == [histogram.type for histogram in theirs.histograms]
    for our_histogram, their_histogram in zip(mine.histograms, theirs.histograms, strict=True):
        assert our_histogram.num_nan == their_histogram.num_nan
        for our_bucket, their_bucket in zip(our_histogram.buckets, their_histogram.buckets, strict=True):
            assert our_bucket.sample_count == pytest.approx(
                their_bucket.sample_count, abs=2 * QUANTILE_ERROR * len(values)
            ), name
            ours, stock = rank(values, our_bucket.high_value), rank(values, their_bucket.high_value)
            assert ours == pytest.approx(stock, abs=QUANTILE_ERROR), name


def rank(values: np.ndarray, edge: float) -> float:
    """The middle of the ranks that a value takes: many values may equal an edge."""
    return float((values < edge).mean() + (values <= edge).mean()) / 2 if len(values) else 0.0


def exact_part(feature: statistics_pb2.FeatureNameStatistics) -> statistics_pb2.FeatureNameStatistics:
    """Without what sketches and sums of floats make."""
    kept = statistics_pb2.FeatureNameStatistics()
    kept.CopyFrom(feature)
    if kept.HasField("num_stats"):
        for field in ("mean", "std_dev", "median", "histograms"):
            kept.num_stats.ClearField(field)
    if kept.HasField("string_stats"):
        kept.string_stats.avg_length = round(kept.string_stats.avg_length, 4)
    for common in (kept.num_stats.common_stats, kept.string_stats.common_stats, kept.bytes_stats.common_stats):
        common.ClearField("num_values_histogram")
    return kept


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few thousand rows make many batches."""
    monkeypatch.setattr(in_memory, "_BATCH_ROWS", 1000)
    monkeypatch.setattr(in_memory, "_READ_ROWS", 100)


@pytest.fixture(scope="module")
def taxi() -> pa.Table:
    return csv.read_csv(Path(bundled_taxi_trips()) / "data.csv")


@pytest.fixture(scope="module")
def taxi_rows(taxi: pa.Table, example: Callable[[Any], bytes]) -> list[bytes]:
    """The 15,002 rows with the types of the schema; what is missing has no value."""
    types = {feature.name: feature.type for feature in schema.read(schema.path_of("taxi_tips")).feature}
    cast: dict[int, Callable[[Any], Any]] = {schema_pb2.INT: int, schema_pb2.FLOAT: float, schema_pb2.BYTES: str}
    return [
        example({name: cast[types[name]](value) for name, value in row.items() if value not in (None, "")})
        for row in taxi.to_pylist()
    ]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("with_schema", [False, True])
def test_taxi_rows_as_with_beam(tmp_path: Path, taxi: pa.Table, taxi_rows: list[bytes], with_schema: bool) -> None:
    rows = {"train": [taxi_rows[:5000], taxi_rows[5000:9000]], "eval": [taxi_rows[9000:]]}
    examples = write_examples(tmp_path / "examples", rows)
    curated = schema.path_of("taxi_tips") if with_schema else None
    ours = run(Executor, examples, tmp_path / "ours", curated=curated)
    stock = run(tfx_statistics_gen.Executor, examples, tmp_path / "stock", curated=curated)
    assert str(ours.mlmd_artifact).replace("/ours", "/stock") == str(stock.mlmd_artifact)
    assert (ours.span, ours.split_names) == (SPAN, '["train", "eval"]')
    for split, part in (("train", slice(0, 9000)), ("eval", slice(9000, None))):

        def values(name: str, part: slice = part) -> np.ndarray:
            return np.array([value for value in taxi[name].to_pylist()[part] if value is not None], np.float64)

        assert_equal(load(ours, split), load(stock, split), values)


def write_columns(folder: Path, split: str, batch: pa.RecordBatch) -> None:
    """What ExampleGen leaves beside the one shard of a split."""
    (folder / "columns").mkdir(exist_ok=True)
    writer = ColumnShards(f"{folder}/columns/{split}", files.create, 10**9)
    writer.write(batch, np.zeros(batch.num_rows, np.uint64))
    writer.close()
    path = str(Path(str(writer.written[0].path)).relative_to(folder))
    about = dataclasses.asdict(columnar.Shard(split, path, f"Split-{split}/{ONLY}", batch.num_rows, 0, ""))
    index = folder / "columns" / columnar.INDEX
    known = json.loads(index.read_text())["shards"] if index.exists() else []
    index.write_text(json.dumps({"shards": [*known, about]}))


def with_types(rows: Sequence[bytes]) -> pa.RecordBatch:
    """Rows as ExampleGen has them: lists, and a type for a column without values, too."""
    batch = ExamplesToRecordBatchDecoder().DecodeBatch(list(rows))
    columns: dict[str, pa.Array] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_null(column.type):
            columns[name] = pa.nulls(len(rows), pa.binary())
        else:
            kind = column.type.value_type
            columns[name] = column.cast(pa.list_(pa.binary() if kind == pa.large_binary() else kind))
    return pa.RecordBatch.from_pydict(columns)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("with_schema", [False, True])
def test_statistics_of_columns_are_those_of_tf_examples(
    tmp_path: Path, taxi_rows: list[bytes], with_schema: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte, and so those of TFX; and no tf.Example is decoded."""
    found = {"taxi": with_types(taxi_rows[:9500]), "odd": with_types([kept for _, kept in odd_rows(4000)])}
    encoder = RecordBatchToExamplesEncoder()
    splits: dict[str, list[list[bytes]]] = {}
    for split, batch in found.items():
        lists = {name: typed.as_lists(batch.column(name)) for name in batch.schema.names}
        splits[split] = [encoder.encode(pa.RecordBatch.from_pydict(lists))]
    curated = tmp_path / "schema" / "schema.pbtxt"
    curated.parent.mkdir()
    curated.write_text(ODD_SCHEMA if with_schema else "")
    examples = write_examples(tmp_path / "examples", splits)
    decoded = run(Executor, examples, tmp_path / "decoded", curated=curated)
    for split, batch in found.items():
        write_columns(tmp_path / "examples", split, batch)
    monkeypatch.setattr(in_memory, "_decoded", None)
    ours = run(Executor, examples, tmp_path / "ours", curated=curated)
    for split, batch in found.items():
        mine, expected = load(ours, split), load(decoded, split)
        assert mine.num_examples == batch.num_rows
        assert mine.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)


def odd_rows(number: int) -> Iterable[tuple[dict[str, list[Any]], bytes]]:
    """Rows with lists, empty lists, NaN, infinities, and bytes that are no UTF-8 or longer than a sketch takes."""
    chosen = random.Random(5)
    for i in range(number):
        row: dict[str, list[Any]] = {
            "words": [chosen.choice([b"a", b"b", b"\xff\xfe", b"\x80", "é".encode(), b""]) for _ in range(i % 4)],
            "floats": [chosen.choice([0.0, -0.0, 1.5, float("nan"), float("inf"), -2.0]) for _ in range(i % 3)],
            "ints": [chosen.choice([-(2**62), 0, 7, 2**62])],
            "long": [b"x" * chosen.choice([10, 2000])],
            "ids": [b"id-%d" % i],
            "hours": [chosen.choice(range(24))],
        }
        if i % 5 == 0:
            del row["ints"]
        if i < number // 2:
            del row["hours"]
        features = {name: feature(values) for name, values in row.items()} | {"never": tf.train.Feature()}
        yield row, tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def feature(values: list[Any]) -> tf.train.Feature:
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values)) if values else tf.train.Feature()


ODD_SCHEMA = """
    feature { name: "hours" type: INT int_domain { min: 0 max: 23 is_categorical: true } }
    feature { name: "long" type: BYTES image_domain {} }
"""


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("text", ["", ODD_SCHEMA])
def test_odd_values_as_with_beam(tmp_path: Path, text: str) -> None:
    made = list(odd_rows(4000))
    shards = [[row for _, row in made[start : start + 1500]] for start in (0, 1500, 3000)]
    examples = write_examples(tmp_path / "examples", {"only": shards})
    curated = None
    if text:
        curated = tmp_path / "schema" / "schema.pbtxt"
        curated.parent.mkdir()
        curated.write_text(text)
    ours = run(Executor, examples, tmp_path / "ours", curated=curated)
    stock = run(tfx_statistics_gen.Executor, examples, tmp_path / "stock", curated=curated)

    def values(name: str) -> np.ndarray:
        found = np.array([value for row, _ in made for value in row.get(name, [])], np.float64)
        return found[~np.isnan(found)]

    assert_equal(load(ours, "only"), load(stock, "only"), values)
    features = {feature.path.step[0]: feature for feature in load(ours, "only").features}
    assert features["hours"].HasField("string_stats") == features["long"].HasField("bytes_stats") == bool(text)
    words = features["words"]
    assert [top.value for top in words.string_stats.top_values].count("__BYTES_VALUE__") == 2


def tree(statistics: Any) -> dict[str, bytes]:
    folder = Path(statistics.uri)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_terms(files: dict[str, bytes]) -> dict[str, Any]:
    """Statistics without the most frequent terms: TFDV's sketch of them keeps a hash table, whose order is another each time."""
    found = {}
    for name, content in files.items():
        found[name] = statistics_pb2.DatasetFeatureStatisticsList.FromString(content)
        for feature in found[name].datasets[0].features:
            if feature.HasField("string_stats"):
                feature.string_stats.ClearField("top_values")
                feature.string_stats.ClearField("rank_histogram")
    return found


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("sketches", [False, True])
def test_workers_count_the_same_bytes(
    tmp_path: Path, taxi_rows: list[bytes], sketches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each shard's worker dies once; and no tf.Example goes through Beam."""
    odd = [row for _, row in odd_rows(3000)]
    rows = {"train": [taxi_rows[n : n + 1500] for n in range(0, 12_000, 1500)], "odd": [odd[:1400], odd[1400:]]}
    examples = write_examples(tmp_path / "examples", rows | {"none": []})
    curated = schema.path_of("taxi_tips")
    options = tfdv.StatsOptions(experimental_use_sketch_based_topk_uniques=sketches).to_json()
    monkeypatch.setattr(top_k, "_MOST_VALUES", 1000)
    local = run(Executor, examples, tmp_path / "local", curated=curated, stats_options_json=options)
    count, attempts = in_memory.Count.__call__, list[str]()

    def dies_once(self: in_memory.Count, file: str) -> list[Any]:
        attempts.append(file)
        if len(attempts) == 3:
            raise OSError("the node is gone")
        return count(self, file)

    monkeypatch.setattr(in_memory.Count, "__call__", dies_once)
    far = run(Executor, examples, tmp_path / "far", runner=WORKERS, curated=curated, stats_options_json=options)
    assert len(set(attempts)) == 10
    assert len(attempts) > 10
    if sketches:
        assert without_terms(tree(local)) == without_terms(tree(far))
    else:
        assert tree(local) == tree(far)
    assert sorted(tree(far)) == [f"Split-{split}/FeatureStats.pb" for split in ("none", "odd", "train")]
    assert str(local.mlmd_artifact).replace("/local", "/far") == str(far.mlmd_artifact)


def test_rows_without_columns_are_counted_in_a_bucket(
    tmp_path: Path, bucket: str, example: Callable[[Any], bytes]
) -> None:
    examples = write_examples(tmp_path / "examples", {"train": [[example({"x": word}) for word in "abc"]]})
    local = run(Executor, examples, tmp_path / "local")
    examples.uri = f"{bucket}/examples"
    transfer.upload(tmp_path / "examples", examples.uri)
    assert tree(run(Executor, examples, tmp_path / "far", runner=WORKERS)) == tree(local)


def test_counts_that_cant_be_passed_on_are_made_here(tmp_path: Path, example: Callable[[Any], bytes]) -> None:
    """A generator whose accumulators are not on the list."""
    examples = write_examples(tmp_path / "examples", {"train": [[example({"x": word}) for word in "abc"]]})
    options = tfdv.StatsOptions(enable_semantic_domain_stats=True).to_json()
    found = [
        run(Executor, examples, tmp_path / runner, runner=runner, stats_options_json=options)
        for runner in ("--runner=FnApiRunner", WORKERS)
    ]
    assert tree(found[0]) == tree(found[1])
    assert load(found[1], "train").num_examples == 3


def test_a_split_without_rows_counts_none(tmp_path: Path, example: Callable[[Any], bytes]) -> None:
    examples = write_examples(tmp_path / "examples", {"train": [[example({"x": 1.0})], []], "eval": [[]], "test": []})
    ours = run(Executor, examples, tmp_path / "ours")
    assert [load(ours, split).num_examples for split in ("train", "eval", "test")] == [1, 0, 0]
    assert not load(ours, "test").features


def test_splits_can_be_left_out(tmp_path: Path, example: Callable[[Any], bytes]) -> None:
    examples = write_examples(tmp_path / "examples", {"train": [[example({"x": 1.0})]], "eval": []})
    ours = run(Executor, examples, tmp_path / "ours", exclude_splits='["eval"]')
    assert ours.split_names == '["train"]'
    assert not (tmp_path / "ours" / "Split-eval").exists()


@pytest.mark.parametrize("runner", ["--runner=FnApiRunner", WORKERS])
@pytest.mark.parametrize(
    "properties",
    [
        {"stats_options_json": tfdv.StatsOptions(sample_rate=0.5).to_json()},
        {"stats_options_json": tfdv.StatsOptions(label_feature="x").to_json()},
        {"sample_rate_by_split": json_utils.dumps({"train": 0.5})},
    ],
)
def test_what_needs_beam_is_left_to_tfx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: str, properties: dict[str, Any]
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(tfx_statistics_gen.Executor, "Do", lambda *arguments: asked.append(arguments))
    examples = write_examples(tmp_path / "examples", {"train": []})
    run(Executor, examples, tmp_path / "ours", runner=runner, **properties)
    assert len(asked) == 1


def test_options_and_schema_reach_the_generators(tmp_path: Path, example: Callable[[Any], bytes]) -> None:
    examples = write_examples(tmp_path / "examples", {"train": [[example({"x": word}) for word in "abcabaa"]]})
    options = tfdv.StatsOptions(num_top_values=2).to_json()
    ours = run(Executor, examples, tmp_path / "ours", stats_options_json=options)
    top = load(ours, "train").features[0].string_stats.top_values
    assert [(one.value, one.frequency) for one in top] == [("a", 4.0), ("b", 2.0)]
    with pytest.raises(ValueError, match="schema"):
        both = tfdv.StatsOptions(schema=schema_pb2.Schema(feature=[schema_pb2.Feature(name="x")])).to_json()
        curated = schema.path_of("taxi_tips")
        run(Executor, examples, tmp_path / "both", curated=curated, stats_options_json=both)


def test_large_rows_make_small_batches(tmp_path: Path, example: Callable[[Any], bytes]) -> None:
    rows = [example({"image": bytes(100_000)}) for _ in range(1500)]
    write_examples(tmp_path, {"train": [rows]})
    sizes = [len(batch) for batch in in_memory._batches(str(next(tmp_path.glob("*/*.gz"))))]
    assert sizes == [512, 512, 476]


def test_many_distinct_values_go_on_in_sketches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_k, "_MOST_VALUES", 500)
    monkeypatch.setattr(top_k, "_MOST_BYTES", 4096)
    often = pa.array([b"often"] * 3000 + [b"\xff" * 1025] * 2000, pa.large_binary())
    parts = [top_k.Values() for _ in range(3)]
    parts[0].add(often)
    for number in range(40):
        parts[1 + number % 2].add(pa.array([b"%d" % (number * 1000 + i) for i in range(1000)], pa.large_binary()))
    for other in parts[1:]:
        parts[0].merge(other)
    distinct, frequent = parts[0].result(2)
    assert distinct == pytest.approx(40_002, rel=0.03)
    assert [value for _, value in frequent] == [b"often", b"__LARGE_BYTES__"]
    least = 45_000 / 8192
    assert frequent[0][0] == pytest.approx(3000, abs=least)
    assert frequent[1][0] == pytest.approx(2000, abs=least)


def test_component_is_tfxs_with_our_executor() -> None:
    from tfx.types import channel_utils

    examples = standard_artifacts.Examples()
    node = StatisticsGen(
        code="abc",
        examples=channel_utils.as_channel([examples]),
        schema=channel_utils.as_channel([standard_artifacts.Schema()]),
    )
    assert node.id == "StatisticsGen"
    assert node.executor_spec.executor_class is Executor
    assert node.outputs["statistics"].type is standard_artifacts.ExampleStatistics


def test_of_images_only_their_lengths_are_counted(tmp_path: Path, example: Callable[..., bytes]) -> None:
    """What a task without a schema says in the options, and one with a schema in there: see `schema.of_images`."""
    rows = [example({"photo": bytes([n % 256]) * n if n else None, "id": n}) for n in range(400)]
    examples = write_examples(tmp_path / "examples", {"train": [rows]})
    options = tfdv.StatsOptions(schema=schema.of_images((Image("photo", height=8, width=8),)))
    made = load(run(Executor, examples, tmp_path / "ours", stats_options_json=options.to_json()), "train")
    photo = next(feature for feature in made.features if feature.path.step[0] == "photo")
    assert photo.WhichOneof("stats") == "bytes_stats"
    assert photo.bytes_stats.avg_num_bytes == 200.0
    assert (photo.bytes_stats.common_stats.num_non_missing, photo.bytes_stats.common_stats.num_missing) == (399, 1)
    assert (photo.bytes_stats.unique, photo.bytes_stats.max_num_bytes) == (0, 399)
