"""`millrace schema`: draft a task's schema, look at it, and bring it up to date with what a run found.

millrace schema init --task churn         infers schemas/churn/schema.pbtxt from the task's rows
millrace schema show --task churn         the schema as a table
millrace schema propose --task churn      what would have to change so that the last run's rows pass
millrace schema accept --task churn       makes that change
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from pipeline import tasks
from pipeline.errors import TaskError, UsageError, nearest
from pipeline.runners import records, remote_root
from pipeline.terminal import console, print_json, print_rows

app = typer.Typer(
    name="schema",
    help="The reviewed schema of a task: draft, show, propose a change from a run's data, accept it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_TaskName = Annotated[str, typer.Option("--task", help="The task; `millrace tasks` lists them.")]
_Root = Annotated[str, typer.Option("--root", help="Folder of all runs.")]
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command()
def init(
    task: _TaskName,
    data: Annotated[str | None, typer.Option(help="File, folder or pattern in place of the task's own.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Look at the first rows only; without it, at all.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the schema that there is.")] = False,
    json: _Json = False,
) -> None:
    """Infers a schema from the task's rows and writes it, for you to review."""
    from pipeline import schema as schemas
    from pipeline.ingest.infer import infer
    from pipeline.schema_cycle import rows as reading
    from pipeline.schema_cycle.draft import draft
    from pipeline.schema_cycle.table import table
    from pipeline.schema_cycle.words import count_of

    loaded = tasks.load(task)
    path = schemas.SCHEMAS / task / "schema.pbtxt"
    if path.exists() and not force:
        raise UsageError(
            f"{_short(path)} is there already. Next: look at it with millrace schema show --task {task}, or add --force"
        )
    source = loaded.source.at(data if data is None or "://" in data else os.path.abspath(data))
    reader = reading.Rows(source, loaded.split)
    summaries = infer(reader, rows, reading.decimal(source))
    if not any(summary.rows for summary in summaries.values()):
        raise UsageError(f"data: {source.path} has no rows to infer a schema from. Expected at least one.")
    read = next(iter(summaries.values())).rows
    what = f"the first {count_of(read, 'row')}" if rows and read >= rows else count_of(read, "row")
    text = draft(loaded, summaries, what)
    made = schemas.parse(text, path)
    schemas.write(path, text)
    try:
        schemas.check(loaded, made)
        misfit = None
    except TaskError as error:
        misfit = str(error)
    shown = table(loaded, made)
    if json:
        print_json({"schema": str(path), "rows": read, "no_rows": reader.malformed, "misfit": misfit, "columns": shown})
        return
    print_rows(shown, as_json=False)
    _say("")
    _say(f"Written: {_short(path)}, {count_of(len(shown), 'column')} from {what} of {_shortened(source.path)}")
    if reader.malformed:
        _say(
            f"{count_of(reader.malformed, 'record')} could not be read, the first at {_shortened(reader.first)}: such rows are quarantined"
        )
    if misfit:
        _say(misfit)
    _say(f"next    review every line of it, then: millrace run --task {task}")


@app.command()
def show(task: _TaskName, json: _Json = False) -> None:
    """Prints a schema as a table, with what the task uses each column for."""
    from pipeline import schema as schemas
    from pipeline.schema_cycle.table import table

    loaded = tasks.load(task)
    print_rows(table(loaded, schemas.read(schemas.curated(task))), as_json=json)


@app.command()
def propose(
    task: _TaskName,
    root: _Root = "runs",
    run: Annotated[str | None, typer.Option(help="Its data; without it, the last run's that has any.")] = None,
    json: _Json = False,
) -> None:
    """Says what would have to change in the schema so that a run's rows pass it; `accept` makes the change."""
    from pipeline import schema as schemas
    from pipeline.schema_cycle import proposal as proposals

    loaded = tasks.load(task)
    path = schemas.curated(task)
    record = _record(root, task, run)
    made = proposals.propose(loaded, record)
    folder = _runs(root, task) / record["run_id"]
    proposals.save(folder, made)
    if json:
        print_json(proposals.as_json(made))
        return
    _print_proposal(made, path, root)


@app.command()
def accept(
    task: _TaskName,
    root: _Root = "runs",
    run: Annotated[
        str | None, typer.Option(help="Its proposal; without it, that of the last run that has data.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN[=VALUE]", help="Only this change (repeatable); of a range, =min or =max."),
    ] = None,
    except_: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="COLUMN[=VALUE]", help="Not this change (repeatable)."),
    ] = None,
    doubtful: Annotated[
        bool, typer.Option("--doubtful", help="Also changes that look like errors in the data.")
    ] = False,
    json: _Json = False,
) -> None:
    """Writes a proposed change into the schema: what looks like an error stays out unless you ask for it."""
    from pipeline import schema as schemas
    from pipeline.schema_cycle import proposal as proposals

    loaded = tasks.load(task)
    path = schemas.curated(task)
    record = _record(root, task, run)
    again = f"millrace schema propose --task {task}{_where(root)}{f' --run {run}' if run else ''}"
    made = proposals.load(_runs(root, task) / record["run_id"], again)
    proposals.unchanged_since(made, path, again)
    taken = proposals.chosen(made, only or (), except_ or (), doubtful=doubtful)
    text = proposals.changed(path, taken)
    schemas.check(loaded, schemas.parse(text, path))
    diff = proposals.diff(path, text)
    schemas.write(path, text)
    left = [change for change in made.changes if change not in taken]
    command = _again(record)
    if json:
        names = {"accepted": taken, "left": left}
        print_json(
            {"schema": str(path), "diff": diff, "next": command}
            | {key: [f"{change.column}: {change.text}" for change in value] for key, value in names.items()}
        )
        return
    _say(_shortened(diff))
    _say("")
    for change in taken:
        _say(f"accepted   {change.column} {change.text}")
    for change in left:
        _say(f"left out   {change.column} {change.text}{f' ({change.doubts[0]})' if change.doubts else ''}")
    _say(f"next    {command}")


