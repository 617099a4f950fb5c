"""Real conversions, run by LiteRT on real rows: parity, gates, what can't be converted."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tfx.types import standard_artifacts

from components.artifacts import LiteModel
from components.lite import executor
from components.lite.convert import Part
from components.lite.executor import convert, gates, records
from pipeline.errors import DataBlocked
from pipeline.export import Trained, export
from pipeline.features import Image, Numeric, Text
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary, MultiClass, Scale
from pipeline.lite import Lite
from pipeline.models.base import inputs_of
from pipeline.models.cnn import Cnn
from pipeline.models.dnn import Dnn
from pipeline.models.text_rnn import TextRnn
from pipeline.task import Task
from pipeline.transform_graph import TransformGraph

ALL = Lite(formats=("float32", "float16", "dynamic_range", "int8"), calibration_rows=100, evaluation_rows=200)


@dataclass(frozen=True)
class Ready:
    """A task, its model on disk, and its rows."""

    task: Task
    trained: Trained
    path: str
    data: Any

    def convert(self, **settings: Any) -> tuple[dict[str, Any], dict[Any, bytes]]:
        task = replace(self.task, lite=replace(self.task.lite, **settings))
        return convert(task, self.path, self.trained.graph, self.data.raw_files, self.data.raw_files)


def ready(task: Task, data: Any, path: str, steps: int) -> Ready:
    """The task's model after some steps on all rows at once."""
    keras.utils.set_random_seed(5)
    inputs = inputs_of(task.features)
    model = keras.Model(inputs, task.model.scores(task.features, inputs, task.label.units))
    trained = Trained(model, Scale(), TransformGraph(data.transform), task.features, task.label)
    read = {f.transformed: f.model_input(tf.constant(data.columns[f.transformed])) for f in task.features}
    target = tf.constant(data.columns[task.label.transformed], tf.float32)
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(task.label.losses(target, model(read, training=True), Scale()))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    for _ in range(steps):
        step()
    export(trained, path)
    return Ready(task, trained, path, data)


