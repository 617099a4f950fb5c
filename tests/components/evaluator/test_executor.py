"""An evaluation by the Evaluator, with and without a baseline: what TFMA's reader finds against scikit-learn and against our
evidence, the blessing against the gates, and every way in which a baseline can't be compared."""

import json
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import cloudpickle
import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils, json_utils

from components import by_shard
from components.evaluator import by_columns, executor, inference
from components.evaluator.inference import Ask
from components.evaluator.part import FORM, joined
from components.evaluator.slices import Slices
from pipeline import evaluation, mirrored
from pipeline.errors import DataBlocked
from pipeline.evidence.report import Columns
from pipeline.evidence.standing import Standing
from pipeline.export import SERVING_SIGNATURE, Trained, _Session, export
from pipeline.expressions import Column
from pipeline.gates import Evaluation, Gate, Ranges
from pipeline.labels import Binary, Label, MultiClass, MultiLabel, Regression, Scale
from pipeline.models.base import inputs_of
from pipeline.models.dnn import Dnn
from pipeline.push import history
from pipeline.push.versions import Places
from pipeline.remote import transfer
from pipeline.task import Task
from pipeline.transform_graph import TransformGraph
from serving.errors import ServingError
from serving.session import SessionModel


def columns_of(
    task: Task, shards: Any, schema: schema_pb2.Schema, candidate: str, baseline: str | None, uri: str = ""
) -> tuple[Columns, Standing]:
    """What the models say, asked in this process."""
    standing = Standing("none") if baseline is None else Standing("compared", uri=uri)
    return joined(map(Ask(task, schema.SerializeToString(), candidate, baseline), shards), standing)


@pytest.fixture(scope="module")
def task(tiny: Task) -> Task:
    gates = (Gate("auc", at_least=0.01, no_worse_by=0.0), Gate("example_count", at_least=1, per="hour"))
    slices = ("hour", Ranges("miles", (2.0, 5.0)), ("company", "hour"))
    evaluation = Evaluation(
        metrics=tuple(sorted(Binary.measures)),
        slices=slices,
        gates=gates,
        fairness=("company",),
        min_slice=8,
        resamples=200,
    )
    return replace(tiny, evaluation=evaluation)


@pytest.fixture(scope="module")
def light(task: Task) -> Task:
    """Without slices."""
    gates = (Gate("auc", at_least=0.01, no_worse_by=0.0), Gate("example_count", at_least=1))
    return replace(task, evaluation=Evaluation(metrics=("auc", "example_count"), gates=gates, resamples=200))


