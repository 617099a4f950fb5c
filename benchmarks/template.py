"""Times this project against TFX's own taxi template: the same rows, the same steps, A B A B.

    python -m benchmarks.template                                  the 15,002 bundled rows, twice each (about 4 minutes)
    python -m benchmarks.template --rows 150020 --json figures.json
    python -m benchmarks.template --own-training                   ours with its task's own steps and batch size

Each run is a fresh process with an empty root and no cache. `benchmarks/stock_chain.py` says what the template is here,
and where it was made faster than it ships.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.arguments import BatchSize, Seed, Slices, Steps
from benchmarks.comparison import compare, disturbance, table
from benchmarks.measure import machine
from benchmarks.rows import BUNDLED_ROWS, taxi_folder
from benchmarks.sides import Run, SideError, Training, run_ours, run_stock, warm_up

TASK = "taxi_tips"
DISTURBED = 0.1


def main(
    rows: Annotated[int, typer.Option(min=BUNDLED_ROWS, help="Taxi rows; beyond 15,002, resampled.")] = BUNDLED_ROWS,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side runs.")] = 2,
    steps: Steps = 1000,
    batch_size: BatchSize = 40,
    seed: Seed = 0,
    own_training: Annotated[bool, typer.Option(help="Ours with its task's own steps and batch size.")] = False,
    slices: Slices = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Save every figure and the machine here.")] = None,
) -> None:
    """Runs template, ours, template, ours … and prints medians side by side."""
    console = Console()
    training = Training(steps, batch_size, seed)
    ours_training = Training(seed=seed) if own_training else training
    described = machine()
    runs: dict[str, list[Run]] = {"stock": [], "ours": []}
    with tempfile.TemporaryDirectory(prefix="millrace-benchmark-") as folder:
        work = Path(folder)
        data = taxi_folder(rows, work / "data", seed)
        try:
            warm_up(work / "warm-up", TASK)
            for number in range(1, rounds + 1):
                runs["stock"].append(run_stock(data, work / f"stock-{number}", training, slices=slices))
                _tell(console, number, runs["stock"][-1])
                runs["ours"].append(run_ours(TASK, data, work / f"ours-{number}", ours_training))
                _tell(console, number, runs["ours"][-1])
        except SideError as error:
            console.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from error
    compared = compare(runs["stock"], runs["ours"])
    console.print(table(compared, f"{rows:,} taxi rows, medians of {rounds}"))
    taken = disturbance([*runs["stock"], *runs["ours"]], described["cores"])
    if taken > DISTURBED:
        console.print(f"Other programs took up to {taken:.0%} of the machine meanwhile: don't quote these times.")
        console.print("Next: the same command on an idle machine")
    if json_file:
        trained = {"stock": asdict(training), "ours": asdict(ours_training)}
        figures = {
            "machine": described,
            "settings": {"rows": rows, "rounds": rounds, "training": trained, "template_slices": slices},
            "disturbance": taken,
            "comparison": [asdict(row) | {"ratio": row.ratio} for row in compared],
            "runs": {side: [asdict(run) for run in done] for side, done in runs.items()},
        }
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _tell(console: Console, number: int, run: Run) -> None:
    took = f"{run.run_seconds:.1f} s, process {run.process_seconds:.1f} s, {run.peak_pss_mb:,.0f} MiB"
    console.print(f"{number} {run.side}: {took}; others used {run.other_cpu_seconds:.1f} s of processor time")


if __name__ == "__main__":
    typer.run(main)
