"""Does the data gate stop what it should, and nothing else?

    python -m benchmarks.poison                 every poison, the clean span, 20 clean resamples (about 2 minutes)
    python -m benchmarks.poison --only fare     those whose name has "fare" in it

Each poison of `benchmarks/poisons.py` is applied to a clean span of taxi trips, and goes through ingest, statistics,
checks and gate in this process. The expected verdicts are the table in `docs/data_checks.md`; any other verdict, and any
stop of clean data, makes the exit code 1.
"""

import re
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import typer
from rich.console import Console

from benchmarks.gating import Accepted, Verdict, judge
from benchmarks.poisons import POISONS, Poison, clean_span
from benchmarks.rows import BUNDLED_ROWS, taxi_table
from pipeline import tasks
from pipeline.task import Task

TASK = "taxi_tips"
DOCS = Path(__file__).parent.parent / "docs" / "data_checks.md"
_RESAMPLES = 20
_SPANS = 6


def main(
    only: Annotated[str, typer.Option(help="Only poisons with this in their name.")] = "",
    resamples: Annotated[int, typer.Option(min=0, help="Clean resamples that must pass.")] = _RESAMPLES,
    seed: Annotated[int, typer.Option(help="Of the clean span and of the resamples.")] = 0,
) -> None:
    """Prints each poison with its verdicts, expected and received, and the gate's sentence."""
    console = Console()
    task = tasks.load(TASK)
    expected = verdicts(DOCS.read_text(encoding="utf-8"))
    bundled = _with_nulls(taxi_table(BUNDLED_ROWS, seed))
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="millrace-poison-") as folder:
        work = Path(folder)
        accepted = judge(task, bundled, work / "accepted", span=1).accepted
        for poison in POISONS:
            if only in poison.name:
                received = _poisoned(task, poison, bundled, accepted, work / poison.slug, seed)
                wrong += not _tell(
                    console, poison.name, expected.get(poison.name, ("no line in the docs", "")), received
                )
        for number in range(resamples):
            wrong += not _clean(console, task, bundled, accepted, work / f"clean-{number}", seed + number)
    console.print("all verdicts as expected" if not wrong else f"{wrong} verdicts are not as expected")
    raise typer.Exit(1 if wrong else 0)


def verdicts(docs: str) -> dict[str, tuple[str, str]]:
    """Poison -> (verdict, check), from the lines `| name | what is done | stop | check |` of the docs' table."""
    section = docs.partition("## Poisoned data")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| (stop|warning|pass) \| ?`?([^|`]*)`? ?\|", section, re.MULTILINE)
    return {name.strip(): (verdict, check.strip()) for name, verdict, check in rows}


def _poisoned(task: Task, poison: Poison, bundled: pa.Table, accepted: Accepted, folder: Path, seed: int) -> Verdict:
    """The verdict on the span after the accepted one, poisoned."""
    random = np.random.default_rng(seed + 1)
    if poison.each is None:
        table = poison.table(clean_span(bundled, random) if poison.fresh else bundled, random)
        previous = accepted if poison.compared else None
        return judge(poison.of(task), table, folder, span=2, previous=previous, requests=poison.requests, random=random)
    previous = accepted
    verdict = judge(task, bundled, folder / "span-1", span=1)
    for span in range(2, 2 + _SPANS):
        table = poison.each(clean_span(bundled, random), span - 1)
        verdict = judge(task, table, folder / f"span-{span}", span=span, previous=previous, served=accepted)
        if verdict.outcome != "pass":
            return verdict
        previous = verdict.accepted
    return verdict


def _with_nulls(table: pa.Table) -> pa.Table:
    """Empty text is a missing value in CSV; the files written here are Parquet."""
    for name in table.column_names:
        if pa.types.is_string(table.schema.field(name).type):
            column = pc.if_else(pc.equal(table[name], ""), pa.scalar(None, pa.string()), table[name])
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _clean(console: Console, task: Task, bundled: pa.Table, accepted: Accepted, folder: Path, seed: int) -> bool:
    """Whether a resample of all rows, and the halves of one, pass against the accepted data."""
    random = np.random.default_rng(1000 + seed)
    whole = clean_span(bundled, random)
    half = whole.num_rows // 2
    passed = True
    for name, table in (("whole", whole), ("first half", whole.slice(0, half)), ("second half", whole.slice(half))):
        verdict = judge(task, table, folder / name.replace(" ", "-"), span=2, previous=accepted, served=accepted)
        if verdict.outcome != "pass":
            told = " ".join(verdict.causes.values())
            console.print(f"clean resample {seed}, {name}: {verdict.outcome}: {told}", style="red", markup=False)
            passed = False
    return passed


def _tell(console: Console, name: str, expected: tuple[str, str], received: Verdict) -> bool:
    """Prints a poison's verdict and the sentence that was expected of it; whether the verdict is the expected one."""
    outcome, check = expected
    fine = received.outcome == outcome and (check in received.causes or not (check or received.causes))
    got = f"{received.outcome} by {', '.join(received.causes)}" if received.causes else received.outcome
    line = f"{name}: {got}" if fine else f"{name}: expected {outcome} by {check}, received {got}"
    console.print(line, style="bold" if fine else "bold red", markup=False, soft_wrap=True)
    told = received.causes.get(check) or next(iter(received.causes.values()), "")
    if told:
        console.print(f"    {told}", markup=False, soft_wrap=True, highlight=False)
    return fine


if __name__ == "__main__":
    typer.run(main)
