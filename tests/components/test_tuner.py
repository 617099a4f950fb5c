"""The Tuner: what it tries, what it remembers, what it says of trials that fail; what later runs make of its values."""

import gc
import json
import math
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.tuner import LatestTuned, search
from components.tuner.journal import Journal, Trial
from components.tuner.search import Search
from pipeline import tasks
from pipeline.errors import DataBlocked, MillraceError, UsageError
from pipeline.labels import Scale
from pipeline.overrides import apply
from pipeline.task import Task
from pipeline.train.fit import Data, Fitted, Validation
from pipeline.train.tuned import search_of, values_of, with_tuned
from pipeline.training import Adam
from pipeline.tuning import Choice, IntRange, LogUniform, Tuning

RATE, UNITS, BATCH = "training.optimizer.learning_rate", "model.hidden_units", "training.batch_size"
TUNING = Tuning(
    search={RATE: LogUniform(1e-3, 1e-1), UNITS: Choice((4,), (8, 4)), BATCH: IntRange(16, 64, step=16)},
    trials=3,
    steps=20,
    seed=4,
)
SCRIPT = Path(__file__).with_name("search_to_the_end.py")


@pytest.fixture(scope="module", autouse=True)
def frozen() -> Iterator[None]:
    """As in a run, where it is done by `pipeline.runners.preload`: Keras has garbage collected after each trial."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def known(tiny: Task, monkeypatch: pytest.MonkeyPatch) -> Callable[[Tuning | None], Task]:
    """A function: makes the tiny task with this search the one that `tasks.load` finds."""

    def use(tuning: Tuning | None) -> Task:
        task = replace(tiny, features=tiny.features[:2], tuning=tuning)
        monkeypatch.setattr(tasks, "load", lambda name, overrides=(): apply(task, overrides))
        return task

    return use


@pytest.fixture
def searched(known: Any, tiny_data: Any, tmp_path: Path) -> Callable[..., Search]:
    """A function: a search, run to its end."""

    def run(tuning: Tuning = TUNING, overrides: Sequence[str] = (), place: str = "journal") -> Search:
        known(tuning)
        data = Data(tiny_data.files, tiny_data.files, tiny_data.transform)
        made = Search(
            "tiny", overrides, search_of("tiny", overrides), data, Journal(tmp_path / place), str(tmp_path / "kt")
        )
        made.search()
        return made

    return run


def test_the_best_of_the_trials_is_found_and_all_are_told(searched: Any) -> None:
    report = searched().report()
    trials = report["trials"]
    assert [trial["state"] for trial in trials] == ["done"] * 3
    assert len({json.dumps(trial["values"]) for trial in trials}) == 3
    assert report["value"] == min(trial["value"] for trial in trials)
    assert report["best"] == min(trials, key=lambda trial: trial["value"])["values"]
    assert (report["objective"], report["direction"], report["algorithm"]) == ("val_loss", "min", "random")
    for trial in trials:
        assert all(TUNING.search[path].contains(value) for path, value in trial["values"].items())
        assert 0 < trial["step"] <= 20 and 0.1 < trial["value"] < 10


def test_more_of_a_metric_is_better(searched: Any) -> None:
    report = searched(replace(TUNING, objective="val_auc")).report()
    assert report["value"] == max(trial["value"] for trial in report["trials"])
    assert 0.2 < report["value"] <= 1


def test_finished_trials_are_not_tried_again(searched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = searched().report()

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("trained once more")

    monkeypatch.setattr(search, "fit", refuse)
    again = searched().report()
    assert [trial["values"] for trial in again["trials"]] == [trial["values"] for trial in first["trials"]]
    assert [trial["value"] for trial in again["trials"]] == [trial["value"] for trial in first["trials"]]
    assert all(trial["reused"] for trial in again["trials"]) and not any(trial["reused"] for trial in first["trials"])


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(searched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = search.fit

    def fails_once(task: Task, *args: Any, **kwargs: Any) -> Any:
        if task.model.hidden_units == (4,):  # type: ignore[attr-defined]
            raise MillraceError("the loss is not a number")
        return real(task, *args, **kwargs)

    monkeypatch.setattr(search, "fit", fails_once)
    found = searched(replace(TUNING, search={UNITS: Choice((4,), (8, 4), (5,))})).report()
    failed = [trial for trial in found["trials"] if trial["state"] == "failed"]
    assert [(trial["values"], trial["value"], trial["reason"]) for trial in failed] == [
        ({UNITS: [4]}, None, "the loss is not a number")
    ]
    assert len(found["trials"]) == 3 and found["best"][UNITS] in ([8, 4], [5])


def test_where_all_fail_it_says_why(searched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "fit", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(MillraceError, match=r"all 3 trials failed:\n  - ZeroDivisionError: division by zero"):
        searched()


def test_a_search_ends_at_once_where_the_data_can_not_do(searched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def blocked(*args: Any, **kwargs: Any) -> None:
        raise DataBlocked("The train split has no row.")

    monkeypatch.setattr(search, "fit", blocked)
    with pytest.raises(search.FatalError, match="no row") as caught:
        searched()
    assert isinstance(caught.value.__cause__, DataBlocked)


def test_an_objective_that_is_not_measured_is_said(searched: Any) -> None:
    with pytest.raises(search.FatalError, match=r"no metric 'val_acu_auc'.*val_auc"):
        searched(replace(TUNING, objective="val_acu_auc"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that take no time: the longer and the nearer to a rate of 0.01, the better. For what to try next, they do."""

    def fit(task: Task, data: Data, log_dir: str) -> Fitted:
        rate, steps = task.training.optimizer.learning_rate, task.training.length(None)
        loss = abs(math.log10(rate) + 2) + 0.01 * task.training.batch_size / steps  # type: ignore[arg-type]
        return Fitted(None, Scale(), [Validation(steps, {"val_loss": loss})], steps)  # type: ignore[arg-type]

    monkeypatch.setattr(search, "fit", fit)


