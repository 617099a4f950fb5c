"""Strategies of several devices and processes: all train to the weights of one device, and none leaves anything behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import MillraceError, UsageError
from pipeline.task import Task
from pipeline.train import cluster
from pipeline.train.fit import Data, Fitted, Validation, fit

Fit = Callable[..., Fitted]


@pytest.fixture
def train(tiny: Task, tiny_data: Any, tmp_path: Path) -> Fit:
    """A function: fits the tiny task, without dropout, by a strategy."""

    def run(strategy: str, **settings: Any) -> Fitted:
        callbacks = {name: settings.pop(name) for name in ("watch", "start") if name in settings}
        settings = {"steps": 40, "validate_every": 20, "batch_size": 31, **settings}
        training = replace(tiny.training, strategy=strategy, **settings)
        task = replace(tiny, training=training, model=replace(tiny.model, dropout=0.0))
        data = Data(tiny_data.files, tiny_data.files, tiny_data.transform)
        return fit(task, data, log_dir=str(tmp_path / "logs"), checkpoints=tmp_path / "training" / "tiny", **callbacks)

    return run


def helpers() -> dict[tuple[str, int], int]:
    """Processes of a cluster that this one has started: kind and index -> process id."""
    found = {}
    for children in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for pid in children.read_text().split():
            variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
            config = next((v.partition("=")[2] for v in variables if v.startswith("TF_CONFIG=")), "")
            if config:
                task = json.loads(config)["task"]
                found[task["type"], task["index"]] = int(pid)
    return found


def ending(member: tuple[str, int], number: signal.Signals, at: int) -> Callable[[Validation], bool]:
    """A watch that sends a signal to a process when the validation of that step comes."""

    def watch(validation: Validation) -> bool:
        if validation.step == at:
            os.kill(helpers()[member], number)
        return False

    return watch


@pytest.mark.parametrize("strategy", ["mirrored", "central_storage", "multi_worker"])
def test_replicas_train_to_the_weights_of_one_device(strategy: str, train: Fit) -> None:
    alone = train("one_device")
    together = train(strategy, workers=2)
    assert [v.step for v in together.history] == [20, 40]
    assert together.scale == pytest.approx(alone.scale)
    for one, other in zip(alone.history, together.history, strict=True):
        assert other.values["loss"] == pytest.approx(one.values["loss"], rel=1e-4)
        assert other.values["val_loss"] == pytest.approx(one.values["val_loss"], rel=1e-4)
    for one, other in zip(alone.model.get_weights(), together.model.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-4)
    assert helpers() == {}


def test_parameter_servers_train_to_the_quality_of_one_device(train: Fit) -> None:
    alone, together = train("one_device", steps=100), train("parameter_server", steps=100, workers=2)
    assert together.history[-1].step == 100
    assert together.history[-1].values["val_loss"] == pytest.approx(alone.history[-1].values["val_loss"], abs=0.06)
    assert together.history[-1].values["val_loss"] < 0.8 * alone.history[0].values["val_loss"]
    assert helpers() == {}


def test_a_lost_worker_is_named_and_the_next_training_goes_on_from_the_checkpoint(train: Fit) -> None:
    unbroken = train("one_device", steps=60)
    lost = ending(("worker", 1), signal.SIGKILL, at=40)
    with pytest.raises(MillraceError, match=r"multi_worker: worker 1 \(process \d+\) was ended by SIGKILL") as caught:
        train("multi_worker", steps=60, watch=lost)
    assert "Next: run again with --resume" in str(caught.value)
    assert helpers() == {}
    seen: list[int] = []
    resumed = train("multi_worker", steps=60, watch=lambda validation: bool(seen.append(validation.step)))
    assert seen in ([40, 60], [60])
    assert [validation.step for validation in resumed.history] == [20, 40, 60]
    assert resumed.history[-1].values["val_loss"] == pytest.approx(unbroken.history[-1].values["val_loss"], rel=1e-4)


def test_a_lost_server_ends_the_training_and_a_lost_worker_does_not(
    train: Fit, capfd: pytest.CaptureFixture[str]
) -> None:
    fitted = train("parameter_server", steps=60, workers=2, watch=ending(("worker", 1), signal.SIGKILL, at=20))
    assert fitted.history[-1].step == 60
    assert "worker 1 was ended by SIGKILL" in capfd.readouterr().err
    with pytest.raises(MillraceError, match=r"parameter_server: ps 0 \(process \d+\) was ended by SIGKILL"):
        train("parameter_server", steps=600, workers=2, watch=ending(("ps", 0), signal.SIGKILL, at=20))
    assert helpers() == {}


@pytest.mark.parametrize(
    ("strategy", "kinds"), [("multi_worker", ("worker", "worker")), ("parameter_server", ("chief", "worker", "ps"))]
)
def test_the_cluster_of_tf_config_is_used_where_it_is_given(
    strategy: str, kinds: tuple[str, ...], train: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = kinds.count("ps")
    made = cluster.on_this_machine(strategy, len(kinds) - servers - kinds.count("chief"), servers)
    helping = f"from pathlib import Path; from pipeline.train import remote; remote.take_part(Path({str(tmp_path / 'training' / 'tiny')!r}))"
    others = []
    try:
        for member in made.members[1:]:
            environment = {**os.environ, "TF_CONFIG": made.config(member), "PYTHONPATH": os.pathsep.join(sys.path)}
            others.append(subprocess.Popen([sys.executable, "-c", helping], env=environment))
        monkeypatch.setenv("TF_CONFIG", made.config(made.chief))
        fitted = train(strategy)
        assert [other.wait(30) for other in others] == [0] * len(others)
    finally:
        for other in others:
            other.kill()
            other.wait()
    monkeypatch.delenv("TF_CONFIG")
    alone = train("one_device")
    measured = [run.history[-1].values["val_loss"] for run in (alone, fitted)]
    assert measured[1] == pytest.approx(measured[0], rel=1e-4)
    assert not (tmp_path / "training" / "tiny" / "job.json").exists()


def test_all_processes_end_where_the_chief_is_told_to(train: Fit) -> None:
    fitted = train("multi_worker", steps=100_000, watch=lambda validation: validation.step >= 40)
    assert [validation.step for validation in fitted.history] == [20, 40]
    assert helpers() == {}


def test_processes_of_unequal_pace_do_not_wait_for_ever(train: Fit) -> None:
    signal.alarm(60)  # Its default ends this process: a test that hangs would never fail.
    try:
        fitted = train("multi_worker", steps=700, validate_every=700)
    finally:
        signal.alarm(0)
    assert [validation.step for validation in fitted.history] == [700]


def test_what_a_process_has_to_say_is_said(train: Fit) -> None:
    from pipeline.training import Sgd

    with pytest.raises(MillraceError, match=r"task 'tiny': the .* is not a number at step"):
        train("multi_worker", optimizer=Sgd(1e30))


def test_a_wrong_cluster_is_said_before_anything_starts(train: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "{oops")
    with pytest.raises(UsageError, match="TF_CONFIG is not JSON"):
        train("multi_worker")