@pytest.fixture(scope="module")
def models(task: Task, tiny_data: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """URIs of two models, named by which of them has the higher AUC."""
    folder, graph = tmp_path_factory.mktemp("models"), TransformGraph(tiny_data.transform)
    aucs = {}
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        uri = str(folder / str(seed))
        export(untrained(task, graph), f"{uri}/Format-Serving")
        aucs[uri] = roc_auc_score(tiny_data.columns["tips_label"].ravel(), answers(uri, tiny_data.raw))
    worse, better = sorted(aucs, key=lambda uri: aucs[uri])
    assert aucs[better] - aucs[worse] > 0.001
    return {"worse": worse, "better": better}


def untrained(task: Task, graph: TransformGraph) -> Trained:
    """The task's model with its first weights."""
    inputs = inputs_of(task.features)
    scores = task.model.scores(task.features, inputs, task.label.units)
    return Trained(keras.Model(inputs, scores), Scale(), graph, task.features, task.label)


def answers(uri: str, rows: list[bytes], output: str = "probability") -> np.ndarray:
    return _Session(f"{uri}/Format-Serving")(SERVING_SIGNATURE, output, lambda types: {"examples": rows})


TYPES = {"miles": 3, "fare": 3, "tips": 3, "company": 1, "hour": 2, "area": 2}
SCHEMA = schema_pb2.Schema(feature=[schema_pb2.Feature(name=name, type=kind) for name, kind in TYPES.items()])


@dataclass(frozen=True)
class Evaluated:
    """What the Evaluator left: the artifact's URI, evidence.json, and the blessing."""

    uri: str
    evidence: dict[str, Any]
    blessing: Any

    @property
    def blessed(self) -> bool:
        return bool(self.blessing.get_int_custom_property("blessed") == 1)


Evaluate = Callable[..., Evaluated]


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    """A function: task, files of raw rows, candidate and baseline, to what the Evaluator makes of them.

    With `remote` the rows are in the bucket that the session's folder stands for.
    """

    def run(
        task: Task,
        rows: str | list[str],
        candidate: str,
        baseline: str | None = None,
        *,
        force: str = "",
        watched: str = "/nowhere/task",
        runner: str = "FnApiRunner",
        remote: bool = False,
    ) -> Evaluated:
        folder = tmp_path_factory.mktemp("evaluation")
        (folder / "examples" / "Split-test").mkdir(parents=True)
        for number, file in enumerate([rows] if isinstance(rows, str) else rows):
            shutil.copy(file, folder / "examples" / "Split-test" / f"data_tfrecord-{number:05d}.gz")
        examples, schema = standard_artifacts.Examples(), standard_artifacts.Schema()
        examples.uri, schema.uri = str(folder / "examples"), str(folder / "schema")
        examples.split_names = artifact_utils.encode_split_names(["test"])
        if remote:
            examples.uri = mirrored.named(examples.uri)
            transfer.upload(folder / "examples", examples.uri)
        io_utils.write_pbtxt_file(f"{schema.uri}/schema.pbtxt", SCHEMA)
        inputs = {"examples": [examples], "schema": [schema], "model": [model(candidate)]}
        if baseline:
            inputs["baseline_model"] = [model(baseline)]
        result, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
        result.uri, blessing.uri = str(folder / "evaluation"), str(folder / "blessing")
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=[f"--runner={runner}"], tmp_dir=str(folder / "tmp")
        )
        properties = {"task": task.name, "overrides": "[]", "example_splits": json_utils.dumps(["test"])}
        with mock.patch.object(executor.tasks, "load", lambda name, overrides: task):
            executor.Executor(context).Do(
                inputs,
                {"evaluation": [result], "blessing": [blessing]},
                properties | {"watched": watched, "force": force, "code": ""},
            )
        evidence = json.loads(Path(result.uri, "evidence.json").read_text("utf-8"))
        return Evaluated(result.uri, evidence, blessing)

    return run


def model(uri: str) -> Any:
    made = standard_artifacts.Model()
    made.id, made.uri = zlib.crc32(uri.encode()) % 1000, uri
    return made


def agrees_with_tfma(found: Evaluated, task: Task) -> None:
    """Each metric of each slice and each model, within 1e-6."""
    parts = {"overall": found.evidence["metrics"]}
    parts |= {name: part["metrics"] for name, part in found.evidence["slices"].items()}
    for which, name in (("candidate", None), ("baseline", evaluation.BASELINE)):
        theirs = evaluation.metrics(found.uri, name)
        assert set(theirs) == (set(parts) if theirs else set())
        for part, own in theirs.items():
            for metric in task.evaluation.metrics:
                value = parts[part][metric][which]
                if metric in own:
                    assert value == pytest.approx(own[metric], rel=1e-6, abs=1e-6), (which, part, metric)
                else:
                    assert value is None, (which, part, metric)


def test_without_a_baseline(
    task: Task, models: dict[str, str], evaluate: Evaluate, tiny_data: Any, tiny_rows: Any
) -> None:
    found = evaluate(task, tiny_data.raw_files[0], models["worse"])
    assert (found.blessed, found.evidence["passed"], found.evidence["baseline"]["status"]) == (True, True, "none")
    assert Path(found.blessing.uri, "BLESSED").exists()
    assert found.blessing.get_string_custom_property("current_model") == models["worse"]
    assert not found.blessing.has_custom_property("forced")
    assert evaluation.metrics(found.uri, evaluation.BASELINE) == evaluation.plots(found.uri, evaluation.BASELINE) == {}
    metrics = evaluation.metrics(found.uri)
    agrees_with_tfma(found, task)
    hours = [row["hour"] for row in tiny_rows]
    alone = {name for name in metrics if name.startswith("hour=")}
    assert alone == {f"hour={hour}" for hour in hours if hour is not None}
    assert {name for name in metrics if name.startswith("miles=")} == {
        "miles=below 2",
        "miles=2 to 5",
        "miles=5 and above",
    }
    probabilities, labels = answers(models["worse"], tiny_data.raw), tiny_data.columns["tips_label"].ravel()
    for name in ("overall", "hour=3"):
        chosen = np.array([name == "overall" or hour == 3 for hour in hours])
        assert metrics[name]["example_count"] == chosen.sum()
        assert metrics[name]["mean_label"] == pytest.approx(labels[chosen].mean())
        expected = accuracy_score(labels[chosen], probabilities[chosen] > 0.5)
        assert metrics[name]["binary_accuracy"] == pytest.approx(expected)
        assert metrics[name]["auc"] == pytest.approx(roc_auc_score(labels[chosen], probabilities[chosen]), abs=2e-3)


