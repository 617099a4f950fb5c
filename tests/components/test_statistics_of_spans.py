"""A window that moves on: only the new span is counted, and the statistics are those of a count of all, to the byte."""

import logging
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from pyarrow import feather
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import channel_utils, standard_artifacts

from components.known_spans import KnownSpans
from components.shards import Shard
from components.statistics_gen import StatisticsGen, in_memory, top_k
from components.statistics_gen.executor import Executor

COLUMNS: schema_pb2.Schema = schema_utils.schema_from_feature_spec(
    {
        "x": tf.io.VarLenFeature(tf.float32),
        "n": tf.io.VarLenFeature(tf.int64),
        "word": tf.io.VarLenFeature(tf.string),
        "id": tf.io.VarLenFeature(tf.string),
        "late": tf.io.VarLenFeature(tf.float32),
    }
)


def rows(span: int, number: int = 300) -> list[dict[str, Any]]:
    random = np.random.default_rng(span)
    words = [f"w{word}" for word in range(span, span + 6)]
    made = [
        {"x": float(random.normal(span)), "n": int(random.integers(9)), "word": str(random.choice(words))}
        for _ in range(number)
    ]
    return [row | {"id": f"{span}-{i}"} | ({"late": 1.0} if span > 2 else {}) for i, row in enumerate(made)]


Result = tuple[Mapping[str, bytes], list[str]]
Run = Callable[..., Result]


@pytest.fixture
def run(write_examples: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function: the spans of a window to each split's statistics, and the shards that were read."""
    read: list[str] = []
    count = in_memory.Count.__call__

    def counted(self: in_memory.Count, file: str) -> list[Any]:
        read.append(file)
        return count(self, file)

    monkeypatch.setattr(in_memory.Count, "__call__", counted)
    runs = iter(range(100))

    def of(
        spans: Sequence[int],
        folder: Path | None,
        code: str = "code",
        schema: str = "",
        runner: str = "--runner=FnApiRunner",
        **options: Any,
    ) -> Result:
        place = tmp_path / f"run{next(runs)}"
        splits = {"train": [rows(span) for span in spans], "eval": [rows(span + 50, 100) for span in spans]}
        examples = write_examples(place, splits, COLUMNS, spans)
        artifact, statistics = standard_artifacts.Schema(), standard_artifacts.ExampleStatistics()
        artifact.uri, statistics.uri = str(place / "schema"), str(place / "statistics")
        (place / "schema").mkdir()
        (place / "schema" / "schema.pbtxt").write_text(schema)
        read.clear()
        properties = {
            "exclude_splits": "[]",
            "code": code,
            "stats_options_json": tfdv.StatsOptions(**options).to_json(),
        }
        context = base_beam_executor.BaseBeamExecutor.Context(beam_pipeline_args=[runner])
        Executor(context).Do(
            {"examples": [examples], "schema": [artifact]},
            {"statistics": [statistics]},
            properties | ({"known_spans": str(folder)} if folder else {}),
        )
        found = {split: (place / "statistics" / f"Split-{split}" / "FeatureStats.pb").read_bytes() for split in splits}
        numbers = {f"data_tfrecord-{number:05d}": span for number, span in enumerate(spans)}
        seen = (f"{Path(file).parent.name} {numbers[Path(file).name[:19]]}" for file in read)
        return found, sorted(seen)

    return of


def of_both(*spans: int) -> list[str]:
    return sorted(f"{split} {span}" for split in ("train", "eval") for span in spans)


def test_only_the_new_span_of_a_window_is_counted(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "known"
    assert run((1, 2, 3), folder)[1] == of_both(1, 2, 3)
    assert len(list(folder.iterdir())) == 6
    moved, read = run((2, 3, 4), folder)
    assert read == of_both(4)
    afresh, all_read = run((2, 3, 4), tmp_path / "other")
    assert all_read == of_both(2, 3, 4)
    assert moved == afresh
    again, none = run((2, 3, 4), folder)
    assert (again, none) == (afresh, [])
    shorter, none = run((3, 4), folder)
    assert (shorter, none) == (run((3, 4), tmp_path / "third")[0], [])


def test_statistics_are_those_of_a_count_without_spans(run: Run, tmp_path: Path) -> None:
    """But for the error of float sums; that of sketches is not seen in so few rows."""
    run((1, 2), tmp_path / "known")
    kept, read = run((2, 3), tmp_path / "known")
    assert read == of_both(3)
    unkept, _ = run((2, 3), None)
    for split, number in (("train", 600), ("eval", 200)):
        mine, plain = (statistics_pb2.DatasetFeatureStatisticsList.FromString(one[split]) for one in (kept, unkept))
        assert mine.datasets[0].num_examples == plain.datasets[0].num_examples == number
        for one, other in zip(mine.datasets[0].features, plain.datasets[0].features, strict=True):
            assert one.path == other.path
            assert one.string_stats == other.string_stats
            assert one.num_stats.common_stats == other.num_stats.common_stats
            for name in ("mean", "std_dev", "min", "max", "median", "num_zeros"):
                assert getattr(one.num_stats, name) == pytest.approx(getattr(other.num_stats, name), rel=1e-6)


def test_workers_count_the_new_span_of_a_window(run: Run, tmp_path: Path) -> None:
    """And whoever counted the others, the statistics are the same."""
    workers = "--runner=BundleBasedDirectRunner"
    first, read = run((1, 2, 3), tmp_path / "known", runner=workers)
    assert read == of_both(1, 2, 3)
    assert first == run((1, 2, 3), tmp_path / "other")[0]
    moved, read = run((2, 3, 4), tmp_path / "known", runner=workers)
    assert read == of_both(4)
    assert moved == run((2, 3, 4), tmp_path / "other")[0]


def test_columns_in_sketches_are_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_k, "_MOST_VALUES", 100)
    run((1, 2), tmp_path / "known")
    moved, read = run((2, 3), tmp_path / "known")
    assert read == of_both(3)
    assert moved == run((2, 3), tmp_path / "other")[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"code": "edited"},
        {"num_top_values": 3},
        {"schema": 'feature { name: "n" type: INT int_domain { is_categorical: true } }'},
    ],
)
def test_other_code_options_or_schema_are_counted(run: Run, tmp_path: Path, changed: dict[str, Any]) -> None:
    run((1, 2), tmp_path / "known")
    assert run((1, 2), tmp_path / "known", **changed)[1] == of_both(1, 2)
    assert run((1, 2), tmp_path / "known")[1] == []