@pytest.fixture(scope="module")
def tips(tiny: Task, tiny_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Ready:
    return ready(replace(tiny, lite=ALL), tiny_data, str(tmp_path_factory.mktemp("lite") / "model"), steps=40)


@pytest.fixture(scope="module")
def photos(tiny: Task, transformed: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Ready:
    """Which quarter of a noisy image is bright: four classes, 240 rows of 8 x 8 pixels."""
    random = np.random.default_rng(1)
    rows = []
    for i in range(240):
        pixels = random.integers(0, 120, (8, 8, 1))
        top, left = 4 * (i % 4 // 2), 4 * (i % 2)
        pixels[top : top + 4, left : left + 4] += 60
        rows.append({"photo": tf.io.encode_png(pixels.astype(np.uint8)).numpy(), "quarter": i % 4})
    spec = {"photo": tf.io.VarLenFeature(tf.string), "quarter": tf.io.VarLenFeature(tf.int64)}
    task = replace(
        tiny,
        label=MultiClass("quarter", classes=4),
        features=(Image("photo", height=8, width=8, channels=1),),
        model=Cnn(filters=(16, 32), hidden_units=(64,)),
        evaluation=Evaluation(metrics=("accuracy",), gates=(Gate("accuracy", at_least=0.5),)),
        lite=ALL,
    )
    data = transformed(rows, spec, task.features, task.label)
    return ready(task, data, str(tmp_path_factory.mktemp("lite") / "model"), steps=60)


@pytest.fixture(scope="module")
def tips_made(tips: Ready) -> tuple[dict[str, Any], dict[Any, bytes]]:
    return tips.convert()


def answers(content: bytes, inputs: dict[str, np.ndarray], output: str) -> np.ndarray:
    """By the plain interpreter, one row at a time."""
    interpreter = Interpreter(model_content=content)
    found = []
    for i in range(len(next(iter(inputs.values())))):
        details = interpreter.get_signature_runner()
        found.append(details(**{name: values[i : i + 1] for name, values in inputs.items()})[output].copy())
    return np.concatenate(found)


def test_the_part_after_the_transform_is_taken_and_said(tips: Ready, tips_made: Any) -> None:
    report, contents = tips_made
    assert report["part"] == "the part after the transform"
    assert report["not_converted"].startswith("the whole graph reads text (company), with ")
    assert "LookupTableFindV2" in report["not_converted"]
    assert {name: spec["dtype"] for name, spec in report["inputs"].items()} == {
        "miles_xf": "float32",
        "fare_xf": "int64",
        "company_xf": "int64",
        "hour_xf": "int64",
        "area_xf": "int64",
    }
    assert list(contents) == list(report["formats"]) == ["float32", "float16", "dynamic_range", "int8"]


def test_figures_are_those_of_another_run_of_the_files(tips: Ready, tips_made: Any) -> None:
    report, contents = tips_made
    inputs = {f.transformed: tips.data.columns[f.transformed][:200] for f in tips.task.features}
    scores = tips.trained.model(inputs, training=False).numpy().ravel()
    full = 1 / (1 + np.exp(-scores))
    target = tips.data.columns["tips_label"][:200].ravel()
    assert full.std() > 0.1
    assert report["full"]["rows"] == 200
    assert report["full"]["metrics"]["binary_accuracy"] == pytest.approx(np.mean((full > 0.5) == target))
    for kind, content in contents.items():
        entry, lite = report["formats"][kind], answers(content, inputs, "probability")
        assert entry["max_difference"] == pytest.approx(np.abs(lite - full).max(), abs=2e-6)
        assert entry["mean_difference"] == pytest.approx(np.abs(lite - full).mean(), abs=2e-6)
        assert entry["agreement"] == np.mean((lite > 0.5) == (full > 0.5))
        assert entry["metrics"]["binary_accuracy"] == pytest.approx(np.mean((lite > 0.5) == target))
        assert entry["bytes"] == len(content)
        assert 0 < entry["milliseconds"] < 50
    assert report["formats"]["float32"]["max_difference"] < 1e-5
    assert 0 < report["formats"]["float16"]["max_difference"] < 0.01
    assert report["formats"]["float16"]["max_difference"] < report["formats"]["int8"]["max_difference"] < 0.3
    assert len(contents["float16"]) < len(contents["float32"]) < report["full"]["bytes"]


def test_what_passed_says_by_how_much(tips_made: Any) -> None:
    report, _ = tips_made
    entry = report["formats"]["float16"]
    assert entry["passed"]
    assert entry["reason"] == (
        f"lite float16: differs from the full model by at most {entry['max_difference']:.4g}, over 200 rows"
    )


def test_a_file_with_other_weights_is_refused(tips: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a converter would make that went wrong: the shapes are right, the answers are not."""
    model, weights = tips.trained.model, tips.trained.model.get_weights()
    path = f"{Path(tips.path).parent}/poisoned"
    model.set_weights([-weight for weight in weights])
    export(tips.trained, path)
    model.set_weights(weights)
    poisoned = tf.saved_model.load(path)
    original = Part.convert
    monkeypatch.setattr(
        Part, "convert", lambda part, kind, rows=(): original(replace(part, loaded=poisoned), kind, rows)
    )
    report, _ = tips.convert(formats=("float16",))
    entry = report["formats"]["float16"]
    assert not entry["passed"]
    assert entry["max_difference"] > 0.3
    assert f"by {entry['max_difference']:.4g}, more than 0.02; " in entry["reason"]
    assert entry["reason"].endswith("over 200 rows")
    assert "of decisions agree, fewer than 98.00%" in entry["reason"]
    assert [gate["passed"] for gate in gates(report)] == [False]


def test_a_format_that_may_fail_is_no_gate(tips: Ready) -> None:
    report, _ = tips.convert(formats=("float32", "int8"), may_fail=("int8",), max_difference=1e-4)
    assert {kind: entry["passed"] for kind, entry in report["formats"].items()} == {"float32": True, "int8": False}
    assert [gate["name"] for gate in gates(report)] == ["lite float32"]


def test_numbers_alone_convert_from_raw_columns_where_none_can_be_missing(
    tiny: Task, transformed: Callable[..., Any], tmp_path: Path
) -> None:
    random = np.random.default_rng(2)
    rows = [{"x": float(x), "y": float(y), "above": float(x > y)} for x, y in random.normal(size=(200, 2))]
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in ("x", "y", "above")}
    task = replace(
        tiny,
        label=Binary("above"),
        features=(Numeric("x"), Numeric("y")),
        model=Dnn(hidden_units=(8,)),
        evaluation=Evaluation(metrics=("auc",), gates=(Gate("auc", at_least=0.5),)),
        lite=ALL,
    )
    made = ready(task, transformed(rows, spec, task.features, task.label), str(tmp_path / "model"), steps=40)
    report, contents = made.convert(formats=("float32", "float16"))
    assert (report["part"], report["not_converted"]) == ("the whole graph", "")
    assert report["inputs"]["x"] == {"dtype": "float32", "shape": [None]}
    raw = {name: np.array([row[name] for row in rows], np.float32) for name in ("x", "y")}
    found = answers(contents["float32"], raw, "probability")
    assert np.mean((found > 0.5) == np.array([row["above"] for row in rows])) > 0.9
    assert report["formats"]["float32"]["max_difference"] < 1e-5


def test_an_image_network_in_eight_bits(photos: Ready) -> None:
    report, contents = photos.convert()
    assert report["part"] == "the part after the transform"
    assert report["inputs"] == {"photo_xf": {"dtype": "uint8", "shape": [None, 8, 8, 1]}}
    assert report["full"]["metrics"]["accuracy"] > 0.95
    entry = report["formats"]["int8"]
    assert entry["passed"], entry["reason"]
    assert entry["agreement"] >= 0.98
    assert entry["metrics"]["accuracy"] == pytest.approx(report["full"]["metrics"]["accuracy"], abs=0.01)
    assert len(contents["int8"]) < 0.5 * len(contents["float32"])
    pixels = photos.task.features[0].model_input(tf.constant(photos.data.columns["photo_xf"][:40])).numpy()
    found = answers(contents["int8"], {"photo_xf": pixels}, "probabilities")
    assert found.shape == (40, 4)
    assert np.mean(found.argmax(1) == np.arange(40) % 4) > 0.9


def test_text_has_no_place_in_the_file(photos: Ready) -> None:
    _, contents = photos.convert(formats=("float32",))
    runner = Interpreter(model_content=contents["float32"]).get_signature_runner()
    assert list(runner.get_output_details()) == ["probabilities"]
    assert list(runner.get_input_details()) == ["photo_xf"]


def test_a_converter_that_fails_is_a_verdict(tips: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    original = tf.lite.TFLiteConverter.from_concrete_functions

    def failing(*args: Any) -> Any:
        made = original(*args)
        convert_ = made.convert

        def run() -> bytes:
            if made.representative_dataset is not None:
                raise ValueError("quantisation of op GATHER failed\nat length")
            content: bytes = convert_()
            return content

        made.convert = run
        return made

    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_concrete_functions", failing)
    report, contents = tips.convert(formats=("float32", "int8"))
    assert list(contents) == ["float32"]
    assert list(report["formats"]) == ["float32", "int8"]
    assert report["formats"]["int8"]["reason"] == (
        "lite int8: the part after the transform does not convert: quantisation of op GATHER failed"
    )
    assert [gate["passed"] for gate in gates(report)] == [True, False]


def test_a_file_that_litert_can_not_run_is_a_verdict(tips: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a network whose variables the converter did not freeze."""

    class Broken(executor.parity.Interpreted):
        def __init__(self, content: bytes, output: str) -> None:
            super().__init__(content, output)
            self._whole = len(content)

        def __call__(self, inputs: Any) -> np.ndarray:
            if self._whole == size:
                raise RuntimeError("read_variable.cc: variable != nullptr was not true")
            return super().__call__(inputs)

    size = len(tips.convert(formats=("int8",))[1]["int8"])
    monkeypatch.setattr(executor.parity, "Interpreted", Broken)
    report, _ = tips.convert(formats=("float32", "int8"))
    assert {kind: entry["passed"] for kind, entry in report["formats"].items()} == {"float32": True, "int8": False}
    assert report["formats"]["int8"]["reason"] == "lite int8: LiteRT can't run the file"


def test_a_recurrent_network_is_refused_with_the_reason(
    tiny: Task, transformed: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{"review": text, "good": float("fine" in text)} for text in ("a fine day", "no", "fine", "so so") * 10]
    spec = {"review": tf.io.VarLenFeature(tf.string), "good": tf.io.VarLenFeature(tf.float32)}
    task = replace(
        tiny,
        label=Binary("good"),
        features=(Text("review", vocabulary=10, length=4),),
        model=TextRnn(states=(4,)),
        lite=ALL,
    )
    made = ready(task, transformed(rows, spec, task.features, task.label), str(tmp_path / "model"), steps=2)
    report, contents = made.convert(formats=("float32", "int8"), may_fail=("int8",))
    assert (report["part"], contents) == (None, {})
    assert "the whole graph reads text (review), with " in report["not_converted"]
    assert (
        "the part after the transform does not convert: 'tf.TensorListReserve' op requires" in report["not_converted"]
    )
    assert gates(report) == [
        {"name": "lite float32", "passed": False, "reason": f"lite float32: {report['not_converted']}"}
    ]


def test_no_row_to_compare_on(tips: Ready, tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "none.gz"), tf.io.TFRecordOptions(compression_type="GZIP")):
        pass
    task = replace(tips.task, lite=Lite(formats=("float32",)))
    with pytest.raises(DataBlocked, match="has no row to compare TF Lite on"):
        convert(task, tips.path, tips.trained.graph, tips.data.raw_files, [str(tmp_path)])


def test_fewer_rows_than_asked_for_calibration_are_counted(tips: Ready, caplog: pytest.LogCaptureFixture) -> None:
    report, _ = tips.convert(formats=("int8",), calibration_rows=1000, evaluation_rows=20)
    assert report["calibration_rows"] == 300
    assert "lite: 1000 rows asked for calibration, 300 there" in caplog.text


def test_rows_come_from_all_shards(tmp_path: Path) -> None:
    for shard in range(3):
        name = str(tmp_path / f"data-{shard}.gz")
        with tf.io.TFRecordWriter(name, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for row in range(5):
                writer.write(f"{shard}{row}".encode())
    found = list(records([str(tmp_path)], 6).as_numpy_iterator())
    assert found == [b"00", b"10", b"20", b"01", b"11", b"21"]


def test_the_node_writes_what_may_be_pushed_and_what_may_not(
    tips: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = replace(tips.task, lite=replace(ALL, formats=("float32", "int8"), max_difference=1e-4))
    monkeypatch.setattr(executor.tasks, "load", lambda name, overrides: task)
    model, examples, graph, made = (
        standard_artifacts.Model(),
        standard_artifacts.Examples(),
        standard_artifacts.TransformGraph(),
        LiteModel(),
    )
    model.uri, examples.uri, made.uri = (str(tmp_path / name) for name in ("model", "examples", "lite"))
    graph.uri = str(Path(tips.data.transform.transform_savedmodel_dir).parent)
    examples.split_names = '["train", "eval"]'
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "Format-Serving").symlink_to(tips.path)
    for split in ("train", "eval"):
        folder = tmp_path / "examples" / f"Split-{split}"
        folder.mkdir(parents=True)
        (folder / "data.gz").symlink_to(tips.data.raw_files[0])
    executor.Executor().Do(
        {"model": [model], "examples": [examples], "transform_graph": [graph]},
        {"lite": [made]},
        {"task": "tiny", "overrides": "[]", "split": "eval", "code": ""},
    )
    files = sorted(str(file.relative_to(made.uri)) for file in Path(made.uri).rglob("*") if file.is_file())
    assert files == ["failed/int8.tflite", "lite/float32.tflite", "report.json"]
    assert json.loads((Path(made.uri) / "report.json").read_text())["split"] == "eval"
    assert made.get_int_custom_property("blessed") == 0
