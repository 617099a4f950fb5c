"""Progress where there is no terminal: a line for each change, and no more."""

import io
import re

import pytest
from rich.console import Console

from pipeline.runners.nodes import NodeState
from pipeline.runners.progress import _STYLES, Progress, table


def console(width: int = 100) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False)


def text(shown: Console) -> str:
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def lines(shown: Console) -> list[str]:
    return [re.sub(r"^\[ *\d+\.\d s\] ", "", line) for line in text(shown).splitlines()]


def test_a_line_for_each_change() -> None:
    shown = console()
    with Progress(shown) as progress:
        progress.phase("starting TFX")
        progress.nodes([NodeState("Gen"), NodeState("End")])
        progress.nodes([NodeState("Gen", "running", 0.1), NodeState("End")])
        progress.nodes([NodeState("Gen", "running", 1.5), NodeState("End")])
        progress.nodes([NodeState("Gen", "done", 2.25), NodeState("End", "running")])
        progress.nodes([NodeState("Gen", "done", 2.25), NodeState("End", "not_run")])
    assert lines(shown) == ["starting TFX", "Gen: running", "Gen: done in 2.2 s", "End: running", "End: not_run"]


def test_a_line_starts_with_the_clock() -> None:
    shown = console()
    with Progress(shown) as progress:
        progress.phase("starting TFX")
    assert re.fullmatch(r"\[ +0\.\d s\] starting TFX\n", text(shown))


@pytest.mark.parametrize("name", ["[red]", "[/]", "[bold]Gen[/bold]"])
def test_markup_in_text_is_shown_literally(name: str) -> None:
    shown = console()
    with Progress(shown) as progress:
        progress.phase(f"reading {name}")
        progress.nodes([NodeState(name, "running")])
    assert lines(shown) == [f"reading {name}", f"{name}: running"]


def test_the_table_has_state_seconds_and_memory() -> None:
    shown = console()
    states = [NodeState("Gen", "done", 12.34, 1500), NodeState("[red]", "not_run"), NodeState("End", "running")]
    shown.print(table(states))
    rows = [line.split() for line in text(shown).splitlines()]
    assert rows == [
        ["node", "state", "seconds", "peak", "MB"],
        ["✓", "Gen", "done", "12.3", "1,500"],
        [_STYLES["not_run"][0], "[red]", "not", "run"],
        ["▸", "End", "running"],
    ]


def test_the_live_view_ends_with_the_table() -> None:
    shown = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    with Progress(shown) as progress:
        progress.phase("starting [red]")
        progress.nodes([NodeState("Gen", "running", 1.0)])
        progress.nodes([NodeState("Gen", "failed", 2.0)])
    assert text(shown).rstrip().endswith("2.0")
    assert "Gen" in text(shown).splitlines()[-1]


def test_how_far_a_node_is_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("pipeline.runners.progress.time.monotonic", lambda: now[0])
    shown = console()
    with Progress(shown) as progress:
        for second in range(0, 25, 5):
            now[0] = 100.0 + second
            progress.nodes([NodeState("Trainer", "running", second, progress=f"step {second}")])
    assert lines(shown) == ["Trainer: running", "Trainer: step 5", "Trainer: step 15"]


def test_the_table_says_how_far_a_node_is() -> None:
    shown = console()
    shown.print(table([NodeState("Trainer", "running", 3.0, progress="step 400 of 1,000, loss 0.3102")]))
    assert "step 400 of 1,000, loss 0.3102" in text(shown)
