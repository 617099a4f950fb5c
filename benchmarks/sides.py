"""The sides of a comparison: TFX's template, this project and a plain script, each run once in a process of its own.

All return a `Run`, so that what compares them need not know which is which.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured, measure

REPOSITORY = Path(__file__).resolve().parent.parent

# TFX's node ids -> ours, where they differ.
_OUR_NAMES = {"CsvExampleGen": "ExampleGen", "latest_blessed_model_resolver": "Baseline"}
_LOG_LINES = 15


class SideError(Exception):
    """A run that can't be compared: it failed, stopped early, or took results from a cache."""


@dataclass(frozen=True)
class Training:
    """How to train; None leaves a side's own setting.

    Attributes:
        steps: training steps. Given, ours takes all of them: the template has no early stopping, and stopping by the
            eval split would choose the weights on the rows that they are then measured on.
        batch_size: rows in a step.
        seed: of weights and shuffling.
    """

    steps: int | None = None
    batch_size: int | None = None
    seed: int | None = None

    def flags(self) -> list[str]:
        """As flags of `benchmarks.stock` and `benchmarks.floor`."""
        given = {"--steps": self.steps, "--batch-size": self.batch_size, "--seed": self.seed}
        return [part for flag, value in given.items() if value is not None for part in (flag, str(value))]

    def settings(self) -> list[str]:
        """As `--set` flags of local_runner.py."""
        given = {"steps": self.steps, "batch_size": self.batch_size, "seed": self.seed}
        flags = [f"training.{name}={value}" for name, value in given.items() if value is not None]
        flags += [] if self.steps is None else ["training.early_stopping=null"]
        return [part for flag in flags for part in ("--set", flag)]


@dataclass(frozen=True)
class Run:
    """One run of one side.

    Attributes:
        side: "stock", "ours" or "floor".
        run_seconds: the pipeline with its imports. Ours imports while it runs, so the two can't be told apart there.
        import_seconds: imports before the pipeline; None where they are part of it.
        process_seconds: the whole process, from its start to its end.
        cpu_seconds: processor time of the process and its children.
        other_cpu_seconds: processor time of everything else on the machine meanwhile.
        peak_mb: peak resident memory of the process tree; see `Measured` for this and the next.
        peak_pss_mb: the same with shared pages divided.
        nodes: seconds per node, under our names.
        metrics: what the Evaluator found over all rows.
    """

    side: str
    run_seconds: float
    import_seconds: float | None
    process_seconds: float
    cpu_seconds: float
    other_cpu_seconds: float
    peak_mb: float
    peak_pss_mb: float
    nodes: dict[str, float]
    metrics: dict[str, float]


def run_stock(data: Path, work: Path, training: Training, *, slices: bool) -> Run:
    """Runs TFX's taxi template.

    Args:
        data: folder of CSV files, or of the folders `train` and `eval` of them.
        work: an empty folder for everything it writes.
        training: where something is None, the template's own: 1,000 steps, 40 rows, no seed.
        slices: whether its Evaluator slices by `trip_start_hour`.

    Raises:
        SideError: it failed.
    """
    report = work / "stock.json"
    command = [sys.executable, "-m", "benchmarks.stock", "--data", str(data), "--root", str(work / "root")]
    command += ["--out", str(report), "--slices" if slices else "--no-slices"]
    return _reported("stock", [*command, *training.flags()], report, work)


