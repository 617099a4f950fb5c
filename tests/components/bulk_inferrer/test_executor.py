"""The node: rows answered by a model that was let through, none by another, and where the answers are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.bulk_inferrer import BulkInferrer
from components.bulk_inferrer.executor import Executor
from pipeline import mirrored, tasks
from pipeline.errors import DataBlocked, UsageError
from pipeline.predict import run as predict_run
from pipeline.remote import transfer
from pipeline.task import Task

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Model artifact's folder: `probability` is the fare over 100."""

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="fare")])
        def columns(self, fare: Any) -> dict[str, Any]:
            return {"probability": fare / 100}

    folder = tmp_path_factory.mktemp("model")
    made = Model()
    tf.saved_model.save(made, str(folder / "Format-Serving"), {"columns": made.columns})
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("id,fare\na,25\nb,50\nc,much\n")
    return path


@pytest.fixture
def run(tmp_path: Path, model: Path, data: Path, tiny: Task, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function: runs the node, the model blessed and pushed as version 17 or not; returns the InferenceResult."""
    monkeypatch.setattr(tasks, "load", lambda name, overrides: tiny)
    results = iter(range(10))

    def made(
        blessed: bool = True,
        pushed: bool | None = True,
        out: str = "",
        rows: Path | str = data,
        runner: str = "FnApiRunner",
    ) -> Any:
        kinds = (standard_artifacts.Model, standard_artifacts.ModelBlessing, standard_artifacts.PushedModel)
        given, blessing, push = (kind() for kind in kinds)
        given.uri, given.id = str(model), 4
        blessing.set_int_custom_property("blessed", int(blessed))
        push.set_int_custom_property("pushed", int(bool(pushed)))
        if pushed:
            push.set_string_custom_property("pushed_version", "17")
        result = standard_artifacts.InferenceResult()
        result.uri = str(tmp_path / f"result-{next(results)}")
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=[f"--runner={runner}", "--sdk_container_image=local"]
        )
        Executor(context).Do(
            {
                "model": [given],
                "model_blessing": [blessing],
                **({} if pushed is None else {"pushed_model": [push]}),
            },
            {"inference_result": [result]},
            {
                "task": "tiny",
                "overrides": "[]",
                "data": json.dumps({"path": str(rows), "fingerprint": []}),
                "out": out,
                "code": "",
            },
        )
        return result

    return made


def account_of(result: Any) -> dict[str, Any]:
    account: dict[str, Any] = json.loads((Path(result.uri) / "account.json").read_text())
    return account


def test_rows_are_answered_with_the_pushed_version(run: Run) -> None:
    result = run()
    folder = Path(result.uri) / "predictions"
    found = pq.read_table(folder / "part-00000-of-00001.parquet")
    assert found.select(["id", "probability", "model_version"]).to_pylist() == [
        {"id": "a", "probability": 0.25, "model_version": "17"},
        {"id": "b", "probability": 0.5, "model_version": "17"},
    ]
    assert pq.read_table(folder / "errors" / "rows.parquet")["value"].to_pylist() == ["much"]
    account = account_of(result)
    assert {name: account[name] for name in ("predicted", "rows", "answered", "errors", "passed")} == {
        "predicted": True,
        "rows": 3,
        "answered": 2,
        "errors": 1,
        "passed": False,
    }
    assert result.get_int_custom_property("predicted") == 1


def test_workers_that_see_no_folder_of_this_machine_write_to_the_bucket(
    run: Run, tmp_path: Path, bucket: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrored, "_folders", {f"{bucket}/runs": str(tmp_path)})
    transfer.upload(data, f"{bucket}/rows.csv")
    sent: list[str] = []
    parts = predict_run._parts

    def noted(request: Any, stage: Any, units: Any, wait: Any) -> Any:
        sent.append(repr((stage.job, stage.at, units)))
        return parts(request, stage, units, wait)

    monkeypatch.setattr(predict_run, "_parts", noted)
    here, there = run(rows=f"{bucket}/rows.csv"), run(rows=f"{bucket}/rows.csv", runner="BundleBasedDirectRunner")
    name = "predictions/part-00000-of-00001.parquet"
    assert Path(there.uri, name).read_bytes() == Path(here.uri, name).read_bytes()
    assert [str(tmp_path) in job for job in sent] == [True, False]
    assert transfer.names(f"{bucket}/runs") == []


def test_without_a_pusher_the_version_is_the_model_s_own(run: Run) -> None:
    assert account_of(run(pushed=None))["model_version"] == "4"


@pytest.mark.parametrize(("state", "reason"), [({"blessed": False}, "not blessed"), ({"pushed": False}, "not pushed")])
def test_a_model_that_was_held_back_answers_nothing(
    run: Run, tmp_path: Path, state: dict[str, bool], reason: str
) -> None:
    result = run(**state, out=str(tmp_path / "copy"))
    assert account_of(result) == {
        "predicted": False,
        "reason": f"the model was {reason}",
        "data": str(tmp_path / "rows.csv"),
    }
    assert result.get_int_custom_property("predicted") == 0
    assert [path.name for path in Path(result.uri).iterdir()] == ["account.json"]
    assert not (tmp_path / "copy").exists()


def test_a_copy_replaces_an_earlier_one_and_nothing_else(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    for _ in range(2):
        result = run(out=str(out))
    names = {path.name for path in out.iterdir()}
    assert names == {"part-00000-of-00001.parquet", "errors", "account.json"}
    assert (out / "part-00000-of-00001.parquet").read_bytes() == (
        Path(result.uri) / "predictions" / "part-00000-of-00001.parquet"
    ).read_bytes()
    assert account_of(result)["copy"] == str(out)
    (out / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"Received: thesis\.tex"):
        run(out=str(out))
    assert (out / "thesis.tex").exists()


def test_data_that_can_t_be_used_fails_the_node(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("id,Fare\na,1\n")
    with pytest.raises(DataBlocked, match="'fare', which the model reads, is missing"):
        run(rows=tmp_path / "other.csv")


def test_the_node_is_wired_by_channels() -> None:
    from tfx.types import Channel

    channels = {
        "model": Channel(type=standard_artifacts.Model),
        "model_blessing": Channel(type=standard_artifacts.ModelBlessing),
    }
    node = BulkInferrer(**channels, task="tiny", overrides="[]", data="{}", code="0")
    assert node.id == "BulkInferrer"
    assert set(node.inputs) == {"model", "model_blessing"}
    assert node.outputs["inference_result"].type is standard_artifacts.InferenceResult
    pushed = Channel(type=standard_artifacts.PushedModel)
    with_push = BulkInferrer(**channels, task="tiny", overrides="[]", data="{}", code="0", pushed_model=pushed)
    assert set(with_push.inputs) == {"model", "model_blessing", "pushed_model"}
