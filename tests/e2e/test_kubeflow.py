"""Compiled specs, run on this machine as KFP and Vertex AI run them: the model is that of a local run."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e_support import PROJECT, TIMEOUT, run, served

WARM = Path(__file__).parent / "warm"
BUCKET = {"kfp": "s3://bucket/runs", "vertex": "gs://bucket/runs"}
STEPS = "training.steps=60"
Rows = list[list[str]]


@dataclass(frozen=True)
class Job:
    """An executed spec.

    Attributes:
      code: exit code of the command.
      result: what `execute --json` printed.
      record: the run's run.json.
      text: what it printed for people.
    """

    code: int
    result: Any
    record: Any
    text: str


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that make `python -m pipeline.kubeflow.container` a fork of one that has TFX imported."""
    socket = tmp_path_factory.mktemp("warm") / "socket"
    server = subprocess.Popen(
        [sys.executable, str(WARM / "server.py"), str(socket)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"
        yield {"MILLRACE_WARM": str(socket), "MILLRACE_PYTHON": sys.executable}
    finally:
        server.kill()
        server.wait()


def runner(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs kubeflow_runner.py."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TF_"))}
    return subprocess.run(
        [sys.executable, str(PROJECT / "kubeflow_runner.py"), *words],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment | variables,
        check=False,
    )


def compiled(folder: Path, profile: str, *flags: str) -> Path:
    """A spec."""
    output = folder / f"spec.{'yaml' if profile == 'kfp' else 'json'}"
    done = runner(
        *("compile", "--target", profile, "--root", BUCKET[profile], "--image", "registry.example/millrace:1"),
        *("--output", str(output), *flags),
    )
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="module")
def execute(warm: dict[str, str]) -> Callable[..., Job]:
    """A function that runs a spec on a folder that stands for the bucket."""

    def act(spec: Path, profile: str, root: Path, *flags: str) -> Job:
        # `execute` puts the folder of its own Python first in a task's PATH; here that of the warm one.
        done = subprocess.run(
            [sys.executable, "-c", _START, str(WARM / "python"), *("execute", str(spec), "--profile", profile),
             *("--root", str(root), "--json"), *(f"--env={key}={value}" for key, value in warm.items()), *flags],
            capture_output=True, text=True, timeout=TIMEOUT, cwd=PROJECT, check=False,
        )  # fmt: skip
        result = json.loads(done.stdout) if done.stdout else None
        record = None
        if result:
            (found,) = root.glob(f"*/runs/by_job/{result['job_id']}.json")
            run_id = json.loads(found.read_text())["run_id"]
            record = json.loads((found.parents[1] / run_id / "run.json").read_text())
        return Job(done.returncode, result, record, done.stderr)

    return act


_START = """
import sys
sys.executable = sys.argv.pop(1)
from pipeline.cli_kubeflow import main
sys.exit(main())
"""


def _same_model(job: Job, local: Any) -> None:
    """What was measured is what a local run measures, and what was pushed is there."""
    assert (job.code, job.record["outcome"]) == (0, "pushed"), job.text + str(job.record and job.record["reason"])
    assert job.result["state"] == "succeeded"
    assert job.record["metrics"] == pytest.approx(local["metrics"], abs=1e-6)
    assert job.record["rows"] == local["rows"]
    assert [gate["passed"] for gate in job.record["gates"]] == [gate["passed"] for gate in local["gates"]]
    assert Path(job.record["report"]).is_file()
    assert (Path(job.record["pushed"]["path"]) / "saved_model.pb").is_file()


