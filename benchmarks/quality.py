"""How well this project's models predict: against the template's model, and against a linear regression.

    python -m benchmarks.quality --seeds 0 1 2                   about 2 minutes a seed
    python -m benchmarks.quality --seeds 0 --own-training        ours with its tasks' own steps and batch size

taxi_tips against the model of TFX's template: the same steps and batch size, and the same rows in the same splits, as
the template is given the lines of each split as our ExampleGen divides them; AUC and accuracy. To say "never" has an
accuracy of 0.771 on the eval split. taxi_fare against a linear regression on the rows of the same run; errors in
dollars, lower is better.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import BatchSize, Steps
from benchmarks.linear import linear_errors, read_split
from benchmarks.measure import machine
from benchmarks.sides import Run, SideError, Training, run_ours, run_stock
from benchmarks.split import split_lines
from pipeline.sources import bundled_taxi_trips
from pipeline.tasks import load

# A model that its own gates refuse was still evaluated.
_EVALUATED = ("pushed", "not_blessed")

Metrics = Sequence[dict[str, float]]


def main(
    seeds: Annotated[list[int] | None, typer.Option(help="Seeds of the training.")] = None,
    more_seeds: Annotated[list[int] | None, typer.Argument(metavar="[SEED]...", help="More seeds.")] = None,
    steps: Steps = 1000,
    batch_size: BatchSize = 40,
    own_training: Annotated[bool, typer.Option(help="Ours with its tasks' own steps and batch size.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Save every figure and the machine here.")] = None,
) -> None:
    """Trains every model once a seed and prints means over the seeds."""
    console = Console()
    chosen = [*(seeds or []), *(more_seeds or [])] or [0, 1, 2]
    stock, tips, fare = [], [], []
    linear: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="millrace-quality-") as folder:
        work = Path(folder)
        data = work / "data"
        split = split_lines(load("taxi_tips"), Path(bundled_taxi_trips()) / "data.csv", data)
        try:
            for seed in chosen:
                given = Training(steps, batch_size, seed)
                ours = Training(seed=seed) if own_training else given
                tips.append(run_ours("taxi_tips", None, work / f"tips-{seed}", ours, outcomes=_EVALUATED))
                stock.append(run_stock(data, work / f"stock-{seed}", given, slices=False))
                _same_rows(split, tips[-1], stock[-1])
                fare.append(run_ours("taxi_fare", None, work / f"fare-{seed}", ours, outcomes=_EVALUATED))
                console.print(f"seed {seed}: done")
                if not linear:
                    root = work / f"fare-{seed}" / "root"
                    linear = linear_errors(load("taxi_fare"), read_split(root, "train"), read_split(root, "eval"))
        except SideError as error:
            console.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from error
    over = f"mean over seeds {', '.join(map(str, chosen))} (lowest to highest)"
    binary = ("auc", "binary_accuracy", "example_count")
    console.print(table(f"taxi_tips, {over}", binary, {"template": _metrics(stock), "ours": _metrics(tips)}))
    errors = ("mae", "rmse", "example_count")
    console.print(table(f"taxi_fare, {over}", errors, {"linear regression": [linear], "ours": _metrics(fare)}))
    if json_file:
        runs = {"template": stock, "taxi_tips": tips, "taxi_fare": fare}
        figures = {
            "machine": machine(),
            "settings": {"seeds": chosen, "steps": steps, "batch_size": batch_size, "own_training": own_training},
            "linear_regression": linear,
            "runs": {name: [asdict(run) for run in done] for name, done in runs.items()},
        }
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def table(title: str, names: Sequence[str], sides: dict[str, Metrics]) -> Table:
    """Metrics of several models side by side.

    Args:
        title: of the table.
        names: the metrics to show.
        sides: model -> its metrics, one dict a seed.
    """
    shown = Table("", title=title, title_justify="left")
    for side in sides:
        shown.add_column(side, justify="right")
    for name in names:
        shown.add_row(name, *(summary([found[name] for found in of if name in found]) for of in sides.values()))
    return shown


def summary(values: Sequence[float]) -> str:
    """Mean and range: `0.9293 (0.9290 to 0.9297)`; only the value where all are the same, "-" where there is none."""
    if not values:
        return "-"
    digits = 0 if all(value.is_integer() and value > 1 for value in values) else 4
    middle = f"{mean(values):,.{digits}f}"
    if min(values) == max(values):
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def _same_rows(split: dict[str, int], *runs: Run) -> None:
    """Raises SideError where a side was evaluated on another number of rows than the split has."""
    counts = {run.side: run.metrics["example_count"] for run in runs}
    if set(counts.values()) != {split["eval"]}:
        raise SideError(f"the sides can't be compared. Expected {split['eval']:,} rows each. Received: {counts}")


def _metrics(runs: Sequence[Run]) -> Metrics:
    return [run.metrics for run in runs]


if __name__ == "__main__":
    typer.run(main)
