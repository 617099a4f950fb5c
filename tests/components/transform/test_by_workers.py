"""The workers of a Beam runner write what threads of one process write, to the last byte."""

import functools
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.internal import pickler
from apache_beam.options.pipeline_options import PipelineOptions
from pyarrow import csv
from stored import content
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from components import by_shard
from components.shards import Shard, shards
from components.transform import analysis, phases
from components.transform.executor import Executor
from components.transform.materialise import materialise_all
from pipeline import schema, sources
from pipeline.errors import DataBlocked
from pipeline.transform import preprocessing_fn

RUNNER = "BundleBasedDirectRunner"


def _schema(**kinds: tf.DType) -> schema_pb2.Schema:
    return schema_utils.schema_from_feature_spec({name: tf.io.VarLenFeature(kind) for name, kind in kinds.items()})


def taxi_rows() -> tuple[list[dict[str, Any]], schema_pb2.Schema]:
    path = schema.path_of("taxi_tips")
    assert path
    known = schema.read(path)
    rows = csv.read_csv(next(Path(sources.bundled_taxi_trips()).glob("*.csv"))).slice(0, 400).to_pylist()
    float_type = schema_pb2.FeatureType.FLOAT
    floats = {feature.name for feature in known.feature if feature.type == float_type}
    names = {feature.name for feature in known.feature}
    of = [{name: value for name, value in row.items() if name in names and value not in (None, "")} for row in rows]
    return [{name: float(value) if name in floats else value for name, value in row.items()} for row in of], known


def review_rows() -> tuple[list[dict[str, Any]], schema_pb2.Schema]:
    random = np.random.default_rng(1)
    words = ["good", "bad", "film", "an", "Actor", "plot", "great", "dull"]
    rows = [{"text": " ".join(random.choice(words, 12)), "label": i % 2} for i in range(120)]
    return rows, _schema(text=tf.string, label=tf.int64)


def digit_rows() -> tuple[list[dict[str, Any]], schema_pb2.Schema]:
    random = np.random.default_rng(2)
    images = random.integers(0, 256, (40, 8, 8, 1), np.uint8)
    rows = [{"image": tf.io.encode_png(image).numpy(), "label": str(i % 10)} for i, image in enumerate(images)]
    return rows, _schema(image=tf.string, label=tf.string)


TASKS = {"taxi_tips": taxi_rows, "movie_reviews": review_rows, "digits": digit_rows}


def of_task(name: str) -> Callable[..., Any]:
    """The preprocessing_fn as TFX binds it."""
    return functools.partial(preprocessing_fn, custom_config={"task": name, "overrides": []})


def pipeline() -> beam.Pipeline:
    return beam.Pipeline(options=PipelineOptions([f"--runner={RUNNER}"]))


@pytest.fixture(autouse=True)
def as_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No function that this process has traced is at hand."""
    monkeypatch.setattr(phases, "_made", {})
    monkeypatch.setattr(phases.Phase, "is_traced", lambda *_: None)


def constants(graph: Path) -> list[bytes]:
    """What is fixed in a transform graph, but for places of temporary files."""
    model = saved_model_pb2.SavedModel.FromString((graph / "transform_fn" / "saved_model.pb").read_bytes())
    definition = model.meta_graphs[0].graph_def
    values = [
        node.attr["value"].tensor
        for part in (definition, *definition.library.function)
        for node in (part.node if part is definition else part.node_def)
        if node.op == "Const"
    ]
    return sorted(value.SerializeToString() for value in values if value.dtype != tf.string.as_datatype_enum)


@pytest.mark.parametrize("task", TASKS)
def test_workers_write_what_threads_write(
    task: str, write_examples: Callable[..., Any], transform: Callable[..., Any], tmp_path: Path
) -> None:
    rows, known = TASKS[task]()
    third = len(rows) // 3
    splits = {"train": [rows[:third], rows[third : 2 * third]], "eval": [rows[2 * third :]]}
    examples = write_examples(tmp_path / "examples", splits, known)
    threads, workers = (
        transform(Executor, examples, known, of_task(task), tmp_path / runner, runner)
        for runner in ("FnApiRunner", RUNNER)
    )
    assert constants(workers.folder) == constants(threads.folder)
    assert workers.vocabularies() == threads.vocabularies()
    assert {"taxi_tips": 2, "movie_reviews": 1, "digits": 0}[task] <= len(workers.vocabularies())
    for split, count in (("train", 2), ("eval", 1)):
        ours, theirs = workers.files(split), threads.files(split)
        names = [f"transformed_examples-{number:05d}-of-{count:05d}.gz" for number in range(count)]
        assert sorted(path.name for path in Path(ours[0]).parent.iterdir()) == names
        for mine, other in zip(ours, theirs, strict=True):
            assert content(Path(mine)) == content(Path(other))
    assert [path.name for path in workers.folder.iterdir() if path.name.startswith(".")] == []


class Recorded(by_shard.Threads):
    """Threads, and what a runner would send to workers: name -> pickled function and item, and the result."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[bytes, Any]] = {}

    def each(self, name: str, function: Any, items: Sequence[Any], form: by_shard.Form[Any]) -> Iterator[Any]:
        for item in items:
            result = function(item)
            self.sent[name] = pickler.dumps((function, item, form.dump)), form.dump(result)
            yield result


