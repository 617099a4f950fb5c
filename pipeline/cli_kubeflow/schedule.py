"""`kubeflow_runner.py schedule`: a compiled pipeline at the times of a cron expression.

kubeflow_runner.py schedule create taxi-tips.yaml --cron '0 3 * * *' --host http://localhost:8888
kubeflow_runner.py schedule create taxi-tips.json --cron '0 3 * * *' --timezone Europe/Berlin --project … --region …
kubeflow_runner.py schedule list | pause NAME | resume NAME | delete NAME
"""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from pipeline.cli_kubeflow import connection as flags
from pipeline.cli_kubeflow.connection import Connection, connected, say
from pipeline.cli_kubeflow.submit import open_backend, ordered
from pipeline.errors import UsageError
from pipeline.kubeflow.api import cron as crons
from pipeline.kubeflow.api import package as packages
from pipeline.kubeflow.api import scheduling
from pipeline.kubeflow.api.backend import Schedule, Timetable
from pipeline.terminal import print_json, print_rows

app = typer.Typer(
    name="schedule",
    help="A compiled pipeline at the times of a cron expression.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name or id of the schedule.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command()
@connected
def create(
    connection: Connection,
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="What compile wrote: YAML for KFP, JSON for Vertex AI.")],
    cron: Annotated[str, typer.Option(help="minute hour day-of-month month day-of-week; KFP takes seconds before.")],
    name: Annotated[str | None, typer.Option(help="Default the task.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="That --cron is meant in, e.g. Europe/Berlin; default UTC.")
    ] = None,
    cluster_timezone: Annotated[
        str | None, typer.Option(help="KFP: the one of the whole cluster (cronScheduleTimezone); default UTC.")
    ] = None,
    max_concurrency: Annotated[int, typer.Option(min=1, help="Runs at a time; KFP has at most 10.")] = 1,
    catch_up: Annotated[
        bool, typer.Option("--catch-up/--no-catch-up", help="KFP: run for the times that were missed, too.")
    ] = False,
    start: Annotated[str | None, typer.Option(help="Not before, e.g. 2030-01-31T06:00; in --timezone.")] = None,
    end: Annotated[str | None, typer.Option(help="Not after.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Make the new one, then remove that of the name.")] = False,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Parameter of the runs (repeatable).")
    ] = None,
    service_account: Annotated[str | None, typer.Option(help="Account that the steps run as.")] = None,
    experiment: Annotated[str | None, typer.Option(help="KFP: made if it is not there; default Default.")] = None,
    network: Annotated[str | None, typer.Option(help="Vertex: projects/NUMBER/global/networks/NAME.")] = None,
    labels: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Vertex (repeatable).")] = None,
    json: _Json = False,
) -> None:
    """Makes a schedule, and shows its next three times."""
    package = packages.read(spec)
    target = connection.resolve(
        package.target,
        kfp={"experiment": experiment, "cluster_timezone": cluster_timezone},
        vertex={"network": network, "labels": labels},
    )
    cluster = cluster_timezone or "UTC"
    crons.check_zone(cluster, "--cluster-timezone")
    expression = crons.parse(cron, timezone or (cluster if target == "kfp" else "UTC"))
    timetable = Timetable(
        expression, max_concurrency, catch_up, _time(start, expression, "--start"), _time(end, expression, "--end")
    )
    times = _next_times(timetable)
    order = ordered(package, target, parameter, name or package.name, service_account, labels, network)
    backend = open_backend(connection, target, experiment, cluster_zone=cluster)
    made = scheduling.create(backend, order, timetable, replace=replace, say=say)
    if json:
        print_json({**asdict(made), "target": target, "next_times": [at.isoformat() for at in times]})
        return
    print_rows([_row(made)], as_json=False)
    for at in times:
        say(f"next     {at:%a %Y-%m-%d %H:%M:%S} {expression.zone}")
    say(f"link     {made.link}")


@app.command("list")
@connected
def list_(
    connection: Connection,
    cluster_timezone: Annotated[str, typer.Option(help="KFP: of the cluster.")] = "UTC",
    json: _Json = False,
) -> None:
    """Lists the schedules on a server."""
    crons.check_zone(cluster_timezone, "--cluster-timezone")
    target = connection.resolve()
    found = open_backend(connection, target, cluster_zone=cluster_timezone).schedules()
    print_rows([asdict(one) if json else _row(one) for one in found], as_json=json)


@app.command()
@connected
def pause(connection: Connection, name: _Name) -> None:
    """No more runs until `resume`; those under way go on."""
    backend = open_backend(connection, connection.resolve())
    found = scheduling.find(backend, name)
    backend.pause(found.schedule_id)
    say(f"paused {found.name} ({found.schedule_id})")


@app.command()
@connected
def resume(
    connection: Connection,
    name: _Name,
    catch_up: Annotated[
        bool, typer.Option("--catch-up/--no-catch-up", help="Vertex: also run for the times missed.")
    ] = False,
) -> None:
    """A paused schedule runs again."""
    backend = open_backend(connection, connection.resolve())
    found = scheduling.find(backend, name)
    backend.resume(found.schedule_id, catch_up=catch_up)
    say(f"resumed {found.name} ({found.schedule_id})")


@app.command()
@connected
def delete(connection: Connection, name: _Name) -> None:
    """Removes a schedule; its runs, also those under way, stay."""
    backend = open_backend(connection, connection.resolve())
    found = scheduling.find(backend, name)
    backend.delete(found.schedule_id)
    say(f"deleted {found.name} ({found.schedule_id})")


def _row(one: Schedule) -> dict[str, object]:
    return {
        "name": one.name,
        "state": one.state.lower(),
        "cron": one.cron,
        "at a time": one.max_concurrency,
        "next": one.next_run or "-",
        "id": one.schedule_id,
    }


def _time(text: str | None, cron: crons.Cron, flag: str) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{flag}: Expected: a date and time, e.g. 2030-01-31T06:00. Received: {text!r}") from error
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(cron.zone))


def _next_times(timetable: Timetable) -> list[datetime]:
    """The next three times.

    Raises:
      UsageError: there is none between start and end.
    """
    now = flags.clock().now()
    begin = max(now, timetable.start) if timetable.start else now
    times = timetable.cron.next_times(begin)
    if timetable.end is not None:
        times = [at for at in times if at <= timetable.end]
    if not times:
        raise UsageError(
            f"--start, --end: {timetable.cron.text!r} never comes between {begin:%Y-%m-%d %H:%M} and "
            f"{timetable.end:%Y-%m-%d %H:%M}. Next: a later --end"
        )
    return times
