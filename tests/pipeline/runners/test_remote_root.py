"""A root in a bucket, as the commands on this machine see it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tfx.types import standard_artifacts

from pipeline import mirrored, tasks
from pipeline.cli import guarded
from pipeline.config import RunConfig
from pipeline.errors import MillraceError, UsageError
from pipeline.remote import metadata, transfer
from pipeline.remote.mirror import Mirror
from pipeline.runners import graph, records, remote_root
from pipeline.task import Task


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MILLRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mirrored, "_folders", {})
    return tmp_path / "cache"


def _record(run_id: str, seconds: float = 1.0, **more: Any) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "task": "tips",
        "started": run_id,
        "outcome": "failed",
        "exit_code": 1,
        "seconds": seconds,
        "nodes": {},
        "gates": [],
        "pushed": None,
        "config": {},
        **more,
    }


def test_a_local_root_stands_for_itself(tmp_path: Path) -> None:
    assert remote_root.placed(str(tmp_path / "runs")) == (str(tmp_path / "runs"), None)
    assert remote_root.brought(str(tmp_path / "runs"), None, "runs", "serving") == str(tmp_path / "runs")


def test_a_root_in_a_bucket_has_a_folder_of_its_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    name, folder = remote_root.placed("s3://bucket/runs/")
    assert name == "s3://bucket/runs"
    assert folder is not None and Path(folder).parent == cache / "millrace"
    assert (Path(folder) / "root.txt").read_text() == "s3://bucket/runs\n"
    assert Path(folder).stat().st_mode & 0o077 == 0
    assert remote_root.placed("s3://bucket/runs") == (name, folder)
    assert remote_root.placed("s3://bucket/other")[1] != folder
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert remote_root.placed("s3://bucket/runs")[1] != folder


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILLRACE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert str(remote_root.placed("gs://bucket/r")[1]).startswith(str(tmp_path / "xdg" / "millrace"))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert str(remote_root.placed("gs://bucket/r")[1]).startswith(str(tmp_path / "home" / ".cache" / "millrace"))


@pytest.mark.parametrize("root", ["s3://", "gs:///", "hdfs://host/runs", "https://bucket/runs"])
def test_what_is_no_root_is_refused(root: str) -> None:
    with pytest.raises(UsageError, match=r"--root: expected a folder, s3://bucket/folder or gs://.*Received: "):
        remote_root.placed(root)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MILLRACE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"can't be written: Not a directory\. Next: set MILLRACE_CACHE"):
        remote_root.placed("s3://bucket/runs")


def test_commands_that_need_a_local_root_say_what_to_do() -> None:
    remote_root.refuse("deploy compose", "runs", "x")
    with pytest.raises(UsageError, match=r"deploy compose: expected a root on this machine.*Next: copy it"):
        remote_root.refuse("deploy compose", "s3://bucket/runs", "copy it")


def test_records_are_brought_once_and_again_while_a_run_goes_on(bucket: str) -> None:
    url = f"{bucket}/runs/tips/runs"
    for run_id, seconds in (("20260101T000000", 3.0), ("20260102T000000", 0.0)):
        transfer.write(f"{url}/{run_id}/run.json", json.dumps(_record(run_id, seconds)).encode())
    transfer.write(f"{url}/by_job/7.json", b"{}")
    here = remote_root.brought(f"{bucket}/runs", "tips", "runs")
    assert [record["seconds"] for record in records.read_all(here)] == [3.0, 0.0]
    for run_id in ("20260101T000000", "20260102T000000"):
        transfer.write(f"{url}/{run_id}/run.json", json.dumps(_record(run_id, 9.0)).encode())
    assert remote_root.brought(f"{bucket}/runs", None, "runs") == here
    assert [record["seconds"] for record in records.read_all(here)] == [3.0, 9.0]


def test_places_in_records_are_those_of_this_machine(bucket: str) -> None:
    run = "20260101T000000"
    made = _record(run, artifacts={"statistics": f"{bucket}/runs/tips/artifacts/StatisticsGen/statistics/5"})
    transfer.write(f"{bucket}/runs/tips/runs/{run}/run.json", json.dumps(made).encode())
    transfer.write(f"{bucket}/runs/tips/artifacts/StatisticsGen/statistics/5/stats", b"1")
    here = remote_root.brought(f"{bucket}/runs", "tips", "runs")
    (record,) = records.read_all(here)
    assert record["artifacts"]["statistics"] == f"{here}/tips/artifacts/StatisticsGen/statistics/5"
    remote_root.bring_named(f"{bucket}/runs", record)
    assert (Path(here) / "tips/artifacts/StatisticsGen/statistics/5/stats").read_bytes() == b"1"


def test_a_run_begins_in_the_bucket_and_takes_an_id_that_is_free(
    bucket: str, tiny: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "load", lambda *_: tiny)
    name, folder = remote_root.placed(f"{bucket}/runs")
    config = RunConfig("tiny", root=name, mirror=folder)
    path, record = remote_root.begin(config, tiny, None)
    stored = json.loads(transfer.read(f"{name}/tiny/runs/{path.name}/run.json") or b"")
    assert stored["run_id"] == record["run_id"] == path.name
    assert "the run was killed before it ended" in stored["reason"]

    new_run = records.new_run
    taken: list[Path] = []

    def same_second(config: RunConfig) -> Path:
        taken.append(config.home / "runs" / path.name if not taken else new_run(config))
        return taken[-1]

    monkeypatch.setattr(records, "new_run", same_second)
    other, record = remote_root.begin(config, tiny, None)
    assert len(taken) == 2 and other == taken[1] and record["run_id"] == other.name
    remote_root.forget(config, other)
    assert transfer.names(f"{name}/tiny/runs") == [path.name]
    assert not other.exists()


def test_a_run_that_ends_is_sent_with_its_record_last(bucket: str) -> None:
    name, cache = remote_root.placed(f"{bucket}/runs")
    config = RunConfig("tips", root=name, mirror=cache)
    folder = config.home / "runs" / "20260101T000000"
    page = config.home / "reports" / folder.name / "index.html"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "Trainer.log").write_text(f"reading {config.home}/artifacts\n")
    records.write(folder, _record(folder.name, report=str(page)))
    page.parent.mkdir(parents=True)
    page.write_text("<html>")
    remote_root.end(config, folder)
    url = f"{name}/tips"
    assert json.loads(transfer.read(f"{url}/runs/{folder.name}/run.json") or b"")["report"] == (
        f"{url}/reports/{folder.name}/index.html"
    )
    assert transfer.read(f"{url}/runs/{folder.name}/logs/Trainer.log") == f"reading {url}/artifacts\n".encode()
    assert transfer.read(f"{url}/reports/{folder.name}/index.html") == b"<html>"


def test_a_run_whose_record_cannot_be_sent_says_where_it_is(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, cache = remote_root.placed(f"{bucket}/runs")
    config = RunConfig("tips", root=name, mirror=cache)
    folder = config.home / "runs" / "20260101T000000"

    def broken(*_: Any, **__: Any) -> None:
        raise MillraceError("the server refuses it")

    monkeypatch.setattr(Mirror, "send", broken)
    with pytest.raises(MillraceError, match=f"refuses it\nThe run has ended, and its record is only here: {folder}"):
        remote_root.end(config, folder)


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
def test_errors_name_the_root_as_the_user_does(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        _, folder = remote_root.placed(f"{bucket}/runs")
        raise UsageError(f"no runs in {folder}/tips")

    assert guarded(command) == 2
    assert f"no runs in {bucket}/runs/tips" in capsys.readouterr().err


def test_runs_of_a_store_made_from_records_are_those_of_its_pipeline(tmp_path: Path) -> None:
    from ml_metadata.proto import metadata_store_pb2

    from pipeline.remote import metadata

    store = metadata.open_store(tmp_path / "metadata.db")
    remote_root._relate_runs(store)
    ids = {}
    for kind, name in (("pipeline", "tips"), ("pipeline_run", "1"), ("pipeline_run", "2"), ("node", "tips.Trainer")):
        number = store.put_context_type(metadata_store_pb2.ContextType(name=kind))
        (ids[name],) = store.put_contexts([metadata_store_pb2.Context(type_id=number, name=name)])
    for _ in range(2):
        remote_root._relate_runs(store)
        assert {context.name for context in store.get_children_contexts_by_context(ids["tips"])} == {"1", "2"}


@pytest.mark.parametrize(
    ("arguments", "node", "stay"),
    [
        (["--runner=FnApiRunner"], "Transform", []),
        (["--runner=FlinkRunner", "--job_endpoint=localhost:1", "--environment_type=LOOPBACK"], "Transform", []),
        (["--runner=FlinkRunner", "--job_endpoint=jobs:8099"], "Transform", ["examples"]),
        (["--runner=DataflowRunner"], "StatisticsGen", ["examples", "schema", "made"]),
    ],
)
def test_rows_stay_in_the_bucket_where_workers_are_elsewhere(
    arguments: list[str], node: str, stay: list[str], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = remote_root.config_of("tips", f"{bucket}/runs")
    home = config.home_url
    artifacts = {"examples": standard_artifacts.Examples(), "schema": standard_artifacts.Schema()}
    artifacts["made"] = standard_artifacts.TransformGraph()
    for name, artifact in artifacts.items():
        artifact.uri = f"{config.home}/artifacts/{name}"
        transfer.write(f"{home}/artifacts/{name}/there", b"1")
    given = {"in": [artifacts["examples"], artifacts["schema"]]}
    info = SimpleNamespace(input_dict=given, output_dict={"out": [artifacts["made"]]})
    used: dict[str, str] = {}

    def executed(_: bytes, node: str, around: Any) -> tuple[str, int]:
        with around(info):
            used.update({name: artifact.uri for name, artifact in artifacts.items()})
            for name in set(artifacts) - set(stay) - {"made"}:
                assert Path(artifacts[name].uri, "there").read_bytes() == b"1"
            if "made" not in stay:
                Path(artifacts["made"].uri).mkdir(parents=True)
                Path(artifacts["made"].uri, "new").write_bytes(b"2")
        return "done", 1

    monkeypatch.setattr(graph, "beam_arguments", lambda *_: arguments)
    monkeypatch.setattr(graph, "executed", executed)
    monkeypatch.setattr(metadata, "capture", lambda *_: {})
    assert remote_root.launch_committed(b"", node, config, "20260101T000000") == ("done", 1)
    assert used == {name: f"{home if name in stay else config.home}/artifacts/{name}" for name in artifacts}
    assert [(config.home / "artifacts" / name / "there").exists() for name in ("examples", "schema")] == [
        name not in stay for name in ("examples", "schema")
    ]
    assert transfer.names(f"{home}/artifacts/made") == (["there"] if "made" in stay else ["new", "there"])
    assert {artifact.uri for artifact in artifacts.values()} == {
        f"{config.home}/artifacts/{name}" for name in artifacts
    }
