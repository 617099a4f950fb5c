"""Tasks are found by file; a broken one is named and leaves the others usable."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import tasks
from pipeline.errors import TaskError, UsageError

GOOD = """
from pipeline.features import Numeric
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary
from pipeline.models.linear import Linear
from pipeline.sources import Csv
from pipeline.task import Task

TASK = Task(
    name="{name}",
    question="?",
    source=Csv("rows.csv"),
    label=Binary("label"),
    features=({features}),
    model=Linear(),
    evaluation=Evaluation(metrics=("auc",), gates=(Gate("auc", at_least=0.5),)),
)
"""
Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a task's file into a folder that takes the place of `pipeline/tasks`."""
    monkeypatch.setattr(tasks, "__path__", [str(tmp_path)])
    written = []

    def save(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        written.append(f"pipeline.tasks.{name}")
        importlib.invalidate_caches()

    yield save
    for name in written:
        sys.modules.pop(name, None)
        tasks.__dict__.pop(name.rpartition(".")[2], None)


def good(name: str, features: str = 'Numeric("x"),') -> str:
    return GOOD.format(name=name, features=features)


def test_a_new_file_is_a_new_task(write: Write) -> None:
    write("beta_new", good("beta_new"))
    write("alpha_new", good("alpha_new"))
    assert tasks.names() == ["alpha_new", "beta_new"]
    assert tasks.load("beta_new").name == "beta_new"


def test_overrides_are_applied_on_a_copy(write: Write) -> None:
    write("one_new", good("one_new"))
    assert tasks.load("one_new", ["training.steps=3"]).training.steps == 3
    assert tasks.load("one_new").training.steps == 1000


def test_unknown_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^Unknown task 'taxi_tip'\. Did you mean 'taxi_tips'\? Known: .*taxi_tips"):
        tasks.load("taxi_tip")


@pytest.mark.parametrize("name", ["../taxi_tips", "taxi_tips.TASK", "", "__init__"])
def test_a_name_that_is_no_file_is_unknown(name: str) -> None:
    with pytest.raises(UsageError, match="Unknown task"):
        tasks.load(name)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("TASK = Task(", "can't be imported: SyntaxError"),
        ("import no_such_module", "can't be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('boom')", "can't be imported: RuntimeError: boom"),
        ("", "expected TASK = Task(…). Received: TASK=None"),
        ("TASK = 5", "Received: TASK=5"),
        (good("another"), "expected the file's name. Received: name='another'"),
        (good("broken_new", 'Numeric("x"), Numeric("x"),'), "'x' is given more than once"),
        (good("broken_new", 'Numeric("label"),'), "the label 'label' is among them"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(write: Write, text: str, part: str) -> None:
    write("broken_new", text)
    write("fine_new", good("fine_new"))
    assert tasks.names() == ["broken_new", "fine_new"]
    with pytest.raises(TaskError) as caught:
        tasks.load("broken_new")
    assert str(caught.value).startswith("pipeline/tasks/broken_new.py")
    assert part in str(caught.value)
    assert tasks.load("fine_new").name == "fine_new"


def test_every_shipped_task_loads() -> None:
    assert {"taxi_tips", "taxi_fare"} <= set(tasks.names())
    for name in tasks.names():
        assert tasks.load(name).name == name