@pytest.mark.usefixtures("quick")
def test_hyperband_tries_the_best_short_trials_again_for_longer(searched: Any) -> None:
    report = searched(replace(TUNING, algorithm="hyperband", trials=13, steps=18)).report()
    lengths = []
    for trial in report["trials"]:
        assert trial["state"] == "done" and set(trial["values"]) == set(TUNING.search)
        lengths.append(trial["step"])
    assert len(lengths) == 13 and max(lengths[:9]) <= 2 and max(lengths[9:12]) <= 6
    best_short = sorted(report["trials"][:9], key=lambda trial: trial["value"])[:3]
    assert [t["values"] for t in report["trials"][9:12]] == [t["values"] for t in best_short]
    assert report["trials"][12]["values"] == min(report["trials"][9:12], key=lambda t: t["value"])["values"]


@pytest.mark.usefixtures("quick")
def test_bayesian_goes_on_from_the_trials_so_far(searched: Any) -> None:
    report = searched(replace(TUNING, search={RATE: LogUniform(1e-4, 1e-1)}, algorithm="bayesian", trials=5)).report()
    assert len(report["trials"]) == 5
    assert all(1e-4 <= trial["values"][RATE] <= 1e-1 for trial in report["trials"])


def test_what_set_gives_is_not_searched_for(searched: Any) -> None:
    report = searched(overrides=[f"{RATE}=0.02", f"{BATCH}=48"]).report()
    assert all(list(trial["values"]) == [UNITS] for trial in report["trials"])
    assert len(report["trials"]) == 2  # There are no more choices.


