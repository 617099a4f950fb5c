"""`kubeflow_runner.py manifest`: flags become a manifest, and what is written can be applied."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from pipeline.cli_kubeflow.manifest import manifest
from pipeline.errors import UsageError

app = typer.Typer()
app.command()(manifest)


def run(*flags: str) -> Any:
    return CliRunner().invoke(app, ["--task", "taxi_tips", *flags], catch_exceptions=False)


def test_flags_become_a_tfjob(tmp_path: Path) -> None:
    file = tmp_path / "made" / "training.yaml"
    result = run(
        *("--kind", "tfjob", "--image", "r/millrace:1", "--root", "s3://bucket/runs", "--output", str(file)),
        *("--strategy", "parameter_server", "--workers", "4", "--ps", "2", "--cpu", "2", "--memory", "4Gi"),
        *("--accelerator", "nvidia.com/gpu=1", "--env", "A=b=c", "--secret", "KEY=s3/key", "--name", "nightly"),
        *("--set", "training.steps=500", "--data", "s3://bucket/rows", "--span", "7", "--window", "2"),
    )
    assert result.exit_code == 0
    (job,) = yaml.safe_load_all(file.read_text())
    assert job["metadata"]["name"] == "nightly"
    replicas = job["spec"]["tfReplicaSpecs"]
    assert {kind: spec["replicas"] for kind, spec in replicas.items()} == {"Chief": 1, "Worker": 4, "PS": 2}
    (own,) = replicas["Worker"]["template"]["spec"]["containers"]
    assert own["args"][own["args"].index("--") + 1 :] == [
        *("--set", "training.steps=500", "--data=s3://bucket/rows", "--span=7", "--window=2"),
    ]
    assert {"name": "A", "value": "b=c"} in own["env"]
    assert own["resources"]["limits"] == {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}


def test_a_customjob_is_the_api_body_and_gclouds_config_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    result = run(
        *("--kind", "customjob", "--image", "r/millrace:1", "--root", "gs://bucket/runs", "--output", str(file)),
        *("--strategy", "multi_worker", "--workers", "2"),
    )
    assert result.exit_code == 0
    assert json.loads((tmp_path / "job.spec.json").read_text()) == json.loads(file.read_text())["jobSpec"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--env", "novalue"), "--env: expected NAME=…, each name once. Received the name 'novalue'"),
        (("--secret", "A=b/c", "--secret", "A=d/e"), "--secret: expected NAME=…, each name once"),
        (("--data", "rows.csv"), "--data: the machines of a cluster have no rows.csv"),
        (("--accelerator", "nvidia.com/gpu"), "--accelerator: expected TYPE=N such as nvidia.com/gpu=1"),
        ((), "strategy auto is of one process"),
    ],
)
def test_flags_that_can_not_be_are_refused_and_nothing_is_written(
    flags: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    where = ("--kind", "tfjob", "--image", "r/m:1", "--root", "s3://b", "--output", str(tmp_path / "job.yaml"))
    with pytest.raises(UsageError, match=said):
        run(*where, *flags)
    assert list(tmp_path.iterdir()) == []
