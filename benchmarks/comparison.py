"""Several runs of each side as rows of one table: medians, and ours as a share of stock's.

rows = compare(stock_runs, our_runs, floor_runs)
Console().print(table(rows))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from benchmarks.sides import Run

# The order in which a run goes; a node not named here comes after these.
_ORDER = (
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "Trainer",
    "Baseline",
    "Evaluator",
    "Pusher",
)
# Seconds below this are noise: 0.01 s against 0.05 s says nothing.
_SMALLEST_SECONDS = 0.1


@dataclass(frozen=True)
class Row:
    """One line of the comparison.

    Attributes:
        section: "node", "total", "memory" or "metric".
        name: what is compared.
        stock: the template's median; None where it has no such thing.
        ours: our median; None likewise.
        floor: the plain script's; None likewise.
    """

    section: str
    name: str
    stock: float | None
    ours: float | None
    floor: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over stock: 0.5 is twice as fast, or half the memory. None for metrics and for noise."""
        if self.section == "metric" or not self.stock or not self.ours:
            return None
        if self.section == "node" and max(self.stock, self.ours) < _SMALLEST_SECONDS:
            return None
        return self.ours / self.stock


def compare(stock: Sequence[Run], ours: Sequence[Run], floor: Sequence[Run] = ()) -> list[Row]:
    """Medians of the sides, side by side.

    The sum of the nodes is the work; the run's seconds are the waiting. They differ where branches run at once. Ours
    imports TFX while it runs, so that its run without imports has no figure of its own.

    Args:
        stock: runs of the template, at least one.
        ours: runs of this project, at least one.
        floor: runs of the plain script.
    """

    def row(section: str, name: str, of: Callable[[Run], float | None]) -> Row:
        return Row(section, name, _median(stock, of), _median(ours, of), _median(floor, of))

    def node(name: str) -> Row:
        return row("node", name, lambda run: run.nodes.get(name))

    def metric(name: str) -> Row:
        return row("metric", name, lambda run: run.metrics.get(name))

    nodes = _names([run.nodes for run in (*stock, *ours)], _ORDER)
    metrics = _names([run.metrics for run in (*stock, *ours)], ("auc", "binary_accuracy", "example_count"))
    return [
        *map(node, nodes),
        row("total", "sum of nodes", lambda run: sum(run.nodes.values())),
        row("total", "run, after imports", _after_imports),
        row("total", "run, with imports", lambda run: run.run_seconds),
        row("total", "whole process", lambda run: run.process_seconds),
        row("total", "processor time", lambda run: run.cpu_seconds),
        row("memory", "peak memory, MiB", lambda run: run.peak_mb),
        row("memory", "… shared pages once", lambda run: run.peak_pss_mb),
        *map(metric, metrics),
    ]


def disturbance(runs: Sequence[Run], cores: int) -> float:
    """The largest share of the machine that other programs took during a run: 0.5 is one core of two."""
    return max(run.other_cpu_seconds / (run.process_seconds * cores) for run in runs)


def table(rows: Sequence[Row], title: str) -> Table:
    """The comparison for a terminal.

    Args:
        rows: of `compare`.
        title: what was run.
    """
    shown = Table("", "template", "ours", "ours ÷ template", "floor", title=title, title_justify="left")
    for column in shown.columns[1:]:
        column.justify = "right"
    section = ""
    for row in rows:
        if section and row.section != section:
            shown.add_section()
        section = row.section
        shown.add_row(*cells(row))
    return shown


def cells(row: Row) -> tuple[str, ...]:
    """A row's five texts: its name, the template's figure, ours, their ratio and the floor's."""
    figures = (_shown(row, row.stock), _shown(row, row.ours), _ratio(row.ratio), _shown(row, row.floor))
    return (row.name, *figures)


def _names(found: Sequence[dict[str, float]], order: Sequence[str]) -> list[str]:
    """Every name in any of the runs: those of `order` first, the others as they come."""
    seen = {name: None for names in found for name in names}
    return [name for name in order if name in seen] + [name for name in seen if name not in order]


def _after_imports(run: Run) -> float | None:
    return None if run.import_seconds is None else run.run_seconds - run.import_seconds


def _median(runs: Sequence[Run], of: Callable[[Run], float | None]) -> float | None:
    values = [value for value in map(of, runs) if value is not None]
    return median(values) if values else None


def _shown(row: Row, value: float | None) -> str:
    if value is None:
        return "-"
    if row.section == "metric":
        return f"{value:,.0f}" if value.is_integer() and value > 1 else f"{value:.4f}"
    if row.section == "memory":
        return f"{value:,.0f}"
    return f"{value:.2f} s"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
