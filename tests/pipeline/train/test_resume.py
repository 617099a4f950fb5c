"""A training that is killed goes on by itself and ends as an unbroken one, bit for bit."""

import json
import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.models.dnn import Dnn
from pipeline.task import Task
from pipeline.train import job as jobs
from pipeline.train.fit import Data, Fitted, fit
from pipeline.train.job import Job
from pipeline.training import Adam, Cosine, EarlyStopping, RmsProp, Training

_SCRIPT = Path(__file__).with_name("to_the_end.py")
_TRAINING = Training(
    steps=120,
    batch_size=32,
    validate_every=15,
    checkpoint_every=7,
    optimizer=Adam(Cosine(0.01, warmup_steps=20), clip_norm=1.0),
    early_stopping=EarlyStopping(patience=30, metric="val_auc"),
    class_weights="balanced",
)


Forked = Callable[..., int]


def weights(fitted: Fitted) -> list[np.ndarray]:
    found: list[np.ndarray] = fitted.model.get_weights()
    return found


@pytest.mark.parametrize(
    "training",
    [_TRAINING, replace(_TRAINING, precision="mixed_bfloat16", optimizer=RmsProp(0.001), early_stopping=None)],
    ids=["float32", "bfloat16"],
)
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(
    tiny: Task,
    data: Data,
    tiny_data: Any,
    train: Callable[..., Fitted],
    forked: Forked,
    tmp_path: Path,
    training: Training,
) -> None:
    model = Dnn(hidden_units=(16, 8), dropout=0.2, batch_norm=True, l2=1e-4)
    task = replace(tiny, model=model, training=training)
    unbroken = train(task)
    job = Job(
        task=task,
        train_files=tuple(data.train_files),
        eval_files=tuple(data.eval_files),
        transform=os.path.dirname(tiny_data.transform.transform_savedmodel_dir),
        log_dir=str(tmp_path / "logs-of-killed"),
        checkpoints=str(tmp_path / "training"),
        start=None,
        result="",
    )
    jobs.write(job, tmp_path / "job.json")
    out = tmp_path / "out.npz"
    # An unbroken run has about a hundred: 24 checkpoints, of three each, and the calls before them.
    moments = [random.randrange(8, 60), random.randrange(0, 30)]
    print("killed at", moments)  # noqa: T201  # a failure must be repeatable
    died = [forked(_SCRIPT, tmp_path / "job.json", out, moment) for moment in (*moments, -1)]
    assert died == [-signal.SIGKILL, -signal.SIGKILL, 0], (tmp_path / "forked.log").read_text()
    with np.load(out) as arrays:
        best, history = arrays["history"]
        received = [arrays[f"arr_{index}"] for index in range(len(arrays.files) - 1)]
    for one, other in zip(weights(unbroken), received, strict=True):
        assert one.tobytes() == other.tobytes()
    assert json.loads(history) == [[validation.step, validation.values] for validation in unbroken.history]
    assert int(best) == unbroken.best_step


def test_it_goes_on_at_the_step_of_the_checkpoint_and_not_before(
    tiny: Task, data: Data, train: Callable[..., Fitted], tmp_path: Path
) -> None:
    task = replace(tiny, training=replace(tiny.training, steps=12))
    unbroken = train(task)
    folder = tmp_path / "training"

    class Cut(Exception):
        pass

    def cut(validation: Any) -> bool:
        if validation.step == 9:
            raise Cut
        return False

    with pytest.raises(Cut):
        train(task, checkpoints=folder, watch=cut)
    assert [path.name for path in sorted(folder.glob("step-*"))] == ["step-000000003", "step-000000006"]
    seen: list[int] = []
    again = train(task, checkpoints=folder, watch=lambda validation: bool(seen.append(validation.step)))
    assert seen == [9, 12]
    assert again.history == unbroken.history
    for one, other in zip(weights(unbroken), weights(again), strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tiny: Task, train: Callable[..., Fitted], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "training"
    whole = train(tiny, checkpoints=folder)
    arrays = folder / "step-000000006" / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-100])
    seen: list[int] = []
    again = train(tiny, checkpoints=folder, watch=lambda validation: bool(seen.append(validation.step)))
    assert seen == [6]
    assert "step-000000006 is damaged and passed over" in caplog.text
    for one, other in zip(weights(whole), weights(again), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"training": Training(steps=6, batch_size=16, validate_every=3)}, "other settings"),
        ({"model": Dnn(hidden_units=(4,))}, "other settings, code, initial weights"),
    ],
)
def test_what_another_model_or_other_settings_left_is_set_aside(
    tiny: Task,
    train: Callable[..., Fitted],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, Any],
    named: str,
) -> None:
    folder = tmp_path / "training"
    train(tiny, checkpoints=folder)
    seen: list[int] = []
    train(replace(tiny, **change), checkpoints=folder, watch=lambda validation: bool(seen.append(validation.step)))
    assert seen == [3, 6]
    assert len(list((folder / "aside-1").glob("step-*"))) == 2
    assert "set aside" in caplog.text
    assert named.split(", ")[0] in caplog.text


def test_a_schedulers_stop_leaves_a_checkpoint_of_the_last_step(
    tiny: Task, data: Data, train: Callable[..., Fitted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = replace(tiny, training=replace(tiny.training, steps=40, validate_every=40, steps_per_execution=1))
    folder = tmp_path / "training"
    ended: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    from pipeline.train.team import Team

    run = Team.run

    def stopped(self: Team, *args: Any) -> Any:
        if not ended and not folder.exists():
            os.kill(os.getpid(), signal.SIGTERM)
        return run(self, *args)

    monkeypatch.setattr(Team, "run", stopped)
    try:
        fit(task, data, log_dir=str(tmp_path / "logs"), checkpoints=folder)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert ended == [signal.SIGTERM]
    assert [path.name for path in folder.glob("step-*")] == ["step-000000001"]
