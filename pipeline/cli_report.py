"""`millrace report`: makes the page of a run again, and opens it.

millrace report                                       # the last run
millrace report 20260101T000000 --task taxi_fare --open
"""

import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from pipeline.errors import UsageError, nearest
from pipeline.runners import records, remote_root, reporting
from pipeline.terminal import console, print_json

_RECENT = 5
_SECONDS = 600.0


def report(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Id of the run; default the last one.")] = None,
    task: Annotated[str | None, typer.Option(help="Of this task; default of any.")] = None,
    root: Annotated[str, typer.Option(help="Folder of all runs.")] = "runs",
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Makes the report of a run, one HTML file that needs no network, and prints its path."""
    here = remote_root.brought(root, task, "runs")
    record = _chosen(run, task, here)
    remote_root.bring_run(root, record["task"], record["run_id"])
    folder = _folder(record, here)
    page = reporting.make(folder, _SECONDS)
    opened = open_ and webbrowser.open(page.as_uri())
    if json:
        print_json({"run": folder.name, "report": str(page), "json": str(page.with_name("report.json"))})
    else:
        console().print(Text(str(page)), soft_wrap=True)
    if open_ and not opened:
        told = f"There is no browser on this machine to open it with. Next: open {page.as_uri()}"
        console(stderr=True).print(Text(told), soft_wrap=True)


def _chosen(run: str | None, task: str | None, root: str) -> dict[str, Any]:
    """The record of the run that is asked for.

    Raises:
      UsageError: there is none.
    """
    found = records.read_all(root, task)
    of_task = f" of {task!r}" if task else ""
    if not found:
        known = sorted({record["task"] for record in records.read_all(root)})
        raise UsageError(
            f"report: expected a run{of_task} in {root}. Received: none."
            + (f" Tasks with runs there: {', '.join(known)}." if known else "")
            + f" Next: millrace run{f' --task {task}' if task else ''}, or another --root"
        )
    if run is None:
        return found[-1]
    same = [record for record in found if record["run_id"] == run]
    if not same:
        last = [record["run_id"] for record in found[-_RECENT:]]
        raise UsageError(f"report: no run {run!r}{of_task} in {root}.{nearest(run, last)} Next: millrace runs")
    if len(same) > 1:
        tasks = ", ".join(record["task"] for record in same)
        raise UsageError(f"report: run {run} is there for several tasks: {tasks}. Next: name one with --task")
    return same[0]


def _folder(record: dict[str, Any], root: str) -> Path:
    return Path(root).absolute() / record["task"] / "runs" / record["run_id"]