def test_a_killed_search_goes_on_with_the_trials_that_it_has(
    tiny: Task, tiny_data: Any, forked: Callable[..., int], tmp_path: Path
) -> None:
    task = replace(tiny, features=tiny.features[:2], tuning=TUNING)
    graph = str(Path(tiny_data.transform.transform_savedmodel_dir).parent)
    reports = []
    for place in ("killed", "whole"):
        arguments, report = tmp_path / f"{place}.pickle", tmp_path / f"{place}.json"
        arguments.write_bytes(pickle.dumps((task, tiny_data.files, graph, str(tmp_path / place), str(report))))
        if place == "killed":
            assert forked(SCRIPT, arguments, 1) == -signal.SIGKILL, (tmp_path / "forked.log").read_text()
            finished = {path: path.stat().st_mtime_ns for path in (tmp_path / place).glob("*/*/trial.json")}
            assert len(finished) == 1 and not report.exists()
        assert forked(SCRIPT, arguments, -1) == 0, (tmp_path / "forked.log").read_text()
        reports.append(json.loads(report.read_text()))
    after, whole = reports
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert [trial["reused"] for trial in after["trials"]].count(True) == len(finished)
    assert [(t["values"], t["value"]) for t in after["trials"]] == [(t["values"], t["value"]) for t in whole["trials"]]
    assert (after["best"], after["value"]) == (whole["best"], whole["value"])


def test_a_journal_keeps_apart_what_differs_and_passes_over_what_is_damaged(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "data", "code")
    trial = Trial(("model.dropout=0.1",), 0.25, 20, {"val_loss": 0.25}, 1.5)
    journal.add(trial)
    assert journal.find(trial.settings) == trial
    assert journal.find(("model.dropout=0.2",)) is None
    assert Journal(tmp_path, "other data", "code").find(trial.settings) is None
    (journal.folder(trial.settings) / "trial.json").write_text('{"settings": ["mod')
    assert journal.find(trial.settings) is None


def test_a_search_that_does_not_fit_its_task_is_refused_before_it_starts(known: Any) -> None:
    known(None)
    with pytest.raises(UsageError, match="task 'tiny' has no search"):
        search_of("tiny", ())
    known(replace(TUNING, search={"model.dropout": Choice(0.1, 2.0), UNITS: Choice("wide")}))
    with pytest.raises(UsageError) as caught:
        search_of("tiny", ())
    assert "dropout: expected a share in [0, 1). Received: dropout=2.0" in str(caught.value)
    assert 'model.hidden_units="wide"' in str(caught.value)
    known(replace(TUNING, search={UNITS: Choice((4,))}))
    with pytest.raises(UsageError, match="--set leaves nothing to search for"):
        search_of("tiny", [f"{UNITS}=[4]"])


def test_found_values_give_way_to_set_and_to_an_edited_task(known: Any) -> None:
    known(TUNING)
    found = values_of({"values": {RATE: 0.05, UNITS: "[8, 4]", BATCH: 48, "model.dropout": 0.1, "tuner/epochs": 3}})
    assert found == {RATE: 0.05, UNITS: [8, 4], BATCH: 48, "model.dropout": 0.1}
    tuned = with_tuned("tiny", [f"{RATE}=0.02"], found)
    assert tuned.task.training.optimizer == Adam(0.02)
    assert tuned.task.model.hidden_units == (8, 4) and tuned.task.training.batch_size == 48  # type: ignore[attr-defined]
    assert (tuned.values, tuned.overridden) == ({UNITS: [8, 4], BATCH: 48}, [RATE])
    assert tuned.dropped == ["model.dropout=0.1: the task's search has no such setting any more"]
    known(replace(TUNING, search={UNITS: Choice((16,)), BATCH: IntRange(32, 40)}))
    edited = with_tuned("tiny", [], {UNITS: [8, 4], BATCH: 48})
    assert edited.values == {} and len(edited.dropped) == 2
    assert "not in IntRange(low=32, high=40, step=1)" in edited.dropped[1]
    assert edited.task.training.batch_size == 32


def test_the_latest_search_is_found_or_nothing() -> None:
    class Artifact:
        def __init__(self, id_: int) -> None:
            self.id = id_

    first, last = Artifact(3), Artifact(8)
    strategy = LatestTuned()
    assert strategy.resolve_artifacts(None, {"hyperparameters": [last, first]}) == {"hyperparameters": [last]}  # type: ignore[arg-type, list-item]
    assert strategy.resolve_artifacts(None, {}) == {"hyperparameters": []}  # type: ignore[arg-type]
