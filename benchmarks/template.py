"""Times this project against TFX's own taxi template and against a plain script: the same rows, the same steps.

    python -m benchmarks.template                                  15 k, 150 k and 1.5 M rows, twice each
    python -m benchmarks.template --rows 15002 --rounds 3 --json figures.json
    python -m benchmarks.template --rows 1500200 --growth 15002000
    python -m benchmarks.template --own-training                   ours with its task's own steps and batch size
    python -m benchmarks.page figures.json                         the tables and the chart of docs/performance.md

Template, ours, floor, template, ours, floor …: each run is a fresh process with an empty root. Ours is then run again
twice on its root: as it was, when all is found in the cache, and with another model. `benchmarks/stock_chain.py` says what
the template is here, and where it was made faster than it ships; `benchmarks/floor.py` is the plain script.
"""

import json
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.arguments import BatchSize, Seed, Slices, Steps
from benchmarks.comparison import compare, disturbance, table
from benchmarks.measure import machine
from benchmarks.rows import BUNDLED_ROWS, taxi_folder
from benchmarks.sides import Run, SideError, Training, run_floor, run_ours, run_stock, warm_up

TASK = "taxi_tips"
DISTURBED = 0.1
SIZES = (BUNDLED_ROWS, 150_020, 1_500_200)
EDIT = "model.hidden_units=[96,64,48,24]"
_JUDGED = ("pushed", "not_blessed")
"""How the run with another model may end: it has to stand up to the first one's."""


@dataclass
class Size:
    """The runs on some number of rows.

    Attributes:
        rows: how many.
        runs: "stock", "ours", "floor", "cached" and "edited" -> its runs; of "growth" only ours.
    """

    rows: int
    runs: dict[str, list[Run]] = field(default_factory=dict)

    def add(self, kind: str, run: Run) -> Run:
        """Keeps a run."""
        self.runs.setdefault(kind, []).append(run)
        return run


def main(
    rows: Annotated[
        list[int] | None, typer.Option(min=BUNDLED_ROWS, help="Taxi rows, may be repeated; 15,002 are bundled.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side runs.")] = 2,
    growth: Annotated[int, typer.Option(min=0, help="Ours alone also runs once on so many rows.")] = 0,
    steps: Steps = 1000,
    batch_size: BatchSize = 40,
    seed: Seed = 0,
    own_training: Annotated[bool, typer.Option(help="Ours with its task's own steps and batch size.")] = False,
    slices: Slices = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Save every figure and the machine here.")] = None,
) -> None:
    """Runs template, ours, floor, template, ours, floor … and prints medians side by side."""
    console = Console()
    training = Training(steps, batch_size, seed)
    ours_training = Training(seed=seed) if own_training else training
    described = machine()
    sizes: list[Size] = []
    with tempfile.TemporaryDirectory(prefix="millrace-benchmark-") as folder:
        try:
            warm_up(Path(folder) / "warm-up", TASK)
            for count in rows or SIZES:
                size = _measured(console, Path(folder), count, rounds, (training, ours_training), slices=slices)
                sizes.append(size)
                _print(console, size, rounds, described["cores"])
            if growth:
                data = taxi_folder(growth, Path(folder) / f"data-{growth}", seed)
                grown = Size(growth)
                run = run_ours(TASK, data, Path(folder) / f"ours-{growth}", ours_training)
                _tell(console, 1, grown.add("ours", run))
                sizes.append(grown)
        except SideError as error:
            console.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from error
    if json_file:
        trained = {"stock": asdict(training), "ours": asdict(ours_training)}
        figures = {
            "machine": described,
            "settings": {"rounds": rounds, "training": trained, "template_slices": slices, "edit": EDIT},
            "sizes": [figures_of(size, described["cores"]) for size in sizes],
        }
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _measured(
    console: Console, work: Path, rows: int, rounds: int, trainings: tuple[Training, Training], *, slices: bool
) -> Size:
    """All runs on some number of rows."""
    theirs, own = trainings
    data = taxi_folder(rows, work / f"data-{rows}", theirs.seed or 0)
    size = Size(rows)
    for number in range(1, rounds + 1):
        place = work / f"{rows}-{number}"
        _tell(console, number, size.add("stock", run_stock(data, place / "stock", theirs, slices=slices)))
        _tell(console, number, size.add("ours", run_ours(TASK, data, place / "ours", own)))
        again = run_ours(TASK, data, place / "ours", own, again=True, outcomes=_JUDGED)
        _tell(console, number, size.add("cached", again), "cached")
        edited = run_ours(TASK, data, place / "ours", own, again=True, outcomes=_JUDGED, edit=EDIT)
        _tell(console, number, size.add("edited", edited), "another model")
        _tell(console, number, size.add("floor", run_floor(data, place / "floor", theirs)))
    return size


def figures_of(size: Size, cores: int) -> dict[str, Any]:
    """A size as it is saved: medians, shares, and every run."""
    found: dict[str, Any] = {
        "rows": size.rows,
        "disturbance": disturbance([run for done in size.runs.values() for run in done], cores),
        "runs": {kind: [asdict(run) for run in done] for kind, done in size.runs.items()},
    }
    if "stock" in size.runs:
        compared = compare(size.runs["stock"], size.runs["ours"], size.runs.get("floor", ()))
        found["comparison"] = [asdict(row) | {"ratio": row.ratio} for row in compared]
    if "cached" in size.runs:
        found["again"] = {kind: _seconds(size, kind) for kind in ("ours", "cached", "edited")}
    return found


def _seconds(size: Size, kind: str) -> float:
    return median(run.process_seconds for run in size.runs[kind])


def _print(console: Console, size: Size, rounds: int, cores: int) -> None:
    compared = compare(size.runs["stock"], size.runs["ours"], size.runs["floor"])
    console.print(table(compared, f"{size.rows:,} taxi rows, medians of {rounds}"))
    whole, cached, edited = (_seconds(size, kind) for kind in ("ours", "cached", "edited"))
    console.print(
        f"again, all of it cached: {cached:.1f} s; with another model: {edited:.1f} s, {edited / whole:.2f} of a run"
    )
    taken = disturbance([run for done in size.runs.values() for run in done], cores)
    if taken > DISTURBED:
        console.print(f"Other programs took up to {taken:.0%} of the machine meanwhile: don't quote these times.")
        console.print("Next: the same command on an idle machine")


def _tell(console: Console, number: int, run: Run, what: str = "") -> None:
    took = f"{run.run_seconds:.1f} s, process {run.process_seconds:.1f} s, {run.peak_pss_mb:,.0f} MiB"
    name = f"{run.side}, {what}" if what else run.side
    console.print(f"{number} {name}: {took}; others used {run.other_cpu_seconds:.1f} s of processor time")


if __name__ == "__main__":
    typer.run(main)
