"""Times statistics, checks and gate against TFX's StatisticsGen and ExampleValidator on the same rows, A B A B.

    python -m benchmarks.validation                                   150,020 rows, twice each (about 2 minutes)
    python -m benchmarks.validation --rows 1500200 --json figures.json

Ours is every node from the written rows to the open gate, as the task's pipeline has them. Each run is a fresh process.
Before each of ours the rows are ingested into an empty root, which is not timed; the stock side reads those rows.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.arguments import Seed
from benchmarks.measure import machine
from benchmarks.part import Part
from benchmarks.parts import DISTURBED, Taken, disturbance, middle, run_part, table
from benchmarks.rows import BUNDLED_ROWS, taxi_folder
from benchmarks.sides import SideError

TARGET = 0.6


def main(
    rows: Annotated[int, typer.Option(min=BUNDLED_ROWS, help="Taxi rows; beyond 15,002, resampled.")] = 150_020,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side runs.")] = 2,
    seed: Seed = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Save every figure and the machine here.")] = None,
) -> None:
    """Runs stock, ours, stock, ours … and prints medians side by side."""
    console = Console()
    described = machine()
    stock: list[Taken] = []
    ours: list[Taken] = []
    with tempfile.TemporaryDirectory(prefix="millrace-benchmark-") as folder:
        work = Path(folder)
        data = taxi_folder(rows, work / "data", seed) / "data.csv"
        try:
            for number in range(1, rounds + 1):
                root = work / f"ours-{number}"
                ingested = run_part(Part.OURS_INGEST, data, root)
                stock.append(run_part(Part.STOCK_VALIDATION, ingested.examples, work / f"stock-{number}"))
                ours.append(run_part(Part.OURS_VALIDATION, data, root))
                console.print(f"{number}: stock {stock[-1].seconds:.1f} s, ours {ours[-1].seconds:.1f} s")
        except SideError as error:
            console.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from error
    console.print(table({"stock": stock, "ours": ours}, rows, f"{rows:,} taxi rows, medians of {rounds}"))
    share = (middle(ours, lambda run: run.seconds) or 0.0) / (middle(stock, lambda run: run.seconds) or 1.0)
    console.print(f"ours takes {share:.2f}x of stock; the target is below {TARGET}x")
    taken = disturbance([*stock, *ours], described["cores"])
    if taken > DISTURBED:
        console.print(f"Other programs took up to {taken:.0%} of the machine meanwhile: don't quote these times.")
        console.print("Next: the same command on an idle machine")
    if json_file:
        figures = {
            "machine": described,
            "settings": {"rows": rows, "rounds": rounds, "seed": seed},
            "disturbance": taken,
            "share": share,
            "runs": {
                side: [asdict(run) | {"examples": None} for run in runs]
                for side, runs in (("stock", stock), ("ours", ours))
            },
        }
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
