"""The serving check on real models in a real server: what it lets through, and what it says of what it does not."""

import stat
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.serving_check import rows
from components.serving_check.executor import LOG, check
from pipeline import export as exporting
from pipeline import probes
from pipeline.export import Trained, export, verify
from pipeline.labels import Scale
from pipeline.models.base import inputs_of
from pipeline.probes import Probe
from pipeline.serving_check import ServingCheck
from pipeline.task import Task
from pipeline.transform_graph import TransformGraph

RULES = ServingCheck(requests=20)
Answers = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def trained(tiny: Task, tiny_data: Any) -> Trained:
    keras.utils.set_random_seed(5)
    inputs = inputs_of(tiny.features)
    model = keras.Model(inputs, tiny.model.scores(tiny.features, inputs, tiny.label.units))
    return Trained(model, Scale(), TransformGraph(tiny_data.transform), tiny.features, tiny.label)


@pytest.fixture(scope="module")
def exported(
    trained: Trained, tiny_data: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Probe], Answers]:
    """The model, what it is asked, and what it answers."""
    path = tmp_path_factory.mktemp("model") / "1"
    export(trained, str(path))
    asked = probes.make(tiny_data.raw[:16], trained.serving_spec, trained.features)
    return path, asked, verify(str(path), [probe.example for probe in asked], trained)


def served(
    exported: tuple[Path, list[Probe], Answers], work: Path, rules: ServingCheck = RULES, **others: Any
) -> dict[str, Any]:
    path, asked, answers = exported
    (work / "tiny").mkdir()
    (work / "tiny" / "1").symlink_to(others.get("path", path), target_is_directory=True)
    return check(work, "tiny", rules, asked, others.get("answers", answers))


def reasons(report: dict[str, Any], passed: bool) -> dict[str, str]:
    return {entry["name"]: entry["reason"] for entry in report["checks"] if entry["passed"] is passed}


@pytest.fixture
def copied(exported: tuple[Path, list[Probe], Answers], tmp_path: Path) -> Path:
    """The model's own copy, since warm-up requests are put into it."""
    import shutil

    return Path(shutil.copytree(exported[0], tmp_path / "copy"))