def test_other_rows_are_counted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run((1, 2), tmp_path / "known")
    original = rows
    monkeypatch.setitem(globals(), "rows", lambda span, number=300: original(span + 10 if span == 2 else span, number))
    assert run((1, 2), tmp_path / "known")[1] == ["train 2"]


def test_one_span_is_no_window(run: Run, tmp_path: Path) -> None:
    one, read = run((1,), tmp_path / "known")
    assert read == of_both(1)
    assert not (tmp_path / "known").exists()
    assert one == run((1,), None)[0]


def test_a_span_that_evaluated_and_now_trains_is_known(tmp_path: Path) -> None:
    known = KnownSpans(tmp_path, "code")
    one, two, three, four = (Shard(str(span), span=span, digest=f"rows {span}") for span in (1, 2, 3, 4))
    first = {
        (split, files[0].span): key
        for split, key, files in in_memory._parts({"train": [one, two], "eval": [three]}, known)
    }
    later = {
        (split, files[0].span): key
        for split, key, files in in_memory._parts({"train": [two, three], "eval": [four]}, known)
    }
    assert later["train", 3] == first["eval", 3]
    assert later["train", 2] == first["train", 2]
    assert len({*first.values(), *later.values()}) == 4


def spoilt(path: Path) -> None:
    path.write_bytes(b"ARROW1 no more")


def cut(path: Path) -> None:
    """The pickles end too early."""
    table = feather.read_table(path, memory_map=False)
    values = [[one[:-40] for one in table["values"].to_pylist()[0]]]
    feather.write_feather(pa.table({"key": table["key"], "values": values}), path)


class Foreign:
    """Whoever loads it finds out."""

    loaded: list[str] = []  # noqa: RUF012

    def __reduce__(self) -> Any:
        return Foreign.loaded.append, ("run",)


def foreign(path: Path) -> None:
    number = len(feather.read_table(path, memory_map=False)["values"].to_pylist()[0])
    table = pa.table({"key": [b"accumulators"], "values": [[pickle.dumps(Foreign())] * number]})
    feather.write_feather(table, path)


def too_few(path: Path) -> None:
    table = feather.read_table(path, memory_map=False)
    feather.write_feather(pa.table({"key": table["key"], "values": [table["values"].to_pylist()[0][:1]]}), path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (spoilt, "its span is read again"),
        (cut, "it is counted again"),
        (foreign, "builtins.getattr: expected one of"),
        (too_few, "expected the accumulators of 2 generators. Received: 1"),
    ],
)
def test_what_cant_be_read_is_counted_again(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None], said: str
) -> None:
    folder = tmp_path / "known"
    first, _ = run((1, 2), folder)
    for path in folder.iterdir():
        damage(path)
    with caplog.at_level(logging.WARNING):
        again, read = run((1, 2), folder)
    assert (again, read) == (first, of_both(1, 2))
    assert sum(said in record.getMessage() for record in caplog.records) == 4
    assert Foreign.loaded == []
    assert run((1, 2), folder) == (first, [])


def test_what_cant_be_encoded_is_not_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_k.Values, "__getstate__", lambda self: lambda: None)
    counted, _ = run((1, 2), tmp_path / "known")
    assert not (tmp_path / "known").exists()
    assert run((1, 2), tmp_path / "known") == (counted, of_both(1, 2))


def test_component_names_the_folder() -> None:
    examples = channel_utils.as_channel([standard_artifacts.Examples()])
    node = StatisticsGen(code="abc", known_spans="gs://bucket/task/analyses/statistics", examples=examples)
    assert node.exec_properties["known_spans"] == "gs://bucket/task/analyses/statistics"
    assert "known_spans" not in StatisticsGen(code="abc", examples=examples).exec_properties