def test_with_a_baseline(task: Task, models: dict[str, str], evaluate: Evaluate, tiny_data: Any) -> None:
    candidate, baseline = "worse", "better"
    found = evaluate(task, tiny_data.raw_files[0], models[candidate], models[baseline])
    agrees_with_tfma(found, task)
    auc = found.evidence["metrics"]["auc"]
    assert found.evidence["baseline"]["status"] == "compared"
    assert found.blessed == found.evidence["passed"] == (auc["difference_interval"][0] >= 0)
    assert found.blessing.get_string_custom_property("baseline_model") == models[baseline]
    labels = tiny_data.columns["tips_label"].ravel()
    for which, name in ((candidate, None), (baseline, evaluation.BASELINE)):
        metrics = evaluation.metrics(found.uri, name)["overall"]
        assert metrics["auc"] == pytest.approx(roc_auc_score(labels, answers(models[which], tiny_data.raw)), abs=2e-3)
        assert metrics["example_count"] == len(labels)
        plots = evaluation.plots(found.uri, name)
        assert set(plots) == {"confusionMatrixAtThresholds", "calibrationHistogramBuckets"}
        matrices = plots["confusionMatrixAtThresholds"]["matrices"]
        half = min(matrices, key=lambda matrix: abs(matrix.get("threshold", 0) - 0.5))
        right = (answers(models[which], tiny_data.raw) > half["threshold"]) & (labels > 0)
        assert half.get("truePositives", 0.0) == right.sum()
    assert found.evidence["fairness"]["company"]["baseline"]["gaps"].keys() == {
        "selection_rate_gap", "tpr_gap", "fpr_gap", "fnr_gap",
    }  # fmt: skip


