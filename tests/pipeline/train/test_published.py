"""Machines that share nothing but a root: each has a folder of its own, and the rest goes through the bucket's stand-in."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import mirrored
from pipeline.errors import MillraceError, UsageError
from pipeline.task import Task
from pipeline.train import cluster, published
from pipeline.train.cluster import Member
from pipeline.train.fit import Data, Fitted, Validation, fit
from pipeline.train.job import Job

Fit = Callable[..., Fitted]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root, and the chief's own folder that stands for it."""
    monkeypatch.setattr(mirrored, "_folders", {})
    monkeypatch.setenv(published.WAIT, "60")
    mirrored.stand_in(str(tmp_path / "bucket"), str(tmp_path / "chief"))
    return tmp_path / "bucket"


@pytest.fixture
def train(tiny: Task, tiny_data: Any, tmp_path: Path, bucket: Path) -> Fit:
    """A function: fits the tiny task, whose rows the chief alone has, below its own folder."""
    examples = tmp_path / "chief" / "tiny" / "artifacts" / "Transform" / "examples"
    examples.mkdir(parents=True)
    for number, file in enumerate(tiny_data.files):
        (examples / f"rows-{number}.gz").write_bytes(Path(file).read_bytes())
    graph = tmp_path / "chief" / "tiny" / "artifacts" / "Transform" / "graph"
    graph.symlink_to(Path(tiny_data.transform.transform_savedmodel_dir).parent)
    files = [f"{examples}/*"]

    def run(strategy: str, **settings: Any) -> Fitted:
        import tensorflow_transform as tft

        watch = settings.pop("watch", None)
        settings = {"steps": 40, "validate_every": 20, "batch_size": 31, **settings}
        training = replace(tiny.training, strategy=strategy, **settings)
        task = replace(tiny, training=training, model=replace(tiny.model, dropout=0.0))
        data = Data(files, files, tft.TFTransformOutput(str(graph)))
        folder = tmp_path / "chief" / "tiny" / "training"
        return fit(task, data, log_dir=str(tmp_path / "logs"), checkpoints=folder, watch=watch)

    return run


@pytest.fixture
def others(bucket: Path) -> Iterator[Callable[[cluster.Cluster], list[subprocess.Popen[bytes]]]]:
    """A function: starts all members but the chief, as `millrace worker` does on machines of their own."""
    helping = f"from pipeline.train import remote; remote.take_part_by({str(bucket / 'tiny')!r}, stay=True)"
    started: list[subprocess.Popen[bytes]] = []

    def start(made: cluster.Cluster) -> list[subprocess.Popen[bytes]]:
        for member in made.members[1:]:
            environment = {**os.environ, "TF_CONFIG": made.config(member), "PYTHONPATH": os.pathsep.join(sys.path)}
            started.append(subprocess.Popen([sys.executable, "-c", helping], env=environment))
        return started

    yield start
    for process in started:
        process.kill()
        process.wait()


def killing(pid: int, at: int) -> Callable[[Validation], bool]:
    """A watch that kills what a process has started, when the validation of that step comes."""

    def watch(validation: Validation) -> bool:
        if validation.step == at:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                for child in children.read_text().split():
                    os.kill(int(child), signal.SIGKILL)
        return False

    return watch


@pytest.mark.e2e
def test_a_lost_worker_comes_again_and_all_go_on_from_the_checkpoint(
    train: Fit, others: Any, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cluster.on_this_machine("multi_worker", 2, 0)
    (helper,) = others(made)
    monkeypatch.setenv("TF_CONFIG", made.config(made.chief))
    with pytest.raises(MillraceError, match="strategy multi_worker: "):
        train("multi_worker", steps=60, watch=killing(helper.pid, at=40))
    assert json.loads((bucket / "tiny" / "together" / "job.json").read_text())["state"] == "failed"
    seen: list[int] = []
    fitted = train("multi_worker", steps=60, watch=lambda validation: bool(seen.append(validation.step)))
    assert seen in ([40, 60], [60])
    assert [validation.step for validation in fitted.history] == [20, 40, 60]
    published.close(str(bucket / "tiny"))
    assert helper.wait(30) == 0
    sent = [path.relative_to(bucket).as_posix() for path in bucket.rglob("*") if path.is_file()]
    assert "tiny/artifacts/Transform/examples/rows-0.gz" in sent
    assert any(name.startswith("tiny/training/step-0000000") for name in sent)
    monkeypatch.delenv("TF_CONFIG")
    alone = train("one_device", steps=60)
    assert fitted.history[-1].values["val_loss"] == pytest.approx(alone.history[-1].values["val_loss"], rel=1e-4)


@pytest.mark.e2e
def test_servers_and_workers_help_by_the_root_alone(
    train: Fit, others: Any, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cluster.on_this_machine("parameter_server", 1, 1)
    helpers = others(made)
    monkeypatch.setenv("TF_CONFIG", made.config(made.chief))
    fitted = train("parameter_server", steps=40)
    assert fitted.history[-1].step == 40
    assert json.loads((bucket / "tiny" / "together" / "job.json").read_text())["state"] == "trained"
    published.close(str(bucket / "tiny"))
    assert [helper.wait(30) for helper in helpers] == [0, 0]


def test_who_does_not_come_is_named(tiny: Task, bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "chief" / "tiny" / "training"
    monkeypatch.setattr(published, "_LOOK_EVERY", 0.01)
    monkeypatch.setenv(published.WAIT, "0.05")
    (tmp_path / "chief" / "tiny" / "graph").mkdir(parents=True)
    home = published.home_of(folder)
    assert home == str(bucket / "tiny")
    job = Job(tiny, (), (), str(tmp_path / "chief" / "tiny" / "graph"), "logs", str(folder), None, "result.npz")
    called = published.call(job, home, [Member("worker", 0), Member("worker", 1)])
    ready = bucket / "tiny" / "together" / "ready" / job.id
    gather = published._gather

    def one_comes(*asked: Any) -> None:
        ready.mkdir(parents=True)
        (ready / "worker-0").touch()
        gather(*asked)

    monkeypatch.setattr(published, "_gather", one_comes)
    with (
        pytest.raises(MillraceError, match=r"the chief: waited 0 s in vain for worker 1. Next: .* set MILLRACE_WAIT"),
        called,
    ):
        pytest.fail("nobody came, and the training began")


def test_a_folder_of_no_bucket_is_shared_as_it_is(tmp_path: Path, bucket: Path) -> None:
    assert published.home_of(tmp_path / "elsewhere" / "training") is None
    assert published.home_of(None) is None


def test_patience_is_a_number_of_seconds() -> None:
    assert published.patience({}) == 3600
    assert published.patience({published.WAIT: "90"}) == 90
    with pytest.raises(UsageError, match=r"MILLRACE_WAIT: expected seconds, above 0. Received: MILLRACE_WAIT=soon"):
        published.patience({published.WAIT: "soon"})


def test_a_job_of_another_version_is_said_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "together").mkdir()
    (tmp_path / "together" / "job.json").write_text('{"id": "1"}')
    with pytest.raises(MillraceError, match=r"together/job.json is not a job .*Next: give all machines"):
        published.read(str(tmp_path))
    assert published.read(str(tmp_path / "elsewhere")) is None
