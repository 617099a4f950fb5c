"""Times our ExampleGen against TFX's CsvExampleGen on the same CSV file, A B A B, and compares what both wrote.

    python -m benchmarks.ingest                                  150,020 rows, twice each (about 2 minutes)
    python -m benchmarks.ingest --rows 1500200 --parquet         and ours on Parquet of the same rows (about 10 minutes)
    python -m benchmarks.ingest --rows 1500200 --no-stock --scale 15002000     ours only: is the time linear, memory flat?
    python -m benchmarks.ingest --equality                       the 15,002 bundled rows through both, value by value

Each run is a fresh process with an empty root. 15 million rows need about 4 GB in the temporary folder (TMPDIR).
"""

import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.arguments import Seed
from benchmarks.examples import compare, rows_of
from benchmarks.measure import machine
from benchmarks.part import Part
from benchmarks.parts import DISTURBED, Taken, disturbance, middle, run_part, table
from benchmarks.rows import BUNDLED_ROWS, taxi_folder, taxi_parquet
from benchmarks.sides import SideError

TARGET_SPEED = 12.0  # times the rows a second of CsvExampleGen
TARGET_MIB = 1.2 * 1000**3 / 1024**2  # beyond the imports


def main(
    rows: Annotated[int, typer.Option(min=BUNDLED_ROWS, help="Taxi rows; beyond 15,002, resampled.")] = 150_020,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side runs.")] = 2,
    stock: Annotated[bool, typer.Option(help="Whether to run the stock side, minutes at 1.5 million rows.")] = True,
    parquet: Annotated[bool, typer.Option(help="Also ours on Parquet.")] = False,
    scale: Annotated[int | None, typer.Option(min=BUNDLED_ROWS, help="Also ours on this many rows, once.")] = None,
    equality: Annotated[bool, typer.Option(help="Compare the bundled rows instead of timing.")] = False,
    seed: Seed = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Save every figure and the machine here.")] = None,
) -> None:
    """Runs stock, ours, stock, ours … and prints medians side by side."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="millrace-benchmark-") as folder:
        try:
            if equality:
                _equality(console, Path(folder))
                return
            sides = ["stock"] * stock + ["parquet"] * parquet + ["ours"]
            figures = _timing(console, Path(folder), sides, rows, rounds, scale, seed)
        except SideError as error:
            console.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from error
    if json_file:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _equality(console: Console, work: Path) -> None:
    data = taxi_folder(BUNDLED_ROWS, work, seed=0)
    stock = run_part(Part.STOCK_INGEST, data, work / "stock")
    ours = run_part(Part.OURS_INGEST, data / "data.csv", work / "ours")
    found = compare(rows_of(stock.examples), rows_of(ours.examples))
    console.print(f"stock {found.left:,} rows, ours {found.right:,} rows; different: {found.missing:,}")
    for side, some in (("stock", found.only_left), ("ours", found.only_right)):
        for row in some:
            console.print(f"only {side}: {row}", markup=False)
    if not found.equal:
        raise typer.Exit(1)


def _timing(
    console: Console, work: Path, sides: list[str], rows: int, rounds: int, scale: int | None, seed: int
) -> dict[str, Any]:
    """Every side in turn, then the larger file; prints as it goes and returns the figures."""
    described = machine()
    folder = taxi_folder(rows, work / "csv", seed)
    reads = {"stock": folder, "ours": folder / "data.csv"}
    if "parquet" in sides:
        reads["parquet"] = taxi_parquet(folder / "data.csv", work / "parquet")
    runs: dict[str, list[Taken]] = {side: [] for side in sides}
    for number in range(1, rounds + 1):
        for side in sides:
            runs[side].append(_ingest(side, reads[side], work / "run"))
            console.print(f"{number} {side}: {_told(runs[side][-1])}")
    console.print(table(runs, rows, f"{rows:,} taxi rows, medians of {rounds}"))
    seconds = {side: middle(done, lambda run: run.seconds) or 0.0 for side, done in runs.items()}
    if "stock" in runs:
        speed = seconds["stock"] / seconds["ours"]
        console.print(f"ours: {speed:.1f} times the rows a second of stock; the target is {TARGET_SPEED:.0f}")
    if "parquet" in runs:
        console.print(f"Parquet takes {seconds['parquet'] / seconds['ours']:.2f}x of CSV; the target is below 1")
    grown = max(run.grown_mb for run in runs["ours"])
    console.print(f"ours: at most {grown:,.0f} MiB beyond the imports; the target is {TARGET_MIB:,.0f}")
    if scale:
        large = taxi_folder(scale, work / "large", seed) / "data.csv"
        runs["scaled"] = [_ingest("ours", large, work / "run")]
        console.print(f"{scale:,} rows: {_told(runs['scaled'][0])}")
        growth = runs["scaled"][0].seconds / seconds["ours"]
        console.print(f"{scale / rows:.1f} times the rows take {growth:.1f} times the time")
    taken = disturbance([run for done in runs.values() for run in done], described["cores"])
    if taken > DISTURBED:
        console.print(f"Other programs took up to {taken:.0%} of the machine meanwhile: don't quote these times.")
        console.print("Next: the same command on an idle machine")
    return {
        "machine": described,
        "settings": {"rows": rows, "rounds": rounds, "scale": scale, "seed": seed},
        "disturbance": taken,
        "seconds": seconds,
        "runs": {side: [asdict(run) | {"examples": None} for run in done] for side, done in runs.items()},
    }


def _ingest(side: str, data: Path, work: Path) -> Taken:
    """Runs a side once; what it wrote is removed, so that disk is needed for one run only."""
    taken = run_part(Part.STOCK_INGEST if side == "stock" else Part.OURS_INGEST, data, work)
    shutil.rmtree(work)
    return taken


def _told(run: Taken) -> str:
    return f"{run.seconds:.1f} s, {run.grown_mb:,.0f} MiB beyond the imports"


if __name__ == "__main__":
    typer.run(main)