def test_workers_that_see_no_folder_of_this_machine_find_all_in_the_bucket(
    task: Task,
    models: dict[str, str],
    evaluate: Evaluate,
    tiny_data: Any,
    sharded: Any,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = tmp_path_factory.getbasetemp()
    monkeypatch.setattr(mirrored, "_folders", {f"{bucket}/runs": str(base)})
    for uri in models.values():
        transfer.upload(Path(uri), mirrored.named(uri))
    sent: list[str] = []
    called = by_shard.Workers._called

    def noted(workers: Any, name: str, function: Any, items: Any, form: Any, folder: str) -> Any:
        sent.append(repr((folder, function, items)))
        return called(workers, name, function, items, form, folder)

    monkeypatch.setattr(by_shard.Workers, "_called", noted)
    rows = [shard.records for shard in sharded(tiny_data.raw, tmp_path_factory.mktemp("rows"), columns=False)]
    here = evaluate(task, rows, models["worse"], models["better"])
    there = evaluate(task, rows, models["worse"], models["better"], runner="BundleBasedDirectRunner", remote=True)
    assert there.evidence == here.evidence
    assert evaluation.metrics(there.uri) == evaluation.metrics(here.uri)
    assert there.blessing.get_string_custom_property("current_model") == models["worse"]
    assert len(sent) == 1
    assert str(base) not in sent[0]
    assert transfer.names(mirrored.named(there.uri)) == []


@pytest.mark.parametrize("baseline", ["better", "number", None])
def test_workers_of_a_beam_runner_give_the_same(
    task: Task,
    models: dict[str, str],
    strangers: dict[str, str],
    evaluate: Evaluate,
    tiny_data: Any,
    sharded: Any,
    tmp_path: Path,
    baseline: str | None,
) -> None:
    rows = [shard.records for shard in sharded(tiny_data.raw, tmp_path, columns=False)]
    assert len(rows) > 2
    other = {**models, **strangers}[baseline] if baseline else None
    ways = [
        evaluate(task, rows, models["worse"], other, runner=runner)
        for runner in ("FnApiRunner", "BundleBasedDirectRunner")
    ]
    assert ways[0].evidence == ways[1].evidence
    assert ways[1].evidence["baseline"]["status"] == {"better": "compared", "number": "other_label"}.get(
        baseline or "", "none"
    )
    assert len({tuple(sorted(path.name for path in Path(found.uri).iterdir())) for found in ways}) == 1
    agrees_with_tfma(ways[1], task)
    for model in (None, evaluation.BASELINE):
        for read in (evaluation.metrics, evaluation.plots):
            assert read(ways[0].uri, model) == read(ways[1].uri, model)


def test_a_candidate_that_fails_on_a_worker_fails_as_here(
    light: Task, strangers: dict[str, str], evaluate: Evaluate, tiny_data: Any
) -> None:
    said = []
    for runner in ("FnApiRunner", "BundleBasedDirectRunner"):
        for candidate in ("broken", "strict"):
            with pytest.raises(ServingError) as raised:
                evaluate(light, tiny_data.raw_files[0], strangers[candidate], runner=runner)
            said.append((raised.value.code, raised.value.message))
    assert said[:2] == said[2:]
    assert "does not load" in said[0][1]
    assert "gone" in said[1][1]


ASK = """
import pickle, sys
from components.evaluator.part import FORM
with open(sys.argv[1], "rb") as stream:
    ask, shards = pickle.load(stream)
for shard in shards:
    with open(shard.records + ".part", "wb") as stream:
        stream.write(FORM.dump(ask(shard)))
"""


def test_a_worker_asks_what_was_sent_to_it(
    task: Task, models: dict[str, str], tiny_data: Any, sharded: Any, tmp_path: Path
) -> None:
    """In a process that has nothing but what is sent; the results come as bytes."""
    shards = sharded(tiny_data.raw, tmp_path)
    paths = [f"{models[name]}/Format-Serving" for name in ("better", "worse")]
    ask = inference.Ask(task, SCHEMA.SerializeToString(), paths[0], paths[1])
    (tmp_path / "sent").write_bytes(cloudpickle.dumps((ask, shards)))
    subprocess.run([sys.executable, "-c", ASK, str(tmp_path / "sent")], check=True, capture_output=True)
    parts = [FORM.load(Path(f"{shard.records}.part").read_bytes()) for shard in shards]
    found, standing = joined(parts, Standing("compared", uri="there"))
    expected, also = columns_of(task, shards, SCHEMA, paths[0], paths[1], "there")
    assert standing == also
    np.testing.assert_array_equal(found.target, expected.target)
    assert list(found.answers) == ["candidate", "baseline"]
    for name, own in expected.answers.items():
        np.testing.assert_array_equal(found.answers[name], own)
    for name, column in expected.slices.items():
        assert list(found.slices[name]) == list(column)
        assert list(found.slices[name].categories) == list(column.categories)


def copied(uri: str, folder: Path) -> Path:
    shutil.copytree(uri, folder)
    return folder


@pytest.fixture(scope="module")
def strangers(
    task: Task, tiny_data: Any, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """URIs of baselines that can't be compared, by the status that each has."""
    folder, graph = tmp_path_factory.mktemp("strangers"), TransformGraph(tiny_data.transform)
    broken = copied(models["better"], folder / "broken")
    (broken / "Format-Serving" / "saved_model.pb").write_bytes(b"no model")
    number = replace(
        task, label=Regression("tips"), evaluation=replace(task.evaluation, metrics=("mae",), gates=(MAE,), fairness=())
    )
    other = replace(task, label=Binary.where("tips", greater_than=0.1 * Column("fare")))
    tf.saved_model.save(Strict(), str(folder / "strict" / "Format-Serving"), signatures=Strict().signatures())
    for name, own in (("number", number), ("other", other)):
        prepared = Prepared(own.label, graph)
        export(untrained(own, prepared), str(folder / name / "Format-Serving"))  # type: ignore[arg-type]
    return {name: str(folder / name) for name in ("missing", "broken", "number", "other", "strict")}


MAE = Gate("mae", at_most=100.0)


class Prepared(TransformGraph):
    """The transform graph with the target of another label."""

    def __init__(self, label: Label, graph: TransformGraph) -> None:
        tf.Module.__init__(self)
        self._spec, self._loaded, self.label = graph.spec, graph._loaded, label

    def __call__(self, raw: Any) -> dict[str, tf.Tensor]:
        found = super().__call__(raw)
        if not self.label.columns <= set(raw):
            return found
        dense = {name: tf.sparse.to_dense(raw[name], float("nan"))[:, 0] for name in self.label.columns}
        return found | {self.label.transformed: tf.reshape(self.label.target(dense), [-1, 1])}


class Strict(tf.Module):
    """A model with the right signatures that wants a column which the rows do not have."""

    def signatures(self) -> dict[str, Any]:
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def labels(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return {
                "tips_label": tf.io.parse_example(examples, {"gone": tf.io.FixedLenFeature([1], tf.float32)})["gone"]
            }

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"probability": tf.zeros(tf.shape(examples))}

        return {"labels": labels, "serving_default": serve}


@pytest.mark.parametrize("as_columns", [False, True])
@pytest.mark.parametrize(
    ("name", "status", "part"),
    [
        ("missing", "missing", "there is no "),
        ("broken", "unloadable", "does not load"),
        ("number", "other_label", "expected probability of serving_default. Received: prediction"),
        ("other", "other_label", "rows have another target"),
        ("strict", "unreadable", "gone"),
    ],
)
def test_a_baseline_that_cant_be_compared(
    task: Task,
    models: dict[str, str],
    strangers: dict[str, str],
    tiny_data: Any,
    sharded: Any,
    tmp_path: Path,
    as_columns: bool,
    name: str,
    status: str,
    part: str,
) -> None:
    paths = [f"{uri}/Format-Serving" for uri in (models["better"], strangers[name])]
    shards = sharded(tiny_data.raw, tmp_path, columns=as_columns)
    columns, standing = columns_of(task, shards, SCHEMA, *paths, strangers[name])
    assert (standing.status, standing.uri, standing.comparable) == (status, strangers[name], False)
    assert part in standing.said
    assert list(columns.answers) == ["candidate"]
    np.testing.assert_allclose(columns.answers["candidate"], answers(models["better"], tiny_data.raw), rtol=1e-6)


@pytest.mark.parametrize("baseline", [True, False])
def test_stored_columns_give_what_the_rows_give(
    task: Task,
    models: dict[str, str],
    tiny_data: Any,
    sharded: Any,
    tmp_path: Path,
    baseline: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = (f"{models['better']}/Format-Serving", f"{models['worse']}/Format-Serving" if baseline else None)
    rows = [row for row in tiny_data.raw if not _odd(tf.train.Example.FromString(row))]
    assert len(rows) > 200
    shards = sharded(rows, tmp_path)
    monkeypatch.setattr(inference, "_BATCH", 50)
    expected, standing = columns_of(task, [replace(shard, columns=None) for shard in shards], SCHEMA, *paths)
    monkeypatch.setattr(inference, "batches", None)  # no tf.Example is read
    found, also = columns_of(task, shards, SCHEMA, *paths)
    assert also == standing
    assert list(found.answers) == list(expected.answers) == ["candidate", "baseline"][: 1 + baseline]
    np.testing.assert_array_equal(found.target, expected.target)
    for model, own in expected.answers.items():
        np.testing.assert_array_equal(found.answers[model], own)
    assert {name: list(c) for name, c in found.slices.items()} == {name: list(c) for name, c in expected.slices.items()}


def _odd(example: tf.train.Example) -> bool:
    """Whether a value is there that stands for a missing one in a column."""
    found = example.features.feature
    return b"" in found["company"].bytes_list.value or not np.isfinite(found["miles"].float_list.value).all()


def test_a_row_that_columns_may_tell_otherwise_is_asked_as_it_is(
    task: Task, models: dict[str, str], tiny_data: Any, sharded: Any, tmp_path: Path
) -> None:
    """Such as an empty text: a value of its own, and what stands for a missing one in a column."""
    assert any(_odd(tf.train.Example.FromString(row)) for row in tiny_data.raw)
    shards = sharded(tiny_data.raw, tmp_path)
    given = [shard.columns for shard in shards]
    path = f"{models['better']}/Format-Serving"
    model = SessionModel(path)
    pool = ThreadPoolExecutor(1)
    slices = Slices(task, SCHEMA, 50, given)
    with pytest.raises(by_columns.NotTheSame):
        list(by_columns.answered(given, 50, task.label, [model], pool, slices))
    model.close()
    found, _ = columns_of(task, shards, SCHEMA, path, None)
    np.testing.assert_allclose(found.answers["candidate"], answers(models["better"], tiny_data.raw), rtol=1e-6)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([[1.0, 2.0]], pa.large_list(pa.float32())), "float32"),
        (pa.array([[np.nan]], pa.large_list(pa.float32())), "float32"),
        (pa.array([[-(2**63)]], pa.large_list(pa.int64())), "int64"),
        (pa.array([[b""]], pa.large_list(pa.large_binary())), "object"),
        (pa.array([[1]], pa.large_list(pa.int64())), "float32"),
        (pa.nulls(1), "float64"),
    ],
)
def test_what_a_column_can_t_tell(column: pa.Array, kind: str) -> None:
    with pytest.raises(by_columns.NotTheSame):
        by_columns.dense(column, kind)


