"""One run of TFX's taxi template in this process, timed.

    python -m benchmarks.stock --data FOLDER --root FOLDER --out stock.json

`stock.json`: `{import_seconds, seconds, nodes: {id: seconds}, metrics: {auc, binary_accuracy, example_count}}`;
`seconds` counts from after the imports to the pushed model.
"""

import importlib
import json
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.arguments import BatchSize, Slices, Steps


def main(
    data: Annotated[
        Path, typer.Option(help="Folder of CSV files, or of train and eval.", exists=True, file_okay=False)
    ],
    root: Annotated[Path, typer.Option(help="Where the run writes.")],
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
    steps: Steps = 1000,
    batch_size: BatchSize = 40,
    seed: Annotated[int | None, typer.Option(help="Seed of the training; the template has none.")] = None,
    slices: Slices = True,
) -> None:
    """Runs the template once and writes what it took."""
    began = time.perf_counter()
    chain = importlib.import_module("benchmarks.stock_chain")
    imported = time.perf_counter()
    pipeline = chain.template(data, root, steps=steps, batch_size=batch_size, seed=seed, slices=slices)
    nodes = chain.run_timed(pipeline)
    finished = time.perf_counter()
    report = {
        "import_seconds": imported - began,
        "seconds": finished - imported,
        "nodes": nodes,
        "metrics": chain.evaluated(root),
    }
    out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
