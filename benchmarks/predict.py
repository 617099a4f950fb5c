"""Times `millrace predict` on taxi rows, each format, and TFX's BulkInferrer on the same rows.

    python -m benchmarks.predict                                 150,020 rows, twice each (about 5 minutes)
    python -m benchmarks.predict --rows 1500200 --no-stock       ours only, at 1.5 million rows (about 2 minutes)
    python -m benchmarks.predict --rows 1500200 --rounds 1       TFX's, too (about 10 minutes)
    python -m benchmarks.predict --rows 1500200 --batches        the model alone, by the rows that it is asked about at once

Needs a model: `make run` first. Each run is a process of its own, its start and its imports included in the time. TFX's
reads tf.Examples in gzipped TFRecord and writes PredictionLogs; ours reads the same file, too.
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pyarrow import parquet
from rich.console import Console

from benchmarks.arguments import Seed
from benchmarks.measure import Measured, machine, measure
from benchmarks.rows import BUNDLED_ROWS, taxi_folder, taxi_parquet

TASK = "taxi_tips"
TARGET = 100_000  # rows a second
_ROOT = Path(__file__).parent.parent
_ENCODED_ROWS = 16_384


def main(
    rows: Annotated[int, typer.Option(min=BUNDLED_ROWS, help="Taxi rows; beyond 15,002, resampled.")] = 150_020,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side runs.")] = 2,
    stock: Annotated[bool, typer.Option(help="Whether to run TFX's BulkInferrer.")] = True,
    root: Annotated[Path, typer.Option(help="Of the run whose model answers.")] = Path("runs"),
    batches: Annotated[bool, typer.Option("--batches", help="Time batch sizes instead, in this process.")] = False,
    seed: Seed = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Save every figure and the machine here.")] = None,
) -> None:
    """Runs every side in turn, and prints medians."""
    from pipeline.config import RunConfig
    from pipeline.predict import served

    console = Console()
    model, _ = served.served(RunConfig(TASK, root=str(root)).serving)
    if batches:
        with tempfile.TemporaryDirectory(prefix="millrace-benchmark-") as folder:
            _batches(console, taxi_folder(rows, Path(folder), seed) / "data.csv", model)
        return
    described = machine()
    runs: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory(prefix="millrace-benchmark-") as folder:
        work = Path(folder)
        sides = _sides(_inputs(rows, work, seed), Path(model), work / "out", stock=stock)
        for number in range(1, rounds + 1):
            for side, command in sides.items():
                shutil.rmtree(work / "out", ignore_errors=True)
                (work / "out").mkdir()
                taken = measure(command, cwd=_ROOT, stdout=work / "stdout", log=work / "log")
                if taken.exit_code:
                    console.print(f"{side} failed:\n{(work / 'log').read_text()[-3000:]}", markup=False)
                    raise typer.Exit(1)
                runs.setdefault(side, []).append(taken)
                console.print(f"{number} {_told(side, rows, taken)}")
    console.print(f"medians of {rounds}, {rows:,} rows; the target is {TARGET:,} rows a second from CSV")
    for side, done in runs.items():
        seconds = statistics.median(run.seconds for run in done)
        own = statistics.median(run.cpu_seconds for run in done)
        peak = max(run.peak_mb for run in done)
        console.print(
            f"{side}: {seconds:.1f} s, {rows / seconds:,.0f} rows/s, {own:.1f} s of processor time, {peak:,.0f} MiB"
        )
    if json_file:
        figures: dict[str, Any] = {"machine": described, "rows": rows, "rounds": rounds, "seed": seed}
        figures["runs"] = {side: [asdict(run) for run in done] for side, done in runs.items()}
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _batches(console: Console, data: Path, path: str) -> None:
    """Rows a second of the model alone, on columns that are in memory, by the size of a batch."""
    from pyarrow import csv

    from pipeline.ingest import typed
    from pipeline.predict import models

    table = csv.read_csv(data)
    model = models.load(path)
    columns = {name: typed.cast(table[name].combine_chunks(), kind)[0] for name, kind in (model.kinds or {}).items()}
    inputs = model.inputs(columns)
    model.answers(inputs, (), table.num_rows, 8192)
    for size in (64, 256, 1024, 4096, 8192, 16_384, 65_536):
        began = time.perf_counter()
        model.answers(inputs, (), table.num_rows, size)
        console.print(f"{size:6,} rows at once: {table.num_rows / (time.perf_counter() - began):,.0f} rows/s")


def _inputs(rows: int, work: Path, seed: int) -> dict[str, Path]:
    """The same rows in each format."""
    text = taxi_folder(rows, work / "csv", seed) / "data.csv"
    table = taxi_parquet(text, work / "parquet")
    examples = work / "examples" / "Split-all" / "data_tfrecord-00000-of-00001.gz"
    examples.parent.mkdir(parents=True)
    _encode(table, examples)
    return {"csv": text, "parquet": table, "tfrecord": examples}


def _encode(table: Path, target: Path) -> None:
    """Rows as tf.Examples, with the types of the task's schema, as ExampleGen writes them."""
    import pyarrow as pa
    import tensorflow as tf
    from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

    from pipeline import schema
    from pipeline.ingest import columns, typed

    path = schema.path_of(TASK)
    kinds = {name: column.kind for name, column in columns.of_schema(schema.read(path)).items()} if path else {}
    encoder = RecordBatchToExamplesEncoder()
    with tf.io.TFRecordWriter(str(target), tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)) as file:
        for batch in parquet.ParquetFile(table).iter_batches(_ENCODED_ROWS):
            cast = {name: typed.cast(batch.column(name), kind)[0] for name, kind in kinds.items()}
            encoded = {name: typed.as_lists(values) for name, values in cast.items()}
            for record in encoder.encode(pa.RecordBatch.from_pydict(encoded)):
                file.write(record)


def _sides(inputs: dict[str, Path], model: Path, out: Path, *, stock: bool) -> dict[str, list[str]]:
    """What is timed -> its command."""
    ours = [sys.executable, "-c", "from pipeline.cli import main; main()", "predict", TASK, "--model", str(model)]
    sides = {
        "CSV to Parquet": [*ours, "--data", str(inputs["csv"]), "--out", str(out / "tips.parquet")],
        "CSV to CSV": [*ours, "--data", str(inputs["csv"]), "--out", str(out / "tips.csv")],
        "Parquet to Parquet": [*ours, "--data", str(inputs["parquet"]), "--out", str(out / "tips.parquet")],
        "TFRecord to Parquet": [*ours, "--data", str(inputs["tfrecord"]), "--out", str(out / "tips.parquet")],
    }
    if stock:
        folder = inputs["tfrecord"].parent.parent
        given = ["--examples", str(folder), "--model", str(model), "--out", str(out / "stock")]
        sides["TFX's BulkInferrer"] = [sys.executable, "-m", "benchmarks.stock_inferrer", *given]
    return sides


def _told(side: str, rows: int, run: Measured) -> str:
    return (
        f"{side}: {run.seconds:.1f} s, {rows / run.seconds:,.0f} rows/s, {run.peak_mb:,.0f} MiB "
        f"(others took {run.other_cpu_seconds:.1f} s of processor time)"
    )


if __name__ == "__main__":
    typer.run(main)