def test_a_column_has_one_value_a_row() -> None:
    texts = pa.array([[b"a"], None, [], [b"b"]], pa.large_list(pa.large_binary()))
    assert by_columns.dense(texts, "object").tolist() == [b"a", b"", b"", b"b"]
    assert by_columns.dense(pa.array([[7], None], pa.large_list(pa.int64())), "int64").tolist() == [7, -(2**63)]
    assert np.isnan(by_columns.dense(pa.nulls(2), "float32")).all()


def test_what_compares_fails_without_a_comparison(
    light: Task, models: dict[str, str], strangers: dict[str, str], evaluate: Evaluate, tiny_data: Any
) -> None:
    found = evaluate(light, tiny_data.raw_files[0], models["better"], strangers["broken"])
    assert (found.evidence["baseline"]["status"], found.blessed) == ("unloadable", False)
    compares, counts = found.evidence["verdicts"]
    assert (compares["passed"], counts["passed"]) == (False, True)
    assert [check["passed"] for check in compares["checks"]] == [True, False]
    assert "Next: find out why, or --force-promote REASON" in compares["reason"]
    assert Path(found.blessing.uri, "NOT_BLESSED").exists()
    assert evaluation.metrics(found.uri, evaluation.BASELINE) == {}


def test_a_served_model_whose_artifact_is_lost_is_missed(tmp_path: Path) -> None:
    places = Places(tmp_path / "serving" / "taxi")
    assert executor._without_artifact(str(places.watched), "/models/1") == Standing("none")
    for version, (served, status) in enumerate((("/models/1", "none"), ("/models/lost", "missing")), 1):
        history.append(places, history.event("pushed", version, model=served))
        assert executor._without_artifact(str(places.watched), "/models/1").status == status


