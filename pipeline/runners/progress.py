"""Shows a run on a terminal: a table that lives while the run does; plain lines where there is no terminal."""

import math
import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.runners.nodes import NodeState

_STYLES = {
    "done": ("✓", "green"),
    "cached": ("✓", "cyan"),
    "skipped": ("-", "dim"),
    "blocked": ("✗", "bold red"),
    "failed": ("✗", "bold red"),
    "stopped": ("✗", "yellow"),
    "not_run": ("-", "dim"),
    "waiting": ("·", "dim"),
}
_TELL_EVERY = 10.0
"""Seconds between two lines about the progress of a node, where there is no terminal."""


class Progress:
    """A watcher of `local.run`; use as a context manager."""

    def __init__(self, console: Console) -> None:
        """Shows on this console."""
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self._phase = "starting"
        self._began = time.monotonic()
        self._nodes: list[NodeState] = []
        self._printed: dict[str, str] = {}
        self._told: dict[str, tuple[float, str]] = {}

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.update(Text(""))
            self._live.stop()
            if self._nodes:
                self._console.print(table(self._nodes))

    def phase(self, text: str) -> None:
        """A step between nodes."""
        self._phase = text
        if self._live:
            self._show()
        else:
            self._console.print(f"{self._clock()} {text}", markup=False)

    def nodes(self, states: list[NodeState]) -> None:
        """The states of all nodes."""
        self._nodes = states
        if self._live:
            self._show()
            return
        for state in states:
            if self._printed.get(state.id, "waiting") != state.state:
                self._printed[state.id] = state.state
                spent = f" in {state.seconds:.1f} s" if state.seconds and state.state != "running" else ""
                self._console.print(f"{self._clock()} {state.id}: {state.state}{spent}", markup=False)
            elif self._has_news(state):
                self._told[state.id] = (time.monotonic(), state.progress or "")
                self._console.print(f"{self._clock()} {state.id}: {state.progress}", markup=False)

    def _has_news(self, state: NodeState) -> bool:
        """Whether a node says how far it is, said something else before, and that was a while ago."""
        told, line = self._told.get(state.id, (-math.inf, ""))
        return state.progress not in (None, line) and time.monotonic() - told >= _TELL_EVERY

    def _clock(self) -> str:
        return f"[{time.monotonic() - self._began:6.1f} s]"

    def _show(self) -> None:
        if self._live:
            line = Text.assemble((f"{self._clock()} ", "dim"), self._phase)
            busy = any(state.state == "running" for state in self._nodes)
            self._live.update(table(self._nodes) if busy else Group(Spinner("dots", line)))


def table(states: list[NodeState]) -> Table:
    """Node, state or progress, seconds and peak memory."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column, justify in (
        ("", "left"),
        ("node", "left"),
        ("state", "left"),
        ("seconds", "right"),
        ("peak MB", "right"),
    ):
        shown.add_column(column, justify=justify, header_style="dim")  # type: ignore[arg-type]
    for state in states:
        mark, style = _STYLES.get(state.state, ("▸", "bold"))
        shown.add_row(
            Text(mark, style),
            Text(state.id),
            Text(state.progress or state.state.replace("_", " "), style),
            f"{state.seconds:.1f}" if state.seconds else "",
            f"{state.peak_mb:,}" if state.peak_mb else "",
        )
    return shown
