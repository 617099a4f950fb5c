"""Times each node that reads all rows: on this machine's fast path, and by the workers of a local Flink.

    python -m benchmarks.scale                                     1.5 M and 15 M rows, local, 1 slot and 2 slots
    python -m benchmarks.scale --rows 1500200 --slots 2 --json figures.json
    python -m benchmarks.scale --jar job-server.jar --jar flink-dist.jar

A cluster is started for each number of slots and stopped after its runs, with `millrace cluster`. Each run is a fresh
process with an empty root. Rows a second and core are rows / (seconds x cores of the machine): a worker's libraries use all
of them, however many slots there are. docs/scale.md has the figures.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pyarrow import csv
from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine, measure
from benchmarks.rows import taxi_pieces

_FILE_ROWS = 250_000
_REPOSITORY = Path(__file__).parents[1]
_NODES = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator")
_CLUSTER = [sys.executable, "-c", "from pipeline.cli import main; main()", "cluster"]
_ON_FLINK = ("--beam-runner", "flink", "--beam-node", "all=cluster")


@dataclass(frozen=True)
class Timed:
    """One run.

    Attributes:
        rows: how many.
        slots: of the cluster; 0 where the run was local.
        seconds: of the whole process.
        nodes: node -> its seconds.
        peak_mb: node -> the largest memory of the process that launched it, in MiB.
    """

    rows: int
    slots: int
    seconds: float
    nodes: dict[str, float]
    peak_mb: dict[str, int]

    def rate(self, node: str) -> float:
        """Rows a second and core."""
        return self.rows / self.nodes[node] / len(os.sched_getaffinity(0))


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Taxi rows, may be repeated.")] = None,
    slots: Annotated[
        list[int] | None, typer.Option(help="Slots of the cluster, may be repeated; 0: no cluster.")
    ] = None,
    jar: Annotated[list[str] | None, typer.Option(help="For `millrace cluster up --jar`, may be repeated.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Save every figure and the machine here.")] = None,
) -> None:
    """Runs taxi_tips to its end for each number of slots and of rows, and prints the rates of its nodes."""
    console = Console()
    found: list[Timed] = []
    with tempfile.TemporaryDirectory(prefix="millrace-scale-") as name:
        folder = Path(name)
        for width in slots or (0, 1, 2):
            with _cluster(width, jar or (), folder):
                for count in rows or (1_500_200, 15_002_000):
                    found.append(_timed(count, width, folder))
                    console.print(_line(found[-1]))
    console.print(_table(found))
    if json_file:
        figures = {"machine": machine(), "runs": [asdict(one) for one in found]}
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


@contextmanager
def _cluster(slots: int, jars: Sequence[str], folder: Path) -> Iterator[None]:
    """A Flink of so many slots; none where it is 0."""
    if not slots:
        yield
        return
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    given = [word for path in jars for word in ("--jar", path)]
    subprocess.run([*_CLUSTER, "up", "--slots", str(slots), *given], cwd=_REPOSITORY, check=True)
    try:
        yield
    finally:
        subprocess.run([*_CLUSTER, "down"], cwd=_REPOSITORY, check=True)


def _timed(rows: int, slots: int, folder: Path) -> Timed:
    """One run in an empty root."""
    data = _files(rows, folder / f"data-{rows}")
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        flags = ["--root", str(work / "root"), "--data", str(data), *(_ON_FLINK if slots else ())]
        measured = measure(
            [sys.executable, str(_REPOSITORY / "local_runner.py"), *flags, "--json"],
            cwd=work,
            stdout=work / "stdout",
            log=work / "stderr",
        )
        if measured.exit_code:
            raise SystemExit((work / "stderr").read_text()[-4000:])
        nodes: dict[str, Any] = json.loads((work / "stdout").read_text())["nodes"]
    return Timed(
        rows,
        slots,
        measured.seconds,
        {node: nodes[node]["seconds"] for node in _NODES},
        {node: nodes[node]["peak_mb"] for node in _NODES},
    )


def _files(rows: int, folder: Path) -> Path:
    """CSV files of at most 250,000 rows: a file is read by one worker."""
    if not folder.exists():
        folder.mkdir()
        number = 0
        for piece in taxi_pieces(rows, 0):
            for start in range(0, piece.num_rows, _FILE_ROWS):
                csv.write_csv(piece.slice(start, _FILE_ROWS), folder / f"rows-{number:04d}.csv")
                number += 1
    return folder


def _line(run: Timed) -> str:
    where = f"Flink, {run.slots} slots" if run.slots else "local"
    nodes = ", ".join(f"{node} {seconds:.1f} s ({run.peak_mb[node]:,} MiB)" for node, seconds in run.nodes.items())
    return f"{run.rows:,} rows, {where}: {run.seconds:.1f} s; {nodes}"


def _table(found: Sequence[Timed]) -> Table:
    table = Table(title="rows a second and core")
    for name in ("rows", "where", *_NODES):
        table.add_column(name, justify="left" if name == "where" else "right")
    for run in found:
        where = f"Flink, {run.slots} slots" if run.slots else "local"
        table.add_row(f"{run.rows:,}", where, *(f"{run.rate(node):,.0f}" for node in _NODES))
    return table


if __name__ == "__main__":
    typer.run(main)
