"""A manifest's containers as processes of this machine: each with a scratch of its own, and a bucket between them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import tasks
from pipeline.ingest import files
from pipeline.kubeflow.manifests.render import render
from pipeline.kubeflow.manifests.settings import Settings
from pipeline.remote import transfer
from pipeline.train import cluster
from pipeline.train.cluster import Cluster, Member

FLAGS = ("--set", "training.steps=900", "--set", "training.validate_every=50", "--to", "Trainer")
LONGEST = 300.0
Start = Callable[[Member, str], subprocess.Popen[bytes]]

pytestmark = pytest.mark.e2e


@pytest.fixture
def root(bucket: str) -> str:
    """A folder in a bucket of a server on this machine."""
    return f"{bucket}/runs"


@pytest.fixture
def made() -> Cluster:
    """Two processes, named as the operator of a TFJob names them."""
    (chief, worker) = cluster.on_this_machine("multi_worker", 2, 0).addresses["worker"]
    return Cluster({"chief": (chief,), "worker": (worker,)})


@pytest.fixture
def start(root: str, made: Cluster, tmp_path: Path) -> Iterator[Start]:
    """A function: starts the container of a member, as the manifest has it, on a machine of that name."""
    task = tasks.load("taxi_tips", ["training.strategy=multi_worker"])
    settings = Settings(kind="tfjob", image="registry/millrace:1", root=root, workers=2, flags=FLAGS, wait=int(LONGEST))
    replicas = yaml.safe_load(render(task, settings))["spec"]["tfReplicaSpecs"]
    started: list[subprocess.Popen[bytes]] = []

    def run(member: Member, machine: str) -> subprocess.Popen[bytes]:
        scratch = tmp_path / machine
        scratch.mkdir()
        (own,) = replicas[member.kind.capitalize()]["template"]["spec"]["containers"]
        told = {variable["name"]: variable["value"].replace("/scratch", str(scratch)) for variable in own["env"]}
        config = json.dumps({**json.loads(made.config(member)), "environment": "cloud"})
        environment = {**os.environ, **told, "TF_CONFIG": config, "PYTHONPATH": os.pathsep.join(sys.path)}
        with (tmp_path / f"{machine}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *own["command"][1:], *own["args"]],
                env=environment,
                cwd=scratch,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(found: Callable[[], Any], process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until something is so, as long as a process is at work."""
    limit = time.monotonic() + LONGEST
    while not found():
        assert process.poll() is None, f"it ended before:\n{log.read_text()}"
        assert time.monotonic() < limit, "it takes too long"
        time.sleep(0.2)


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
def test_a_chief_that_was_killed_goes_on_from_the_checkpoint_on_another_machine(
    start: Start, made: Cluster, root: str, tmp_path: Path
) -> None:
    home = f"{root}/taxi_tips"

    def checkpoints() -> list[str]:
        """Those that are complete: what says so is sent last."""
        kept = [name for name in transfer.names(f"{home}/training") if name.startswith("step-")]
        return [name for name in kept if files.exists(f"{home}/training/{name}/state.json")]

    helper = start(Member("worker", 0), "worker")
    killed = start(Member("chief", 0), "first")
    until(checkpoints, killed, tmp_path / "first.log")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    chief = start(Member("chief", 0), "second")
    assert chief.wait(LONGEST) == 0, (tmp_path / "second.log").read_text()
    assert helper.wait(30) == 0, (tmp_path / "worker.log").read_text()
    (log,) = (tmp_path / "second").glob("*/*/taxi_tips/runs/*/logs/Trainer.log")
    call = json.loads(transfer.read(f"{home}/together/job.json") or b"")
    assert call["state"] == "over"
    newest = max(call["checkpoints"])
    assert int(newest.removeprefix("step-")) >= 50
    assert f"training/{newest}\n" in log.read_text().partition("training goes on from ")[2]
    (model,) = transfer.names(f"{home}/artifacts/Trainer/model")
    assert files.exists(f"{home}/artifacts/Trainer/model/{model}/Format-Serving/saved_model.pb")
    runs = transfer.names(f"{home}/logs")
    assert len(runs) == 2
    assert all(any("tfevents" in name for name in transfer.names(f"{home}/logs/{run}")) for run in runs)
    assert checkpoints() == []