def test_a_forced_promotion_leaves_a_record(
    light: Task, models: dict[str, str], evaluate: Evaluate, tiny_data: Any
) -> None:
    strict = replace(light, evaluation=replace(light.evaluation, gates=(Gate("auc", at_least=0.999),)))
    found = evaluate(strict, tiny_data.raw_files[0], models["better"], force="the old model answers in dollars")
    assert (found.blessed, found.evidence["passed"], found.evidence["forced"]) == (True, False, True)
    assert not found.evidence["verdicts"][0]["passed"]
    assert found.blessing.get_int_custom_property("forced") == 1
    assert found.blessing.get_string_custom_property("force_reason") == "the old model answers in dollars"


def test_a_passing_run_is_not_forced(light: Task, models: dict[str, str], evaluate: Evaluate, tiny_data: Any) -> None:
    passing = evaluate(light, tiny_data.raw_files[0], models["better"], models["better"], force="in vain")
    assert (passing.blessed, passing.evidence["forced"]) == (True, False)
    assert not passing.blessing.has_custom_property("forced")
    assert passing.evidence["metrics"]["auc"]["difference_interval"] == [0.0, 0.0]


def test_no_row_stops_the_run(task: Task, models: dict[str, str], evaluate: Evaluate, tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "none.gz"), "GZIP"):
        pass
    with pytest.raises(DataBlocked, match=r"has no row\. Next: check the split"):
        evaluate(task, str(tmp_path / "none.gz"), models["better"])