@pytest.fixture(scope="module")
def local_taxi(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The taxi task by local_runner.py."""
    done = run("--root", str(tmp_path_factory.mktemp("local")), "--set", STEPS)
    assert done.code == 0, done.text
    return done.record


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory, execute: Callable[..., Job]) -> dict[str, tuple[Path, Path, Job]]:
    """profile -> spec, root and job of the taxi task."""
    found = {}
    for profile in BUCKET:
        folder = tmp_path_factory.mktemp(profile)
        spec = compiled(folder, profile, "--set", STEPS)
        found[profile] = (spec, folder / "root", execute(spec, profile, folder / "root"))
    return found


@pytest.mark.parametrize("profile", BUCKET)
def test_the_taxi_task_ends_with_the_model_of_a_local_run(
    taxi: dict[str, tuple[Path, Path, Job]], local_taxi: Any, profile: str
) -> None:
    _, root, job = taxi[profile]
    _same_model(job, local_taxi)
    assert served(root, "taxi_tips") == [job.record["pushed"]["version"]]
    assert {node: state["state"] for node, state in job.record["nodes"].items()} == dict.fromkeys(
        local_taxi["nodes"], "done"
    )
    metrics = job.result["tasks"]["finish"]["outputs"]["artifacts"]["metrics"][0]
    assert metrics["metadata"]["auc"] == pytest.approx(local_taxi["metrics"]["auc"], abs=1e-6)


@pytest.mark.parametrize("profile", BUCKET)
def test_a_second_job_is_cached_and_a_worse_model_is_not_blessed(
    taxi: dict[str, tuple[Path, Path, Job]], execute: Callable[..., Job], profile: str
) -> None:
    spec, root, first = taxi[profile]
    again = execute(spec, profile, root)
    assert again.code == 0, again.text
    assert {node for node, state in again.record["nodes"].items() if not state["cached"]} == {
        *("PreviousData", "ServedData", "Baseline", "Pusher"),
    }
    assert again.record["pushed"] == first.record["pushed"]

    worse = execute(
        spec, profile, root, *("--parameter", "steps=2"),
        *("--parameter", 'overrides=["training.optimizer.learning_rate=1e-6"]'),
    )  # fmt: skip
    assert (worse.code, worse.record["outcome"]) == (11, "not_blessed"), worse.text
    assert worse.record["baseline"]["auc"] == pytest.approx(first.record["metrics"]["auc"], abs=1e-6)
    assert worse.record["pushed"] is None
    assert worse.record["nodes"]["Transform"]["cached"]
    assert worse.result["tasks"]["pusher"]["exit_code"] == 11
    assert served(root, "taxi_tips") == [first.record["pushed"]["version"]]


@pytest.mark.parametrize("profile", BUCKET)
def test_the_data_gate_stops_a_job_and_the_exit_handler_says_why(
    taxi: dict[str, tuple[Path, Path, Job]],
    execute: Callable[..., Job],
    taxi_rows: Rows,
    tmp_path: Path,
    profile: str,
) -> None:
    payment = taxi_rows[0].index("payment_type")
    for row in (poisoned := [list(row) for row in taxi_rows])[1::2]:
        row[payment] = "Barter"
    with (tmp_path / "trips.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(poisoned)
    spec, root, _ = taxi[profile]
    job = execute(spec, profile, root, "--parameter", f"data={tmp_path / 'trips.csv'}")
    assert (job.code, job.record["outcome"], job.record["exit_code"]) == (10, "data_blocked", 10), job.text
    assert "Barter" in job.record["reason"]
    assert job.record["nodes"]["DataGate"]["state"] == "blocked"
    assert job.record["nodes"]["Trainer"]["state"] == "not_run"
    assert Path(job.record["report"]).is_file()


def _gate(metric: str) -> str:
    """A gate that a model of a few steps passes."""
    return f'evaluation.gates=[{{"metric": "{metric}", "at_least": 0.15}}]'


def test_an_image_task(tmp_path: Path, execute: Callable[..., Job]) -> None:
    flags = ("--task", "digits", "--set", "training.epochs=2", "--set", _gate("accuracy"))
    local = run("--root", str(tmp_path / "local"), *flags)
    assert local.code == 0, local.text
    for profile in BUCKET:
        _same_model(execute(compiled(tmp_path, profile, *flags), profile, tmp_path / "root"), local.record)


def test_a_rolling_window(tmp_path: Path, execute: Callable[..., Job], taxi_rows: Rows) -> None:
    header, rows = taxi_rows[0], taxi_rows[1:]
    for day in range(3):
        folder = tmp_path / "days" / f"2026-11-{17 + day}"
        folder.mkdir(parents=True)
        with (folder / "trips.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows[day::3]])
    pattern = str(tmp_path / "days" / "{YYYY}-{MM}-{DD}" / "trips.csv")
    flags = ("--window", "2", "--set", STEPS, "--set", _gate("auc"))
    local = run("--root", str(tmp_path / "local"), "--data", pattern, *flags)
    assert local.code == 0, local.text
    assert local.record["spans"] == ["2026-11-18", "2026-11-19"]
    for profile in BUCKET:
        spec = compiled(tmp_path, profile, *flags)
        job = execute(spec, profile, tmp_path / "root", "--parameter", f"data={pattern}")
        _same_model(job, local.record)
        assert job.record["spans"] == local.record["spans"]
    shutil.rmtree(tmp_path / "days" / "2026-11-18")
    gap = execute(spec, profile, tmp_path / "root", "--parameter", f"data={pattern}")
    assert gap.code == 10, gap.text
    assert "[span_gap]" in gap.record["reason"]


def test_warm_start_tf_lite_answers_and_a_notification(
    taxi: dict[str, tuple[Path, Path, Job]], execute: Callable[..., Job], taxi_rows: Rows, tmp_path: Path
) -> None:
    """What a task can do locally it can do there: one job that does all of it."""
    _, root, first = taxi["kfp"]
    with (tmp_path / "rows.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(taxi_rows[:21])
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        spec = compiled(
            tmp_path, "kfp", *("--set", STEPS), *("--set", _gate("auc")), *("--lite", "float32"),
            *("--warm-start", first.record["run_id"], "--predict", "s3://bucket/rows.csv", "--notify", "ADDRESS"),
            *("--env", f"ADDRESS=http://127.0.0.1:{server.server_port}/"),
        )  # fmt: skip
        job = execute(spec, "kfp", root, "--parameter", f"predict={tmp_path / 'rows.csv'}")
        server.shutdown()
    assert (job.code, job.record["outcome"]) == (0, "pushed"), job.text
    assert job.record["warm_start"]["from"] == first.record["run_id"]
    assert job.record["lite"]["formats"]["float32"]["passed"]
    assert job.record["predictions"]["rows"] == 20
    assert [(body["outcome"], body["run_id"]) for body in posted] == [("pushed", job.record["run_id"])]

    forced = execute(
        taxi["kfp"][0], "kfp", root, *("--parameter", "steps=2", "--parameter", "force=a trial of the alarm"),
        *("--parameter", 'overrides=["training.optimizer.learning_rate=1e-6"]'),
    )  # fmt: skip
    assert (forced.code, forced.record["outcome"], forced.record["forced"]) == (0, "pushed", "a trial of the alarm")
    assert served(root, "taxi_tips")[-1] == forced.record["pushed"]["version"]


def _container(
    spec: Path, task: str, root: Path, warm: dict[str, str] | None, **values: Any
) -> "subprocess.Popen[str]":
    """Starts the container of a step as a backend would, for one job of the root, with these parameters."""
    found = next(yaml.safe_load_all(spec.read_text()))
    container = found["deploymentSpec"]["executors"][f"exec-{task}"]["container"]
    defaults = {k: v["defaultValue"] for k, v in found["root"]["inputDefinitions"]["parameters"].items()}
    given = {"inputs": {"parameterValues": {**defaults, **values, "job_id": "job-1"}}, "outputs": {}}
    arguments = [word.replace("{{$}}", json.dumps(given)) for word in container["args"]]
    python = str(WARM / "python") if warm else sys.executable
    own = {"MILLRACE_ROOT_IS": f"{BUCKET['kfp']}={root}", "MILLRACE_SCRATCH": str(root / ".scratch" / task)}
    return subprocess.Popen(
        [python, *container["command"][1:], *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=PROJECT, env=os.environ | own | (warm or {}),
    )  # fmt: skip


def _ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    text, _ = process.communicate(timeout=TIMEOUT)
    return process.returncode, text


def _state(root: Path, node: str) -> Any:
    (file,) = root.glob(f"taxi_tips/runs/*/nodes/{node}.json")
    return json.loads(file.read_text())


def test_a_step_that_is_repeated_after_half_its_outputs_leaves_one_record(tmp_path: Path, warm: dict[str, str]) -> None:
    spec, root = compiled(tmp_path, "kfp"), tmp_path / "root"
    assert _ended(_container(spec, "start", root, warm))[0] == 0
    records = root / "taxi_tips" / "metadata" / "records"
    records.parent.mkdir(parents=True)
    records.write_text("a file where a folder is to be: the outputs can be sent, and the record can not")
    code, text = _ended(_container(spec, "schema-gen", root, warm))
    assert code == 1, text
    assert _state(root, "SchemaGen")["state"] == "failed"
    first = list((root / "taxi_tips/artifacts/SchemaGen/schema").iterdir())
    assert len(first) == 1

    records.unlink()
    code, text = _ended(_container(spec, "schema-gen", root, warm))
    assert code == 0, text
    assert (_state(root, "SchemaGen")["state"], _state(root, "SchemaGen")["attempt"]) == ("done", 2)
    (record,) = records.glob("*.SchemaGen.json")
    (made,) = json.loads(record.read_text())["artifacts"]
    assert Path(made["artifact"]["uri"]).is_dir()
    assert made["artifact"]["uri"] != str(first[0])

    before = record.read_bytes()
    code, text = _ended(_container(spec, "schema-gen", root, warm))
    assert code == 0, text
    assert record.read_bytes() == before


def test_a_step_that_the_cluster_ends_says_so_and_the_exit_handler_too(tmp_path: Path, warm: dict[str, str]) -> None:
    spec, root = compiled(tmp_path, "kfp"), tmp_path / "root"
    assert _ended(_container(spec, "start", root, warm))[0] == 0
    process = _container(spec, "example-gen", root, None)
    # It has begun, and imports TensorFlow for seconds: what it prints may come when the node is done.
    looked = threading.Event()
    while not list(root.glob("taxi_tips/runs/*/nodes/ExampleGen.json")) and process.poll() is None:
        looked.wait(0.02)
    process.send_signal(signal.SIGTERM)
    code, text = _ended(process)
    assert code == 143, text
    state = _state(root, "ExampleGen")
    assert (state["state"], state["error"]) == ("stopped", "its container was ended by the cluster")
    assert list((root / "taxi_tips/metadata/records").glob("*.ExampleGen.json")) == []
    code, text = _ended(_container(spec, "finish", root, warm))
    assert code == 1, text
    assert "ExampleGen failed: its container was ended" in text


def _write_json_lines(rows: list[dict[str, Any]], path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _write_avro(rows: list[dict[str, Any]], path: Path) -> None:
    import fastavro

    fields = [{"name": name, "type": ["null", "string"]} for name in rows[0]]
    numbers = {n for row in rows for n, value in row.items() if isinstance(value, float)}
    for field in fields:
        field["type"] = ["null", "double" if field["name"] in numbers else "string"]
    with path.open("wb") as stream:
        fastavro.writer(stream, {"type": "record", "name": "trip", "fields": fields}, rows)


def _write_parquet(rows: list[dict[str, Any]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)


def _write_tfrecord(rows: list[dict[str, Any]], path: Path) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            example = tf.train.Example()
            for name, value in row.items():
                if isinstance(value, float):
                    example.features.feature[name].float_list.value.append(value)
                elif value is not None:
                    example.features.feature[name].bytes_list.value.append(value.encode())
            writer.write(example.SerializeToString())


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.jsonl", _write_json_lines),
        ("rows.avro", _write_avro),
        ("rows.parquet", _write_parquet),
        ("rows.tfrecord", _write_tfrecord),
    ],
)
def test_rows_of_every_format_are_read_in_a_container(
    tmp_path: Path,
    warm: dict[str, str],
    taxi_rows: Rows,
    name: str,
    write: Callable[[list[dict[str, Any]], Path], None],
) -> None:
    header, rows = taxi_rows[0], taxi_rows[1:61]
    write([{key: _typed(value) for key, value in zip(header, row, strict=True)} for row in rows], tmp_path / name)
    spec, root = compiled(tmp_path, "kfp"), tmp_path / "root"
    for task in ("start", "schema-gen", "example-gen"):
        code, text = _ended(_container(spec, task, root, warm, data=str(tmp_path / name)))
        assert code == 0, text
    (account,) = root.glob("taxi_tips/artifacts/ExampleGen/quarantine/*/account.json")
    counted = json.loads(account.read_text())
    assert counted["rows"] == 60
    assert sum(counted["splits"].values()) + counted["quarantined"] == 60
    assert counted["quarantined"] < 60


def _typed(text: str) -> Any:
    """A number where it is one, nothing where it is empty, else the text."""
    try:
        return float(text) if text else None
    except ValueError:
        return text
