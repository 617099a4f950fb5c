"""ExampleGen from its driver to its artifacts, through a small Beam run in this process."""

import csv
import dataclasses
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from stored import content
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.orchestration import data_types
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils

from components import by_shard
from components.artifacts import Quarantine
from components.example_gen import ExampleGen, duplicates, join
from components.example_gen import executor as module
from components.example_gen.driver import Driver
from components.example_gen.executor import Executor
from pipeline import sources
from pipeline.errors import DataBlocked, MillraceError, UsageError
from pipeline.ingest import checking, columnar, files, hashing, selection, work
from pipeline.ingest.account import Account
from pipeline.rows import RowRules
from pipeline.splits import FolderSplit, HashSplit, SpanSplit, TimeSplit
from pipeline.task import Task

HEADER = "trip,miles,fare,tips,company,hour,area"
KINDS = {"trip": "INT", "hour": "INT", "area": "INT", "company": "BYTES"}


def row(trip: int | str, company: str = "Blue") -> str:
    return f"{trip},1.5,10.0,2.0,{company},7,3"


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run wrote."""

    examples: Any
    quarantine: Path
    resolved: dict[str, Any]

    @property
    def account(self) -> dict[str, Any]:
        return dict(json.loads((self.quarantine / "account.json").read_text()))

    @property
    def bad(self) -> list[dict[str, Any]]:
        return list(pq.read_table(self.quarantine / "rows.parquet").to_pylist())

    def trips(self, split: str) -> list[int]:
        """The trips of a split, read by TensorFlow, which checks every checksum."""
        files = sorted(Path(artifact_utils.get_split_uri([self.examples], split)).iterdir())
        assert [file.name for file in files] == [
            f"data_tfrecord-{n:05d}-of-{len(files):05d}.gz" for n in range(len(files))
        ]
        records = tf.data.TFRecordDataset([str(file) for file in files], "GZIP").as_numpy_iterator()
        parsed = [tf.train.Example.FromString(record).features.feature for record in records]
        return [features["trip"].int64_list.value[0] for features in parsed]


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, tiny: Task, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Writes files, name -> lines or bytes, and runs driver and executor on them."""
    schema = schema_pb2.Schema()
    for name in HEADER.split(","):
        kind = schema_pb2.FeatureType.Value(KINDS.get(name, "FLOAT"))
        schema.feature.add(name=name, type=kind)
    schema_file = tmp_path / "schema" / "schema.pbtxt"
    io_utils.write_pbtxt_file(str(schema_file), schema)

    def go(
        contents: Mapping[str, Sequence[str] | bytes],
        pattern: str = "",
        span: int | None = None,
        window: int = 1,
        curated: bool = True,
        where: str | None = None,
        runner: str = "--runner=FnApiRunner",
        beam_options: Sequence[str] = (),
        **settings: Any,
    ) -> Result:
        data = where or str(tmp_path / "data")
        for name, lines in contents.items():
            if not where:
                Path(data, name).parent.mkdir(parents=True, exist_ok=True)
            with files.create(f"{data}/{name}") as stream:
                stream.write(lines if isinstance(lines, bytes) else "\n".join([HEADER, *lines]).encode())
        source = sources.Csv(f"{data}/{pattern}" if pattern else data)
        task = dataclasses.replace(tiny, source=source, **settings)
        monkeypatch.setattr(module.tasks, "load", lambda name, overrides: task)
        base, patterns = selection.patterns(source, task.split)
        made = {
            "task": task.name,
            "overrides": [],
            "source": sources.settings(source),
            "needed": {**task.columns, "trip": "a feature"},
        }
        component = ExampleGen(base, patterns, task.split.names, made, span=span, window=window)
        resolved = Driver(None).resolve_exec_properties(
            dict(component.spec.exec_properties),
            data_types.PipelineInfo("tiny", str(tmp_path)),
            data_types.ComponentInfo("ExampleGen", "ExampleGen", None),
        )
        examples, kept_out = standard_artifacts.Examples(), Quarantine()
        number = len(list(tmp_path.glob("out*")))
        out = tmp_path / f"out{number or ''}"
        examples.uri, kept_out.uri = str(out / "examples"), str(out / "quarantine")
        known = standard_artifacts.Schema()
        known.uri = str(schema_file.parent)
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=[runner, *beam_options], tmp_dir=str(tmp_path / "tmp"), unique_id="1"
        )
        Executor(context).Do(
            {"schema": [known]} if curated else {}, {"examples": [examples], "quarantine": [kept_out]}, resolved
        )
        return Result(examples, Path(kept_out.uri), resolved)

    return go