def test_a_good_model_passes_every_check(exported: Any, copied: Path, tmp_path: Path) -> None:
    report = served(exported, tmp_path, path=copied)
    assert reasons(report, passed=False) == {}
    assert list(reasons(report, passed=True)) == [
        "serving load",
        "serving answers over REST",
        "serving answers over gRPC",
        "serving bad requests",
        "serving latency",
        "serving memory",
    ]
    assert 0 < report["milliseconds"]["p50"] <= report["milliseconds"]["p99"] < 1000
    assert 50 < report["memory_mb"] < 4096
    assert (copied / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


def test_answers_and_budgets_that_do_not_hold(exported: Any, copied: Path, tmp_path: Path) -> None:
    _, asked, answers = exported
    other = {name: values.copy() for name, values in answers.items()}
    other["probability"][17] += 0.001
    rules = replace(RULES, max_p99_ms=1e-3, max_memory_mb=1.0)
    failed = reasons(served(exported, tmp_path, rules, path=copied, answers=other), passed=False)
    assert list(failed) == [
        "serving answers over REST",
        "serving answers over gRPC",
        "serving bad requests",
        "serving latency",
        "serving memory",
    ]
    said = f"{asked[17].what}: expected probability {other['probability'][17]}. Received: "
    assert failed["serving answers over REST"].startswith(f"REST, signature 'serving_default': {said}")
    assert failed["serving answers over gRPC"].startswith(f"gRPC, signature 'serving_default': {said}")
    assert "more than 0.001. Next: a smaller model" in failed["serving latency"]
    assert "MiB at its peak, more than 1" in failed["serving memory"]


def test_a_model_that_raises_on_an_unseen_value_is_named_with_it(
    exported: Any, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = exporting.model_inputs

    def strict(graph: TransformGraph, features: Any, raw: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        known = tf.debugging.assert_less(raw["hour"].values, tf.constant(1000, tf.int64), "an hour too many")
        with tf.control_dependencies([known]):
            return {name: tf.identity(value) for name, value in inputs(graph, features, raw).items()}

    monkeypatch.setattr(exporting, "model_inputs", strict)
    path = tmp_path / "copy"
    export(trained, str(path))
    failed = reasons(served(exported, tmp_path, path=path), passed=False)
    assert "a row with an unseen hour: expected an answer. Received: 400" in failed["serving answers over REST"]
    assert "an hour too many" in failed["serving answers over REST"]
    assert "a row with an unseen hour: expected an answer. Received: INVALID_ARG" in failed["serving answers over gRPC"]


def test_a_model_that_only_loads(exported: Any, tmp_path: Path) -> None:
    """What Keras 3 and tf.saved_model.save make: it loads everywhere, and no server can answer with it."""
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    types = {"serving_default": tf.TensorSpec([None], tf.string, "examples")}

    def answer(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probability": model(tf.zeros([tf.shape(examples)[0], 1]))}

    def columns(hour: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probability": model(tf.cast(hour[:, None], tf.float32))}

    path = tmp_path / "copy"
    signatures = {
        "serving_default": tf.function(answer, input_signature=[types["serving_default"]]),
        "columns": tf.function(columns, input_signature=[tf.TensorSpec([None], tf.int64, "hour")]),
    }
    tf.saved_model.save(model, str(path), signatures=signatures)
    failed = reasons(served(exported, tmp_path, path=path), passed=False)
    assert list(failed) == ["serving warm-up"]
    assert "the model does not answer a single row" in failed["serving warm-up"]


def test_a_model_without_what_clients_use(exported: Any, tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    tf.saved_model.save(module, str(tmp_path / "copy"), {"serving_default": module.f})
    failed = reasons(served(exported, tmp_path, path=tmp_path / "copy"), passed=False)
    assert failed == {"serving load": "expected the signatures columns. Received: serving_default"}


def test_what_is_no_model(exported: Any, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "saved_model.pb").write_bytes(b"no model")
    failed = reasons(served(exported, tmp_path, path=tmp_path / "copy"), passed=False)
    assert list(failed) == ["serving load"]
    assert "no session loads the model" in failed["serving load"]


def test_a_server_that_takes_too_long(exported: Any, copied: Path, tmp_path: Path) -> None:
    failed = reasons(served(exported, tmp_path, replace(RULES, start_seconds=0.01), path=copied), passed=False)
    assert failed["serving load"].startswith("the server was not ready in 0.01 s: ")


def test_without_an_engine_for_containers(
    exported: Any, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    failed = reasons(served(exported, tmp_path, replace(RULES, server="tensorflow_serving"), path=copied), passed=False)
    assert failed["serving load"] == (
        "serving: server: expected docker or podman to run tensorflow/serving:2.19.1. Received: neither. "
        "Next: install one, or --set serving.server=embedded"
    )


FAKE = """#!{python}
import json, os, pathlib, subprocess, sys
words, home = sys.argv[1:], pathlib.Path({home!r})
with (home / "calls").open("a") as calls:
    calls.write(" ".join(words) + chr(10))
if words[:2] == ["image", "inspect"]:
    sys.exit(0 if words[2] == "there:1" else 1)
if words[0] == "run":
    folder, model = words[words.index("-v") + 1].split(":")[:2]
    (home / "pid").write_text(str(os.getpid()))
    os.environ["PYTHONPATH"] = {project!r}
    os.execv(sys.executable, [sys.executable, "-m", "serving", "--model-name", pathlib.Path(model).name,
        "--model-base-path", folder, "--rest-port", "0", "--grpc-port", "0", "--ready-file", str(home / "ready.json")])
if words[0] == "port":
    if not (home / "ready.json").exists():
        sys.exit(1)
    ports = json.loads((home / "ready.json").read_text())
    print("127.0.0.1:" + str(ports["rest_port" if words[2] == "8501" else "grpc_port"]))
if words[0] == "rm":
    os.kill(int((home / "pid").read_text()), 15)
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named docker that runs our own server in the container's place; the folder where it notes its calls."""
    home = tmp_path / "engine"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "docker"
    project = str(Path(__file__).parents[3])
    program.write_text(FAKE.format(python=sys.executable, home=str(home), project=project))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(home / "bin"))
    return home


def test_a_container_is_asked_in_the_same_way(exported: Any, copied: Path, engine: Path, tmp_path: Path) -> None:
    rules = replace(RULES, server="tensorflow_serving", image="there:1")
    report = served(exported, tmp_path, rules, path=copied)
    assert reasons(report, passed=False) == {}
    assert report["memory_mb"] is None
    calls = (engine / "calls").read_text().splitlines()
    (started,) = (call for call in calls if call.startswith("run "))
    assert "--pull never -p 127.0.0.1::8500 -p 127.0.0.1::8501" in started
    assert f"-v {tmp_path / 'tiny'}:/models/tiny:ro -e MODEL_NAME=tiny there:1" in started
    assert calls[-1].startswith("rm --force millrace-check-")


def test_an_image_that_is_not_there_is_not_fetched(exported: Any, copied: Path, engine: Path, tmp_path: Path) -> None:
    failed = reasons(served(exported, tmp_path, replace(RULES, server="tensorflow_serving"), path=copied), passed=False)
    assert failed["serving load"] == (
        "image tensorflow/serving:2.19.1 is not on this machine. Next: docker pull tensorflow/serving:2.19.1"
    )
    assert (engine / "calls").read_text().splitlines() == ["image inspect tensorflow/serving:2.19.1"]
    assert not (tmp_path / LOG).exists()


def test_columns_as_json() -> None:
    values = np.array([b"a", "ü".encode(), b"\xff", b""], object)
    assert rows.as_json(values) == ["a", "ü", {"b64": "/w=="}, ""]
    assert rows.as_json(np.array([1.5, np.nan], np.float32))[0] == 1.5