def _print_proposal(made: Any, path: Path, root: str) -> None:
    """A proposal for people: the changes, the diff that plain accept would make, what the schema does not settle."""
    from pipeline.schema_cycle import proposal as proposals
    from pipeline.schema_cycle.words import count_of, percent

    head = f"{made.task}, run {made.run_id}: {count_of(made.rows, 'row')}, {made.quarantined:,} of them in quarantine."
    command = f"millrace schema accept --task {made.task}{_where(root)} --run {made.run_id}"
    if not made.changes:
        fits = f"The rows fit {_short(path)} as it is now."
        rest = "The schema can't help with what is below." if made.others else fits
        _say(f"{head} Nothing to propose. {rest}")
    else:
        _say(f"{head} So that all pass, {_short(path)} would have to change:\n")
        print_rows(
            [
                {
                    "column": change.column,
                    "change": change.text,
                    "rows": f"{change.rows:,} ({percent(change.rows, change.total)})",
                    "seen": "\n".join(map(_shortened, change.examples)),
                    "looks like an error": "\n".join(change.doubts),
                }
                for change in made.changes
            ],
            as_json=False,
        )
        diff = proposals.diff(path, proposals.changed(path, proposals.sound(made.changes)))
        if diff:
            _say(f"\n{_shortened(diff)}")
    if made.others:
        _say("\nNot a matter of the schema:")
        for other in made.others:
            rows = f" ({count_of(other['rows'], 'row')})" if other["rows"] else ""
            example = f", such as {_shortened(other['example'])}" if other["example"] else ""
            _say(f"  - {_shortened(other['what'])}{rows}{example}. Next: {other['next']}")
    doubtful = sum(bool(change.doubts) for change in made.changes)
    out = "1 that looks like an error stays" if doubtful == 1 else f"{doubtful} that look like errors stay"
    if made.changes and doubtful == len(made.changes):
        _say(f"\nnext    mend the data; if it is right: {command} --doubtful")
    elif made.changes:
        _say(f"\nnext    {command}{f'   ({out} out, unless with --doubtful)' if doubtful else ''}")


def _runs(root: str, task: str) -> Path:
    return remote_root.config_of(task, root).home / "runs"


def _where(root: str) -> str:
    """The option of a command that is to look at the same root."""
    return f" --root {shlex.quote(root)}" if root != "runs" else ""


def _record(root: str, task: str, run: str | None) -> dict[str, Any]:
    """The record of a run; unless it is named, the last one that left data, or the last one where none did.

    Raises:
      UsageError: there is none.
    """
    from pipeline.schema_cycle.evidence import has_data

    here = remote_root.brought(root, task, "runs")
    found = {record["run_id"]: record for record in records.read_all(os.path.abspath(here), task)}
    if not found:
        raise UsageError(f"no run of {task!r} in {root}. Next: millrace run --task {task} --root {shlex.quote(root)}")
    if run is not None and run not in found:
        raise UsageError(f"--run: no run {run!r} of {task!r} in {root}.{nearest(run, found)}")
    if named := [found[run]] if run else [record for record in found.values() if record.get("artifacts")]:
        remote_root.bring_named(root, named[-1])
    ready = [record for record in found.values() if has_data(record)]
    return found[run] if run is not None else (ready or list(found.values()))[-1]


def _again(record: Mapping[str, Any]) -> str:
    """The command that repeats a run."""
    config = record["config"]
    command = ["millrace", "run", "--task", str(record["task"])]
    defaults = {"window": 1, "beam_runner": "local"}
    for name in ("root", "data", "span", "window", "serving_log", "beam_runner"):
        if config.get(name, defaults.get(name)) != defaults.get(name):
            command += [f"--{name.replace('_', '-')}", str(config[name])]
    for flag, field in (("--beam", "beam_options"), ("--beam-node", "beam_nodes")):
        for option in config.get(field, ()):
            command += [flag, str(option)]
    for override in config.get("overrides", ()):
        command += ["--set", str(override)]
    return shlex.join(command)


def _short(path: Path) -> str:
    return _shortened(str(path))


def _shortened(text: str) -> str:
    """Paths below the working directory without it."""
    return text.replace(f"{os.getcwd()}{os.sep}", "")


def _say(text: str) -> None:
    console().print(Text(text), soft_wrap=True)