def run_ours(
    task: str,
    data: Path | None,
    work: Path,
    training: Training,
    *,
    runner: Path = REPOSITORY / "local_runner.py",
    outcomes: tuple[str, ...] = ("pushed",),
    edit: str | None = None,
    again: bool = False,
) -> Run:
    """Runs a task of this project with local_runner.py.

    Args:
        task: its name.
        data: CSV folder or file; None for the task's own source.
        work: a folder for everything it writes; the run's root is `work/root`.
        training: where something is None, the task's own.
        runner: the script to run.
        outcomes: how the run may end. A run that was stopped early did less work than it claims.
        edit: a setting of the task that is changed, as for `--set`.
        again: whether the root has an earlier run, whose results are to be found; else it must be empty.

    Raises:
        SideError: it failed, ended otherwise, or used a cache that was not asked for.
    """
    command = [sys.executable, str(runner), "--task", task, "--root", str(work / "root"), "--json"]
    if data is not None:
        command += ["--data", str(data)]
    command += training.settings()
    measured = _measured([*command, "--set", edit] if edit else command, work)
    try:
        found = json.loads((work / "stdout").read_text())
    except ValueError as error:
        raise SideError(f"{task} printed no run.json, exit code {measured.exit_code}:\n{_tail(work)}") from error
    if found["outcome"] not in outcomes:
        raise SideError(
            f"{task} can't be compared. Expected outcome: {' or '.join(outcomes)}. "
            f"Received: outcome={found['outcome']}, exit code {measured.exit_code}\n{_tail(work)}"
        )
    cached = [name for name, node in found["nodes"].items() if node.get("cached")]
    if cached and not again:
        raise SideError(f"{task} can't be timed. Expected no cached node. Received: cached={', '.join(cached)}")
    nodes = {name: node["seconds"] for name, node in found["nodes"].items() if node.get("seconds") is not None}
    return _run("ours", measured, found["seconds"], None, nodes, found["metrics"])


def run_floor(data: Path, work: Path, training: Training) -> Run:
    """Runs the plain script; see `benchmarks.floor`.

    Args:
        data: folder of CSV files.
        work: an empty folder for everything it writes.
        training: where something is None, the template's.

    Raises:
        SideError: it failed.
    """
    report = work / "floor.json"
    command = [sys.executable, "-m", "benchmarks.floor", "--data", str(data), "--out", str(report)]
    return _reported("floor", [*command, *training.flags()], report, work)


def _reported(side: str, command: list[str], report: Path, work: Path) -> Run:
    """A run of a program that writes what it took."""
    measured = _measured(command, work)
    if measured.exit_code != 0:
        raise SideError(f"{side} failed with exit code {measured.exit_code}:\n{_tail(work)}")
    found = json.loads(report.read_text())
    imports = found["import_seconds"]
    return _run(side, measured, imports + found["seconds"], imports, found["nodes"], found["metrics"])


def warm_up(work: Path, task: str) -> None:
    """Reads both sides' packages from disk once, unmeasured, so that the first run isn't slowed by a cold disk.

    Args:
        work: an empty folder for what it writes.
        task: our task.
    """
    _measured([sys.executable, "-c", "import benchmarks.stock_chain"], work)
    ours = [sys.executable, str(REPOSITORY / "local_runner.py"), "--task", task, "--root", str(work / "root"), "--plan"]
    _measured(ours, work)


def _measured(command: list[str], work: Path) -> Measured:
    work.mkdir(parents=True, exist_ok=True)
    return measure(command, cwd=REPOSITORY, stdout=work / "stdout", log=work / "log")


def _run(
    side: str,
    measured: Measured,
    seconds: float,
    imports: float | None,
    nodes: dict[str, float],
    metrics: dict[str, Any],
) -> Run:
    return Run(
        side=side,
        run_seconds=seconds,
        import_seconds=imports,
        process_seconds=measured.seconds,
        cpu_seconds=measured.cpu_seconds,
        other_cpu_seconds=measured.other_cpu_seconds,
        peak_mb=measured.peak_mb,
        peak_pss_mb=measured.peak_pss_mb,
        nodes={_OUR_NAMES.get(name, name): float(took) for name, took in nodes.items()},
        metrics={name: float(value) for name, value in metrics.items() if isinstance(value, int | float)},
    )


def _tail(work: Path) -> str:
    """The last lines of a failed run's log."""
    lines = (work / "log").read_text(errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES:])
