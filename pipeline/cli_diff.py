"""`millrace diff`: what changed between two runs, and what may have caused it.

millrace diff previous last
millrace diff served last --task taxi_tips --page
"""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pipeline.errors import UsageError
from pipeline.runners import remote_root
from pipeline.terminal import console, print_json


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run's id, or last, previous, served.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The run to compare with A, likewise.")],
    task: Annotated[str | None, typer.Option(help="Their task; needed where several have such runs.")] = None,
    root: Annotated[str, typer.Option(help="Folder of all runs.")] = "runs",
    page: Annotated[bool, typer.Option("--page", help="Write a page too, beside the reports.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Says what changed from run A to run B in data, schema, code, parameters and metrics, and the likely cause."""
    from pipeline.report.diff import pick

    here = remote_root.brought(root, task, "runs", *(("serving",) if "served" in (a, b) else ()))
    named = pick.task_of(here, task, (a, b))
    folders = [pick.folder_of(here, named, name) for name in (a, b)]
    if folders[0] == folders[1]:
        raise UsageError(
            f"diff: expected two runs. Received: {a} and {b}, which are both {folders[0].name}. Next: millrace runs"
        )
    for folder in folders:
        remote_root.bring_run(root, named, folder.name)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded

    from pipeline.report import sources, written
    from pipeline.report.diff import compare, show

    found = written.plain(compare.compare(*(sources.open_run(folder.absolute()) for folder in folders)))
    shown = show.write(Path(here).absolute() / named, found) if page else None
    if json:
        print_json(found)
        return
    console().print(show.terminal(found))
    if shown:
        console().print(Text(f"page  {shown}"), soft_wrap=True)