def left_behind(tmp_path: Path) -> Iterator[Path]:
    """Files in the output."""
    return (path for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_files_with_duplicates_and_bad_rows(run: Run, tmp_path: Path) -> None:
    """Keys that repeat within a file and across files; the first of each stays, in the order of the files' names."""
    result = run(
        {
            "1.csv": [row(1), row(2), row(2, "Teal"), row("x")],
            "2.csv": [row(3), row(1, "Teal"), "4,5", row(5)],
            "3.csv.gz": gzip.compress("\n".join([HEADER, row(6), "", row(3, "Teal")]).encode()),
            "_SUCCESS": b"",
        },
        rows=RowRules(key=("trip",)),
    )
    train, evaluation = result.trips("train"), result.trips("eval")
    assert sorted(train + evaluation) == [1, 2, 3, 5, 6]
    place = [(Path(bad["file"]).name, bad["line"], bad["rule"]) for bad in result.bad]
    assert place == [
        ("1.csv", 4, "unique"),
        ("1.csv", 5, "type"),
        ("2.csv", 3, "unique"),
        ("2.csv", 4, "parse"),
        ("3.csv.gz", 4, "unique"),
    ]
    assert all("Teal" in bad["row"] for bad in result.bad if bad["rule"] == "unique")
    account = result.account
    assert (account["rows"], account["quarantined"]) == (10, 5)
    assert account["splits"] == {"train": len(train), "eval": len(evaluation)}
    assert {entry["rule"]: entry["rows"] for entry in account["rules"]} == {"unique": 3, "type": 1, "parse": 1}
    assert [(Path(f["file"]).name, f["rows"], f["quarantined"]) for f in account["files"]] == [
        ("1.csv", 4, 2),
        ("2.csv", 4, 2),
        ("3.csv.gz", 2, 1),
    ]
    assert (account["task"], account["span"], account["window"], account["gaps"]) == ("tiny", 0, 1, [])
    assert (account["max_bad_fraction"], account["hash_fraction"]) == (0.01, 1.0)
    with (result.quarantine / "rows.csv").open(newline="") as stream:
        readable = list(csv.DictReader(stream))
    assert [(bad["line"], bad["rule"]) for bad in readable] == [(str(line), rule) for _, line, rule in place]
    for kind in ("hashes", "entities"):
        found = {split: np.load(result.quarantine / kind / f"{split}.npy") for split in ("train", "eval")}
        assert {split: len(values) for split, values in found.items()} == account["splits"]
        assert all(values.dtype == np.uint64 for values in found.values())
        assert not np.intersect1d(found["train"], found["eval"]).size
    names = {str(path.relative_to(tmp_path / "out")).split("-of-")[0] for path in left_behind(tmp_path)}
    assert names == {
        *(f"examples/Split-{split}/data_tfrecord-{n:05d}" for split, n in _shards(result)),
        *(f"examples/columns/{split}/data_tfrecord-{n:05d}" for split, n in _shards(result)),
        "examples/columns/index.json",
        *(f"quarantine/{kind}/{split}.npy" for kind in ("hashes", "entities") for split in ("train", "eval")),
        *(f"quarantine/{name}" for name in ("account.json", "rows.csv", "rows.parquet")),
    }
    assert artifact_utils.decode_split_names(result.examples.split_names) == ["train", "eval"]
    assert examples_utils.get_payload_format(result.examples) == 6  # FORMAT_TF_EXAMPLE
    assert examples_utils.get_file_format(result.examples) == "tfrecords_gzip"


def test_columns_have_the_rows_of_the_shards(run: Run) -> None:
    """Of each span apart; what is in a shard is known by its digest."""
    spans = {f"{n}/{part}.csv": [row(n * 1000 + part * 100 + i) for i in range(40)] for n in (1, 2) for part in (1, 2)}
    first = run(spans, "{SPAN}/*.csv", window=2)
    index = columnar.index(first.examples.uri)
    for split in ("train", "eval"):
        files_ = columnar.shards(first.examples.uri, split)
        assert files_
        batches = columnar.batches(files_, 7, ["trip"])
        assert [value for batch in batches for (value,) in batch.column("trip").to_pylist()] == first.trips(split)
        shards = [shard for shard in index if shard.split == split]
        assert [shard.span for shard in shards] == [1, 2]
        assert sum(shard.rows for shard in shards) == first.account["splits"][split]
        for shard, file in zip(shards, files_, strict=True):
            assert Path(first.examples.uri, shard.records).exists()
            assert f"{first.examples.uri}/{shard.file}" == file
            trips = [v for b in columnar.batches([file], 100) for (v,) in b.column("trip").to_pylist()]
            assert {trip // 1000 for trip in trips} == {shard.span}
    second = run({"3/1.csv": [row(3001)]}, "{SPAN}/*.csv", window=2)
    again = columnar.index(second.examples.uri)
    assert {s.digest for s in index if s.span == 2} == {s.digest for s in again if s.span == 2}
    assert not {s.digest for s in index} & {s.digest for s in again if s.span == 3}


def test_a_split_without_rows_has_columns_without_rows(run: Run) -> None:
    result = run({"1.csv": [row(1)]})
    (empty,) = (split for split, rows in result.account["splits"].items() if not rows)
    found = columnar.shards(result.examples.uri, empty)
    assert found
    assert len(found) == 1
    assert list(columnar.batches(found, 10)) == []
    assert list(columnar.batches(found, 10, ["trip"])) == []


def test_heavy_rows_have_no_columns(run: Run) -> None:
    """Such as images: they are as large in TFRecords, and reading them is no more than copying."""
    result = run({"1.csv": [row(trip, company="b" * 9000) for trip in range(20)]})
    assert columnar.shards(result.examples.uri, "train") is None
    assert [path.name for path in Path(result.examples.uri, "columns").rglob("*") if path.is_file()] == ["index.json"]
    assert {(s.file, s.split) for s in columnar.index(result.examples.uri)} == {(None, "train"), (None, "eval")}


def _shards(result: Result) -> list[tuple[str, int]]:
    folders = {split: Path(artifact_utils.get_split_uri([result.examples], split)) for split in ("train", "eval")}
    return [(split, n) for split, folder in folders.items() for n in range(len(list(folder.iterdir())))]


def test_all_broken_files_are_told_and_nothing_is_left(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DataBlocked) as caught:
        run({"1.csv": [row(1)], "2.csv": b"", "3.csv.gz": gzip.compress(f"{HEADER}\n{row(3)}".encode())[:-4]})
    assert "2 of 3 files can't be used:" in str(caught.value)
    assert "2.csv: the file is empty" in str(caught.value)
    assert "3.csv.gz: the compressed file is truncated" in str(caught.value)
    assert not list(left_behind(tmp_path))


def test_one_broken_file_is_told_as_it_is(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DataBlocked, match=r"^\S+2\.csv: the columns are not those of the task") as caught:
        run({"1.csv": [row(1)], "2.csv": b"trip,hour\n1,2\n"}, rows=RowRules(key=("trip",)))
    assert "column 'fare', a feature, is missing" in str(caught.value)
    assert not list(left_behind(tmp_path))


def test_a_file_that_is_gone_is_a_usage_error() -> None:
    """A manifest of each kind, as the workers tell them."""
    gone, damaged = ({"failed": [["E", usage]]} for usage in (True, False))
    with pytest.raises(UsageError, match=r"^E$"):
        join.check([gone], 1)
    with pytest.raises(DataBlocked, match=r"2 of 2 files"):
        join.check([gone, damaged], 2)


def test_rows_from_a_bucket(run: Run, bucket: str) -> None:
    """A window of spans, by TFX's driver and our executor, over real HTTP; a file that is changed is another input."""
    days = {f"{day}/trips.csv": [row(10 * day + trip) for trip in range(4)] for day in (1, 2, 3)}
    where = f"{bucket}/days"
    result = run(days, pattern="{SPAN}/*.csv", window=2, where=where)
    assert sorted(result.trips("train") + result.trips("eval")) == [20, 21, 22, 23, 30, 31, 32, 33]
    assert [entry["file"] for entry in result.account["files"]] == [f"{where}/2/trips.csv", f"{where}/3/trips.csv"]
    assert result.resolved["span"] == 3
    again = run({"2/trips.csv": [row(99)]}, pattern="{SPAN}/*.csv", window=2, where=where)
    assert again.resolved["input_fingerprint"] != result.resolved["input_fingerprint"]
    assert 99 in again.trips("train") + again.trips("eval")


def test_a_split_without_rows_has_a_shard_without_records(run: Run) -> None:
    """TFX expects a file in each split."""
    result = run({"1.csv": [row(1)]})
    splits = result.account["splits"]
    assert splits in ({"train": 1, "eval": 0}, {"train": 0, "eval": 1})
    assert [len(result.trips(split)) for split in ("train", "eval")] == list(splits.values())


def test_without_a_schema_all_rows_say_the_types(run: Run) -> None:
    result = run({"1.csv": [row(1), row(2)], "2.csv": [row(3)]}, curated=False)
    assert sorted(result.trips("train") + result.trips("eval")) == [1, 2, 3]
    assert result.bad == []


def test_folders_are_splits(run: Run) -> None:
    result = run({"train/1.csv": [row(1), row(2)], "dev/1.csv": [row(1)]}, split=FolderSplit(eval="dev"))
    assert (result.trips("train"), result.trips("eval")) == ([1, 2], [1])
    assert result.account["splits"] == {"train": 2, "eval": 1}


def test_eval_comes_out_of_the_folder_train(run: Run) -> None:
    """As the images of MNIST come: the folder test is held out as a whole, and the account still adds up."""
    rows = [row(n) for n in range(40)]
    made = {"train/1.csv": rows[:20], "train/2.csv": rows[20:], "test/1.csv": [row(50), row(51)]}
    result = run(made, split=FolderSplit(eval=None, test="test", train_parts=3, eval_parts=1))
    train, held_out = result.trips("train"), result.trips("eval")
    assert (sorted(train + held_out), result.trips("test")) == (list(range(40)), [50, 51])
    assert 0 < len(held_out) < len(train)
    assert result.account["splits"] == {"train": len(train), "eval": len(held_out), "test": 2}


DAYS: dict[str, Sequence[str] | bytes] = {f"{n}/a.csv": [row(n)] for n in (1, 2, 3, 5, 6)}


def test_the_newest_spans_evaluate(run: Run) -> None:
    result = run(DAYS, pattern="{SPAN}/*.csv", window=4, split=SpanSplit(eval=1, test=1))
    assert {split: result.trips(split) for split in ("train", "eval", "test")} == {
        "train": [3],
        "eval": [5],
        "test": [6],
    }
    account = result.account
    assert (account["span"], account["window"], account["gaps"]) == (6, 4, ["4"])
    assert [entry["span"] for entry in account["files"]] == [3, 5, 6]


def test_a_span_that_is_asked_for(run: Run) -> None:
    result = run(DAYS, pattern="{SPAN}/*.csv", span=2)
    assert result.trips("train") + result.trips("eval") == [2]
    assert result.account["span"] == 2


def test_a_date_and_its_window(run: Run) -> None:
    days = {f"2024-01-{n:02d}.csv": [row(n)] for n in (30, 31)} | {"2024-02-01.csv": [row(1)]}
    result = run(days, pattern="{YYYY}-{MM}-{DD}.csv", window=2)
    assert sorted(result.trips("train") + result.trips("eval")) == [1, 31]
    assert result.account["gaps"] == []


def test_the_fingerprint_covers_every_span_of_the_window(run: Run) -> None:
    before = run(DAYS, pattern="{SPAN}/*.csv", window=3).resolved["input_fingerprint"]
    older = run({"5/a.csv": [row(5), row(55)]}, pattern="{SPAN}/*.csv", window=3).resolved["input_fingerprint"]
    assert before != older
    assert before.count("num_files:1") == older.count("num_files:1") == 2
    assert before.splitlines()[0] == "span:5"


def test_times_divide_and_their_ranges_are_noted(run: Run) -> None:
    split = TimeSplit("hour", eval_from="1970-01-01T00:00:10")
    rows = [f"{trip},1.5,10,2,Blue,{hour},3" for trip, hour in enumerate(("3", "9", "10", "", "11"))]
    result = run({"1.csv": rows}, split=split)
    assert (result.trips("train"), result.trips("eval")) == ([0, 1], [2, 4])
    assert result.account["times"] == {"train": [3.0, 9.0], "eval": [10.0, 11.0]}
    assert [(bad["line"], bad["rule"]) for bad in result.bad] == [(5, "split")]


def test_rows_of_an_entity_are_in_one_split(run: Run) -> None:
    rows = [row(trip, f"company {trip % 7}") for trip in range(40)]
    result = run({"1.csv": rows}, split=HashSplit(train=1, eval=1, by=("company",)))
    sides = [{trip % 7 for trip in result.trips(split)} for split in ("train", "eval")]
    assert not sides[0] & sides[1]
    found = [np.load(result.quarantine / "entities" / f"{split}.npy") for split in ("train", "eval")]
    assert not np.intersect1d(*found).size
    assert sum(len(np.unique(values)) for values in found) == 7


def test_nothing_to_read(run: Run) -> None:
    with pytest.raises(UsageError, match="no"):
        run({"1/a.csv": [row(1)]}, pattern="{SPAN}/*.tsv")


WORKERS = "--runner=BundleBasedDirectRunner"


def tree(result: Result) -> dict[str, bytes]:
    """All that a run wrote: path -> bytes."""
    return {
        str(path.relative_to(folder.parent)): content(path)
        for folder in (Path(result.examples.uri), result.quarantine)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each file is a unit of work."""
    monkeypatch.setattr(module, "_GROUP", 1)


MANY: dict[str, Sequence[str] | bytes] = {
    "1.csv": [row(1), row(2), row(2, "Teal"), row("x")],
    "2.csv": [row(3), row(1, "Teal"), "4,5", row(5)],
    "3.csv.gz": gzip.compress("\n".join([HEADER, row(6), "", row(3, "Teal")]).encode()),
    "4.csv": [row(trip, company=f"c{trip % 9}") for trip in range(3, 300)],
}


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("curated", [True, False])
def test_workers_write_the_same_bytes(run: Run, curated: bool) -> None:
    """Shards, columns, index, account, quarantine and samples of hashes, with and without keys and a schema."""
    contents = {name: lines for name, lines in MANY.items() if curated or name != "2.csv"}
    for settings in ({"rows": RowRules(key=("trip",))}, {}):
        local = run(contents, curated=curated, **settings)
        far = run({}, curated=curated, runner=WORKERS, **settings)
        assert local.examples.uri != far.examples.uri
        assert tree(local) == tree(far)
        assert len([name for name in tree(far) if "Split-train" in name]) >= 3
        assert local.examples.split_names == far.examples.split_names


@pytest.mark.usefixtures("small_groups")
def test_workers_in_processes_of_their_own(run: Run) -> None:
    """What they are sent is pickled, and nothing of this process is there."""
    local = run(MANY)
    runner = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    assert tree(local) == tree(run({}, runner=runner, beam_options=["--direct_running_mode=multi_processing"]))


@pytest.mark.usefixtures("small_groups")
def test_workers_tell_what_is_wrong_as_threads_do(run: Run, tmp_path: Path) -> None:
    damaged = {**MANY, "5.csv": b"", "6.csv": b"trip,hour\n1,2\n"}
    told = []
    for runner in ("--runner=FnApiRunner", WORKERS):
        with pytest.raises(DataBlocked, match="2 of 6 files can't be used:") as caught:
            run(damaged, runner=runner)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert not list(left_behind(tmp_path))


@pytest.mark.usefixtures("small_groups")
def test_a_file_that_was_read_twice_counts_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two first attempts die when their parts are written, and with them what else their worker did."""
    local = run(MANY)
    real = module.Ingest.__call__
    attempts: list[str] = []

    def dies_first(self: Any, group: Any) -> dict[str, Any]:
        manifest = real(self, group)
        attempts.append(Path(group.units[0].path).name)
        if attempts[-1] in ("2.csv", "4.csv") and attempts.count(attempts[-1]) == 1:
            raise OSError("the node is gone")
        return manifest

    monkeypatch.setattr(module.Ingest, "__call__", dies_first)
    far = run({}, runner=WORKERS)
    assert set(attempts) == set(MANY)
    assert min(attempts.count(name) for name in ("2.csv", "4.csv")) >= 2
    assert tree(local) == tree(far)


def test_the_first_row_of_a_key_stays_wherever_the_others_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one piece of hashes, in several of a group, in other groups."""
    hashes = {0: [8, 7, 7, 9], 1: [7, 8, 5], 2: [5, 6, 7]}

    def checked(job: Any, unit: checking.Unit) -> Iterator[checking.Checked]:
        for first in (0, 2):
            values = np.array(hashes[unit.index][first : first + 2], np.uint64)
            yield checking.Checked({}, values, values, first, [], Account())

    monkeypatch.setattr(checking, "checked", checked)
    monkeypatch.setattr(checking, "keys", lambda job, part: part.hashes)
    for most in (1, 3, 1000):
        monkeypatch.setattr(duplicates, "_HELD", most)
        groups = [[checking.Unit("a", 0), checking.Unit("b", 1)], [checking.Unit("c", 2)]]
        found = duplicates.find(Any, groups, 3, by_shard.Threads(), str(tmp_path))
        listed = [{file: places.tolist() for file, places in duplicates.load(one).items()} for one in found]
        assert listed == [{0: [2], 1: [0, 1]}, {2: [0, 2]}]
        assert all(isinstance(file, int) for one in listed for file in one)


def test_a_key_that_all_rows_have_does_not_fill_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def checked(job: Any, unit: checking.Unit) -> Iterator[checking.Checked]:
        for first in range(0, 100_000, 1000):
            values = np.full(1000, 7, np.uint64)
            yield checking.Checked({}, values, values, first, [], Account())

    monkeypatch.setattr(checking, "checked", checked)
    monkeypatch.setattr(checking, "keys", lambda job, part: part.hashes)
    met: list[int] = []
    real = duplicates.Repeated.__call__

    def counting(self: Any, extents: Any) -> Any:
        met.append(sum(stop - start for _, start, stop in extents))
        return real(self, extents)

    monkeypatch.setattr(duplicates.Repeated, "__call__", counting)
    groups = [[checking.Unit(str(index), index)] for index in range(3)]
    found = duplicates.find(Any, groups, 4, by_shard.Threads(), str(tmp_path))
    assert sorted(met) == [0, 0, 0, 3]
    listed = [duplicates.load(one) for one in found]
    assert [len(one[index]) for index, one in enumerate(listed)] == [99_999, 100_000, 100_000]


def test_an_account_that_does_not_add_up_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is lost between reading and writing."""
    real = work._write

    def lossy(job: Any, unit: Any, part: checking.Checked, *args: Any) -> None:
        kept = {name: column.slice(1) for name, column in part.columns.items()}
        part = dataclasses.replace(part, columns=kept, hashes=hashing.rows(kept)) if part.columns else part
        real(job, unit, part, *args)

    monkeypatch.setattr(work, "_write", lossy)
    with pytest.raises(MillraceError, match="does not add up: 2 came in"):
        run({"1.csv": [row(1), row(2)]})


def test_small_files_share_shards_and_large_ones_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GROUP", 10)
    units = []
    for index, size in enumerate((4, 4, 4, 11, 1, 9)):
        (tmp_path / f"{index}.csv").write_bytes(b"x" * size)
        units.append(checking.Unit(str(tmp_path / f"{index}.csv"), index))
    sizes = [module._size(unit) for unit in units]
    groups = [[unit.index for unit in group] for group in module._groups(units, sizes)]
    assert groups == [[0, 1], [2], [3], [4, 5]]


def test_all_rows_bad_is_accounted_for(run: Run) -> None:
    """A whole column retyped: nothing passes, and the gate has everything to say so."""
    result = run({"1.csv": [row("x"), row("y")], "2.csv": [row("z")]})
    assert result.trips("train") == result.trips("eval") == []
    assert (result.account["rows"], result.account["quarantined"]) == (3, 3)
    assert [(bad["line"], bad["rule"], bad["value"]) for bad in result.bad] == [
        (2, "type", "x"), (3, "type", "y"), (2, "type", "z"),
    ]  # fmt: skip


def test_equal_files_have_equal_digests(run: Run) -> None:
    days = {"1/a.csv": [row(1), row(2)], "2/a.csv": [row(2), row(1)], "3/a.csv": [row(1), row(3)]}
    files = run(days, pattern="{SPAN}/*.csv", window=3).account["files"]
    assert files[0]["digest"] == files[1]["digest"] != files[2]["digest"]
    assert [file["span_name"] for file in files] == ["1", "2", "3"]