def test_numbers(tiny: Task, tiny_data: Any, tiny_spec: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    rules = Evaluation(
        metrics=tuple(sorted(Regression.measures)),
        slices=("hour",),
        gates=(Gate("mae", no_worse_by=0.1),),
        resamples=200,
    )
    task = replace(tiny, label=Regression("tips"), evaluation=rules)
    rows = [tf.train.Example.FromString(row) for row in tiny_data.raw]
    kept = [row.SerializeToString() for row in rows if "tips" in row.features.feature]
    with tf.io.TFRecordWriter(str(tmp_path / "rows.gz"), "GZIP") as writer:
        for row in kept:
            writer.write(row)
    graph = Prepared(task.label, TransformGraph(tiny_data.transform))
    for name in ("7", "8"):
        export(untrained(task, graph), str(tmp_path / name / "Format-Serving"))
    found = evaluate(task, str(tmp_path / "rows.gz"), str(tmp_path / "7"), str(tmp_path / "8"))
    agrees_with_tfma(found, task)
    assert set(evaluation.plots(found.uri)) == {"calibrationHistogramBuckets"}


SPECIES = ("cat", "dog", "horse", "newt", "owl")
"""No row is a newt."""
GENRES = ("comedy", "crime", "drama")


@pytest.fixture(scope="module")
def animals(tiny_rows: Any) -> list[dict[str, Any]]:
    """The tiny rows with a label of one class and one of several."""
    random = np.random.default_rng(8)
    return [
        {
            **row,
            "species": str(random.choice(["cat", "dog", "horse", "owl"], p=[0.5, 0.3, 0.15, 0.05])),
            "genres": "|".join(name for name in GENRES if random.random() < 0.4) or "-",
        }
        for row in tiny_rows
    ]


def labelled(tiny: Task, label: Any, metrics: tuple[str, ...], gate: Gate) -> Task:
    return replace(
        tiny,
        label=label,
        model=Dnn(hidden_units=(16,)),
        evaluation=Evaluation(metrics=metrics, slices=("hour",), gates=(gate,)),
    )


def test_one_class_a_row(
    tiny: Task, animals: Any, tiny_spec: Any, transformed: Callable[..., Any], evaluate: Evaluate, tmp_path: Path
) -> None:
    metrics = tuple(sorted(MultiClass.measures))
    gate = Gate("macro_f1", at_least=0.0, no_worse_by=0.0)
    task = labelled(tiny, MultiClass("species", SPECIES), metrics, gate)
    data = transformed(animals, {**tiny_spec, "species": tf.io.VarLenFeature(tf.string)}, task.features, task.label)
    keras.utils.set_random_seed(4)
    candidate, baseline = str(tmp_path / "7"), str(tmp_path / "8")
    for uri in (candidate, baseline):
        export(untrained(task, TransformGraph(data.transform)), f"{uri}/Format-Serving")
    found = evaluate(task, data.raw_files[0], candidate, baseline)
    uri = found.uri
    agrees_with_tfma(found, task)
    assert set(evaluation.plots(uri)) == {"multiClassConfusionMatrixAtThresholds"}

    true = np.array([SPECIES.index(row["species"]) for row in animals])
    for which, measured in ((candidate, evaluation.metrics(uri)), (baseline, evaluation.metrics(uri, "baseline"))):
        probabilities = answers(which, data.raw, "probabilities").astype(float)
        for name in ("overall", "hour=3"):
            chosen = np.array([name == "overall" or row["hour"] == 3 for row in animals])
            expected = expected_of_one(true[chosen], probabilities[chosen])
            own = {metric: measured[name][metric] for metric in metrics}
            assert own == pytest.approx(expected, abs=1e-6), name

    classes = evaluation.by_class(uri, task.label)
    decided = answers(candidate, data.raw, "probabilities").argmax(1)
    parts = precision_recall_fscore_support(true, decided, labels=range(5), zero_division=0)
    assert list(classes) == list(SPECIES)
    for number, name in enumerate(SPECIES):
        expected = dict(
            zip(("precision", "recall", "f1", "example_count"), [part[number] for part in parts], strict=True)
        )
        assert classes[name] == pytest.approx(expected, abs=1e-6)
    assert classes["newt"]["example_count"] == 0
    assert answers(candidate, data.raw, "class").tolist() == [SPECIES[i].encode() for i in decided]


def expected_of_one(true: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The metrics by scikit-learn, and the areas by their definition."""
    decided = probabilities.argmax(1)
    precision, recall, f1, _ = precision_recall_fscore_support(true, decided, average="macro", zero_division=0)
    present = np.unique(true)
    own = precision_recall_fscore_support(true, decided, labels=present, zero_division=0)[1]
    hot = true[:, None] == np.arange(probabilities.shape[1])
    sure = probabilities / probabilities.sum(1, keepdims=True)
    tops = {
        f"top_{k}_accuracy": top_k_accuracy_score(true, probabilities, k=k, labels=range(5)) if k < 5 else 1.0
        for k in (2, 3, 5)
    }
    return tops | {
        "accuracy": accuracy_score(true, decided),
        "cross_entropy": log_loss(true, sure, labels=range(5)),
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
        "lowest_recall": own.min(),
        "micro_auc": roc_auc_score(hot.ravel(), steps(probabilities).ravel()),
        "macro_auc": np.mean([roc_auc_score(hot[:, i], steps(probabilities)[:, i]) for i in present]),
        "example_count": len(true),
    }


def steps(probabilities: np.ndarray) -> np.ndarray:
    """Log-odds to four decimals, as fine as `pipeline.curves` tells probabilities apart."""
    return np.round(np.log(probabilities / (1 - probabilities)), 4)


def test_any_number_of_classes_a_row(
    tiny: Task, animals: Any, tiny_spec: Any, transformed: Callable[..., Any], evaluate: Evaluate, tmp_path: Path
) -> None:
    metrics = tuple(sorted(MultiLabel.measures))
    label = MultiLabel("genres", GENRES, none="-", threshold=0.45)
    task = labelled(tiny, label, metrics, Gate("exact_match", at_least=0.99))
    data = transformed(animals, {**tiny_spec, "genres": tf.io.VarLenFeature(tf.string)}, task.features, task.label)
    keras.utils.set_random_seed(4)
    candidate = str(tmp_path / "7")
    export(untrained(task, TransformGraph(data.transform)), f"{candidate}/Format-Serving")
    evaluated = evaluate(task, data.raw_files[0], candidate)
    uri = evaluated.uri
    assert not evaluated.blessed
    agrees_with_tfma(evaluated, task)
    assert set(evaluation.plots(uri)) == {"multiLabelConfusionMatrixAtThresholds"}

    true = np.array([[name in row["genres"].split("|") for name in GENRES] for row in animals])
    probabilities = answers(candidate, data.raw, "probabilities").astype(float)
    decided = answers(candidate, data.raw, "chosen")
    np.testing.assert_array_equal(decided, probabilities > 0.45)
    parts = precision_recall_fscore_support(true, decided, zero_division=0)
    macro = precision_recall_fscore_support(true, decided, average="macro", zero_division=0)
    micro = precision_recall_fscore_support(true, decided, average="micro", zero_division=0)
    expected = {
        **{f"macro_{name}": macro[i] for i, name in enumerate(("precision", "recall", "f1"))},
        **{f"micro_{name}": micro[i] for i, name in enumerate(("precision", "recall", "f1"))},
        "lowest_recall": parts[1].min(),
        "exact_match": (true == decided).all(1).mean(),
        "hamming_accuracy": (true == decided).mean(),
        "cross_entropy": np.where(true, -np.log(probabilities), -np.log(1 - probabilities)).mean(),
        "micro_auc": roc_auc_score(true.ravel(), steps(probabilities).ravel()),
        "macro_auc": roc_auc_score(true, steps(probabilities), average="macro"),
        "example_count": len(true),
    }
    assert evaluation.metrics(uri)["overall"] == pytest.approx(expected, abs=1e-6)
    classes = evaluation.by_class(uri, task.label)
    assert [classes[name]["recall"] for name in GENRES] == pytest.approx(parts[1], abs=1e-6)
    assert [classes[name]["example_count"] for name in GENRES] == true.sum(0).tolist()