_WORKER = """
import sys
from pathlib import Path
from apache_beam.internal import pickler
function, item, dump = pickler.loads(Path(sys.argv[1]).read_bytes())
Path(sys.argv[2]).write_bytes(dump(function(item)))
"""


def test_what_is_sent_does_the_same_in_a_fresh_process(write_examples: Callable[..., Any], tmp_path: Path) -> None:
    rows, known = taxi_rows()
    files = shards(write_examples(tmp_path / "examples", {"train": [rows[:250], rows[250:]]}, known), "train")
    recorded = Recorded()
    transform = analysis.analyse(
        of_task("taxi_tips"), known, files, str(tmp_path / "graph"), phases.Files(str(tmp_path / "tmp")), recorded
    )
    (tmp_path / "rows").mkdir()
    parts = tmp_path / "rows" / ".parts"
    kept: dict[str, bytes] = {}
    for name, (sent, result) in list(recorded.sent.items()):
        kept[name] = in_fresh_process(sent, tmp_path)
        assert kept[name] == result
    assert set(kept) == {"Analyse"}
    materialise_all(recorded, transform, {str(tmp_path / "rows"): files})
    assert not parts.exists()
    parts.mkdir()
    path = json.loads(in_fresh_process(recorded.sent["Transform"][0], tmp_path))
    assert gzip.decompress(Path(path).read_bytes()) == content(
        tmp_path / "rows" / "transformed_examples-00001-of-00002.gz"
    )


def in_fresh_process(sent: bytes, folder: Path) -> bytes:
    (folder / "sent").write_bytes(sent)
    subprocess.run([sys.executable, "-c", _WORKER, folder / "sent", folder / "result"], check=True, timeout=120)
    return (folder / "result").read_bytes()


def test_a_process_keeps_the_last_few_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "_made", {})
    for key in ("a", "b", "c", "d"):
        phases._once(key, lambda: (None, None))  # type: ignore[arg-type, return-value]
    assert list(phases._made) == ["a", "b", "c", "d"]
    phases._once("e", lambda: (None, None))  # type: ignore[arg-type, return-value]
    assert list(phases._made) == ["b", "c", "d", "e"]


class Twice(by_shard.Threads):
    """Every shard is worked on again, as by a worker that was thought dead."""

    def each(self, name: str, function: Any, items: Sequence[Any], form: by_shard.Form[Any]) -> Iterator[Any]:
        for item in items:
            function(item)
            yield function(item)


def test_a_shard_that_was_worked_on_twice_counts_once(write_examples: Callable[..., Any], tmp_path: Path) -> None:
    rows, known = review_rows()
    files = shards(write_examples(tmp_path / "examples", {"train": [rows[:70], rows[70:]]}, known), "train")
    found = []
    for spread in (by_shard.Threads(), Twice()):
        place = tmp_path / type(spread).__name__
        (place / "rows").mkdir(parents=True)
        made = analysis.analyse(
            of_task("movie_reviews"), known, files, str(place), phases.Files(str(place / "tmp")), spread
        )
        materialise_all(spread, made, {str(place / "rows"): files})
        found.append({path.name: content(path) for path in (place / "rows").iterdir()})
    assert sorted(found[0]) == [f"transformed_examples-0000{number}-of-00002.gz" for number in range(2)]
    assert found[0] == found[1]


def test_a_damaged_shard_is_the_same_error_on_a_worker(write_examples: Callable[..., Any], tmp_path: Path) -> None:
    rows, known = review_rows()
    files = shards(write_examples(tmp_path / "examples", {"train": [rows[:70], rows[70:]]}, known), "train")
    Path(str(files[1].columns)).write_bytes(b"no columns")
    messages = []
    for spread in (by_shard.Threads(), by_shard.Workers(pipeline, str(tmp_path / "spread"))):
        with pytest.raises(DataBlocked, match="columns") as error:
            analysis.analyse(
                of_task("movie_reviews"), known, files, str(tmp_path), phases.Files(str(tmp_path / "tmp")), spread
            )
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_a_process_traces_a_phase_once_and_keeps_the_last_few(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[str] = []

    def trace(phase: phases.Phase) -> Any:
        traced.append(phase.key)
        return phase.key

    monkeypatch.setattr(phases.Phase, "_traced", trace)
    of = [phases.Phase(preprocessing_fn, b"", key=str(number)) for number in range(5)]
    assert [phase.ready() for phase in (of[0], of[0], *of[1:], of[4], of[0])] == [
        "0",
        "0",
        "1",
        "2",
        "3",
        "4",
        "4",
        "0",
    ]
    assert traced == ["0", "1", "2", "3", "4", "0"]


def test_no_shards_are_no_pass(tmp_path: Path) -> None:
    _, known = review_rows()
    made = analysis.analyse(
        of_task("movie_reviews"), known, [], str(tmp_path), phases.Files(str(tmp_path / "tmp")), by_shard.Threads()
    )
    rows, _ = made.ready()
    assert list(rows.specs) == ["label", "text"]
    assert not list(by_shard.Threads().each("None", len, list[Shard](), by_shard.JSON))
