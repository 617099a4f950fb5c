"""What other processes are told: a task goes through JSON and is the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import tasks
from pipeline.errors import MillraceError
from pipeline.task import Task
from pipeline.train import job
from pipeline.train.job import Job
from pipeline.training import Training


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_goes_through_json_and_is_the_same(name: str) -> None:
    task = tasks.load(name)
    assert job.decoded(json.loads(json.dumps(job.encoded(task)))) == task


def test_a_job_is_read_as_it_was_written(tiny: Task, tmp_path: Path) -> None:
    weighted = replace(tiny, training=Training(class_weights={"no": 1.0, "yes": 2.5}, epochs=0.5))
    written = Job(weighted, ("a", "b"), ("c",), "graph", "logs", None, None, "result.npz")
    job.write(written, tmp_path / "job.json")
    read = job.read(tmp_path / "job.json")
    assert (read.task, list(read.train_files), read.id) == (weighted, ["a", "b"], written.id)
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


@pytest.mark.parametrize("kind", ["os:system", "pipeline.cli:main", "pipeline.nowhere:Thing"])
def test_only_settings_of_ours_are_made(kind: str, tiny: Task, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    job.write(Job(tiny, (), (), "graph", "logs", None, None, "result.npz"), path)
    saved = json.loads(path.read_text())
    saved["task"]["model"] = {"=": kind, "command": "touch /nowhere"}
    path.write_text(json.dumps(saved))
    with pytest.raises(MillraceError, match="is not a job that this version of Millrace can read"):
        job.read(path)


def test_what_json_can_not_hold_is_refused() -> None:
    with pytest.raises(MillraceError, match=r"Expected plain values. Received: <object"):
        job.encoded({"value": object()})
