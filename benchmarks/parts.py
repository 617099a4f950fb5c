"""Parts of both sides, each run in a process of its own, and their medians side by side.

taken = run_part(Part.OURS_INGEST, Path("trips/data.csv"), work / "ours-1")
taken.seconds, taken.grown_mb
Console().print(table(stock, ours, rows, "title"))
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.measure import measure
from benchmarks.part import Part
from benchmarks.sides import REPOSITORY, SideError

_LOG_LINES = 15
DISTURBED = 0.1


@dataclass(frozen=True)
class Taken:
    """What one run of a part took.

    Attributes:
        nodes: seconds per node, of those that count.
        import_mb: peak resident memory after the imports, in MiB.
        peak_mb: peak resident memory at the end.
        process_seconds: the whole process, imports included.
        other_cpu_seconds: processor time of everything else on the machine meanwhile.
        examples: folder of the rows that the part wrote or read.
    """

    nodes: dict[str, float]
    import_mb: float
    peak_mb: float
    process_seconds: float
    other_cpu_seconds: float
    examples: Path

    @property
    def seconds(self) -> float:
        """Of all nodes that count."""
        return sum(self.nodes.values())

    @property
    def grown_mb(self) -> float:
        """Memory beyond that of the imports."""
        return self.peak_mb - self.import_mb


def run_part(part: Part, data: Path, work: Path) -> Taken:
    """Runs a part in a fresh process.

    Args:
        part: which.
        data: what it reads; see `benchmarks.part`.
        work: a folder for everything it writes; the run's root is `work/root`.

    Raises:
        SideError: it failed.
    """
    work.mkdir(parents=True, exist_ok=True)
    report = work / f"{part}.json"
    command = [sys.executable, "-m", "benchmarks.part", part, "--data", str(data)]
    command += ["--root", str(work / "root"), "--out", str(report)]
    measured = measure(command, cwd=REPOSITORY, stdout=work / f"{part}.out", log=work / f"{part}.log")
    if measured.exit_code != 0 or not report.exists():
        lines = (work / f"{part}.log").read_text(errors="replace").splitlines()
        raise SideError(f"{part} failed with exit code {measured.exit_code}:\n" + "\n".join(lines[-_LOG_LINES:]))
    found = json.loads(report.read_text())
    return Taken(
        nodes=found["nodes"],
        import_mb=found["import_mb"],
        peak_mb=found["peak_mb"],
        process_seconds=measured.seconds,
        other_cpu_seconds=measured.other_cpu_seconds,
        examples=Path(found["examples"]),
    )


def middle(runs: Sequence[Taken], of: Callable[[Taken], float | None]) -> float | None:
    """The median over those runs that have the figure; None where none has."""
    values = [value for value in map(of, runs) if value is not None]
    return median(values) if values else None


def disturbance(runs: Sequence[Taken], cores: int) -> float:
    """The largest share of the machine that other programs took during a run: 0.5 is one core of two."""
    return max(run.other_cpu_seconds / (run.process_seconds * cores) for run in runs)


def table(sides: dict[str, Sequence[Taken]], rows: int, title: str) -> Table:
    """Medians for a terminal, and how many times the last side's goes into the first's.

    Args:
        sides: name -> its runs; the first is what the last is compared with.
        rows: that each run read.
        title: what was run.
    """
    shown = Table("", *sides, f"{next(iter(sides))} ÷ {list(sides)[-1]}", title=title, title_justify="left")
    for column in shown.columns[1:]:
        column.justify = "right"

    def line(name: str, of: Callable[[Taken], float | None], form: str, compared: bool = True) -> None:
        found = [middle(runs, of) for runs in sides.values()]
        ratio = f"{found[0] / found[-1]:.2f}" if compared and len(found) > 1 and found[0] and found[-1] else ""
        shown.add_row(name, *("-" if value is None else form.format(value) for value in found), ratio)

    names = dict.fromkeys(name for runs in sides.values() for run in runs for name in run.nodes)
    for name in names:
        line(name, lambda run, name=name: run.nodes.get(name), "{:.2f} s")
    shown.add_section()
    line("all of them", lambda run: run.seconds, "{:.2f} s")
    line("rows a second", lambda run: rows / run.seconds, "{:,.0f}", compared=False)
    shown.add_section()
    line("peak memory, MiB", lambda run: run.peak_mb, "{:,.0f}", compared=False)
    line("… of the imports", lambda run: run.import_mb, "{:,.0f}", compared=False)
    line("… beyond them", lambda run: run.grown_mb, "{:,.0f}")
    return shown
