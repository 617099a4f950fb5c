"""`millrace cluster`: a Flink on this machine, to try and to test a Beam cluster with.

millrace cluster up --memory 1024 --slots 2
millrace cluster status
millrace cluster down
"""

import dataclasses
from typing import Annotated

import typer

from pipeline import cli_output
from pipeline.errors import ExitCode
from pipeline.flink import local, state
from pipeline.flink import status as look
from pipeline.terminal import print_json, print_rows

app = typer.Typer(
    name="cluster",
    help="A Flink on this machine, with Beam's job server and a pool of workers: to try and to test.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
NEXT = ".venv/bin/python local_runner.py --no-cache --beam-runner flink --beam-node all=cluster"


@app.command()
def up(
    slots: Annotated[int | None, typer.Option(min=1, help="What computes at a time; default one a core.")] = None,
    memory: Annotated[int, typer.Option(metavar="MB", help="Of the TaskManager.")] = local.MEMORY_MB,
    jar: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A jar of Flink or of Beam's job server, or a folder (repeatable)."),
    ] = None,
) -> None:
    """Starts it, unless it runs, and waits until it takes jobs. All of it listens on loopback alone."""
    if state.read() is None:
        cli_output.say("starting; jars that are not here yet are fetched first, up to 400 MB")
    cluster, started = local.up(
        local.Settings(slots, memory, tuple(jar or ())), lambda text: cli_output.say(f"warning {text}")
    )
    cli_output.say(
        f"{'started' if started else 'runs already:'} Flink {cluster.flink}, job server of Beam {cluster.beam}, "
        f"{cluster.slots} slots"
    )
    cli_output.say(f"page    {cluster.rest}")
    cli_output.say(f"logs    {cluster.folder}/logs")
    cli_output.say(f"next    {NEXT}")


@app.command()
def down() -> None:
    """Ends it, and all that it started. The logs stay."""
    there = local.down()
    if there is None:
        cli_output.say("nothing was running")
        return
    cli_output.say("stopped")
    cli_output.say(f"logs    {there.folder}/logs")


@app.command()
def status(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Says whether it runs, and what of it; exit code 1 where it does not."""
    found = look.look()
    if json:
        print_json(dataclasses.asdict(found))
    else:
        print_rows([{"": name, "found": value} for name, value in found.rows()], as_json=False)
    if not found.running:
        raise typer.Exit(ExitCode.FAILED)
