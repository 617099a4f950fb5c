"""Fingerprints: what changes them and what does not, so that the cache is neither stale nor wasted."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import fingerprint, tasks
from pipeline.config import RunConfig
from pipeline.overrides import apply
from pipeline.task import Task

Edit = Callable[[str], None]


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Edit:
    """A function that has a module's source look edited, until the test ends."""
    source = fingerprint._source

    def mark(module: str) -> None:
        monkeypatch.setattr(fingerprint, "_source", lambda m: source(m) + (b"# edited" if m == module else b""))

    return mark


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `mill_sample` in which `top` imports `middle`, which imports `low`; `other` stands alone."""
    folder = tmp_path / "mill_sample"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "low": "LOW = 1\n",
        "middle": "from mill_sample.low import LOW\n",
        "top": "def f():\n    from mill_sample import middle\n",
        "other": "OTHER = 1\n",
    }.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(fingerprint, "_PACKAGES", ("mill_sample",))
    fingerprint._graph.cache_clear()
    yield folder
    fingerprint._graph.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "mill_sample"]:
        del sys.modules[name]


def test_sixteen_hexadecimal_digits_that_repeat() -> None:
    first = fingerprint.of("pipeline.errors")
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert first == fingerprint.of("pipeline.errors") != fingerprint.of("pipeline.config")


@pytest.mark.parametrize(("module", "changes"), [("top", True), ("middle", True), ("low", True), ("other", False)])
def test_an_edit_counts_where_it_is_imported_directly_or_not(package: Path, module: str, changes: bool) -> None:
    before = fingerprint.of("mill_sample.top")
    (package / f"{module}.py").write_text("LOW = OTHER = 2\n", encoding="utf-8")
    assert (fingerprint.of("mill_sample.top") != before) == changes


def test_settings_count() -> None:
    assert fingerprint.of("pipeline.errors", settings=(1,)) != fingerprint.of("pipeline.errors", settings=(2,))


def test_library_versions_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint.of("pipeline.errors")
    monkeypatch.setattr(fingerprint, "_version", lambda library: "0.0")
    assert fingerprint.of("pipeline.errors") != before


@pytest.mark.parametrize(
    ("module", "changes"),
    [
        ("pipeline.features.numeric", True),
        ("pipeline.errors", True),
        ("pipeline.models.base", True),
        ("pipeline.models.wide_deep", True),
        ("pipeline.export", True),
        ("pipeline.evaluation", False),
        ("pipeline.cli", False),
        ("pipeline.tasks.taxi_fare", False),
    ],
)
def test_what_training_depends_on(edit: Edit, module: str, changes: bool) -> None:
    from pipeline.dag import _for_training

    task = tasks.load("taxi_tips")
    before = _for_training(task, RunConfig("taxi_tips"))["code"]
    edit(module)
    assert (_for_training(task, RunConfig("taxi_tips"))["code"] != before) == changes


@pytest.mark.parametrize(
    ("module", "changes"),
    [
        ("pipeline.transform", True),
        ("pipeline.features.numeric", True),
        ("pipeline.labels", True),
        ("pipeline.expressions", True),
        ("pipeline.models.wide_deep", False),
        ("pipeline.models.dnn", False),
        ("pipeline.train.run", False),
        ("pipeline.export", False),
        ("pipeline.tasks.taxi_tips", False),
    ],
)
def test_what_the_transform_depends_on(edit: Edit, module: str, changes: bool) -> None:
    before = transform_config("taxi_tips")
    edit(module)
    assert (transform_config("taxi_tips") != before) == changes


def transform_config(name: str, *overrides: str, task: Task | None = None) -> dict[str, Any]:
    from pipeline.dag import _for_preprocessing

    config = RunConfig(name, overrides=overrides)
    return _for_preprocessing(apply(task or tasks.load(name), overrides), config)


@pytest.mark.parametrize(
    "override",
    [
        "model.dropout=0.5",
        "training.steps=3",
        "training.optimizer.learning_rate=0.1",
        "split.train=9",
        "evaluation.slices=[]",
    ],
)
def test_a_setting_of_the_model_leaves_the_transform_alone(override: str) -> None:
    assert transform_config("taxi_tips", override) == transform_config("taxi_tips")


@pytest.mark.parametrize("override", ["features.trip_miles.clip=[0,50]", "label.condition.right.left.value=0.3"])
def test_a_setting_of_features_or_label_changes_the_transform(override: str) -> None:
    assert transform_config("taxi_tips", override) != transform_config("taxi_tips")


def test_an_edit_of_the_tasks_file_counts_for_the_transform_only_where_it_is_of_features_or_label() -> None:
    task = tasks.load("taxi_tips")
    same = transform_config(
        "taxi_tips", task=replace(task, question="Another?", training=replace(task.training, steps=5))
    )
    assert same == transform_config("taxi_tips")
    assert transform_config("taxi_tips", task=replace(task, features=task.features[:3])) != same
