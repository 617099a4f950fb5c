"""`kubeflow_runner.py submit`, `wait`, `cancel` and `runs`: a compiled pipeline on its server.

kubeflow_runner.py submit taxi-tips.yaml --host http://localhost:8888 --wait
kubeflow_runner.py submit taxi-tips.json --project my-project --region europe-west4 --parameter span=7
kubeflow_runner.py wait 5f0c… --host http://localhost:8888
"""

import sys
from typing import Annotated, Any

import typer

from pipeline.cli_kubeflow import connection as flags
from pipeline.cli_kubeflow.connection import Connection, connected, say
from pipeline.errors import UsageError, raise_all
from pipeline.kubeflow.api import package as packages
from pipeline.kubeflow.api import parameters, waiting
from pipeline.kubeflow.api.backend import Backend, Job, Order
from pipeline.terminal import print_json, print_rows

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
_Timeout = Annotated[float | None, typer.Option(min=1, help="Seconds to wait at most; the run goes on.")]
_Id = Annotated[str, typer.Argument(metavar="JOB", help="The run's id, as submit printed it.")]


@connected
def submit(
    connection: Connection,
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="What compile wrote: YAML for KFP, JSON for Vertex AI.")],
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Parameter of the run (repeatable).")
    ] = None,
    run_name: Annotated[str | None, typer.Option(help="Default the task and the time.")] = None,
    service_account: Annotated[str | None, typer.Option(help="Account that the steps run as.")] = None,
    experiment: Annotated[str | None, typer.Option(help="KFP: made if it is not there; default Default.")] = None,
    network: Annotated[str | None, typer.Option(help="Vertex: projects/NUMBER/global/networks/NAME.")] = None,
    labels: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Vertex (repeatable).")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the run ends; its exit code becomes this one's.")] = False,
    timeout: _Timeout = None,
    json: _Json = False,
) -> None:
    """Starts a run of a compiled pipeline.

    Exit codes: 0 started (with --wait: ended well), 1 failed, 2 usage; with --wait also 10 stopped by the data gate,
    11 model not blessed, 12 model failed the serving check.
    """
    if timeout is not None and not wait:
        raise UsageError("--timeout: there is nothing to wait for. Next: --wait --timeout SECONDS")
    package = packages.read(spec)
    target = connection.resolve(
        package.target, kfp={"experiment": experiment}, vertex={"network": network, "labels": labels}
    )
    order = ordered(package, target, parameter, run_name, service_account, labels, network)
    backend = open_backend(connection, target, experiment)
    job = backend.submit(order)
    if wait:
        _started(job)
        _watch(backend, connection, job.job_id, timeout, package.root, json)
    if json:
        print_json(_record(backend, job, None))
        return
    _print(job)
    say(_next(connection, target, job.job_id))


@connected
def wait(connection: Connection, job: _Id, timeout: _Timeout = None, json: _Json = False) -> None:
    """Waits until a run has ended; exit codes as of `submit --wait`."""
    backend = open_backend(connection, _resolve(connection, job))
    _watch(backend, connection, job, timeout, "", json)


@connected
def cancel(connection: Connection, job: _Id) -> None:
    """Asks the server to end a run."""
    backend = open_backend(connection, _resolve(connection, job))
    backend.cancel(job)
    say(f"canceling {job}")


@connected
def runs(
    connection: Connection,
    count: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 10,
    json: _Json = False,
) -> None:
    """Lists the newest runs on a server."""
    backend = open_backend(connection, connection.resolve())
    rows: list[dict[str, Any]] = []
    for job in backend.recent(count):
        rows.append({"job": job.job_id, "name": job.name, "state": job.state, "created": job.created})
        if json:
            rows[-1]["link"] = job.link
    print_rows(rows, as_json=json)


def ordered(
    package: packages.Package,
    target: str,
    parameter: list[str] | None,
    name: str | None,
    service_account: str | None = None,
    labels: list[str] | None = None,
    network: str | None = None,
) -> Order:
    """What is to run, checked as far as this machine can; nothing is sent.

    Raises:
      UsageError: the file, a parameter or a label is wrong.
    """
    for warning in packages.check(package, target):
        say(f"warning  {warning}")
    values = parameters.parse(package, parameter or [])
    pairs = [label.partition("=") for label in labels or []]
    wrong = [f"Expected: KEY=VALUE. Received: {key!r}" for key, equals, _ in pairs if not equals]
    raise_all(UsageError, "--labels:", wrong)
    given = {key: value for key, _, value in pairs}
    packages.check_labels(given)
    name = name or f"{package.name}-{flags.clock().now():%Y%m%d-%H%M%S}"
    return Order(package, values, name, service_account, given, network)


def open_backend(connection: Connection, target: str, experiment: str | None = None, **options: Any) -> Backend:
    """The server of a command."""
    mine = {"experiment": experiment, **options} if target == "kfp" else {}
    return connection.open(target, flags.clock(), **mine)


def _resolve(connection: Connection, job: str) -> str:
    """A full name of Vertex AI says by itself whose it is."""
    return connection.resolve("vertex" if job.startswith("projects/") and connection.host is None else None)


def _watch(backend: Backend, connection: Connection, job_id: str, timeout: float | None, root: str, json: bool) -> None:
    """Waits, prints the end, and exits with its code."""
    from pipeline.kubeflow import outcome

    result = waiting.wait(
        backend,
        job_id,
        flags.clock(),
        timeout=timeout,
        outcome=outcome.of_job,
        seen=lambda seconds, name, state: say(f"{seconds:7.0f} s  {name or 'run':<24}  {state.lower()}"),
        root=root,
        hints=_next(connection, backend.target, job_id),
    )
    _failures(backend, result)
    if json:
        print_json(_record(backend, result.job, result))
    else:
        _print(result.job)
        if result.reason:
            say(f"reason   {result.reason}")
    sys.stdout.flush()
    raise typer.Exit(result.exit_code)


def _failures(backend: Backend, result: waiting.Result) -> None:
    for failure in result.failures:
        code = f", exit code {failure.exit_code}" if failure.exit_code is not None else ""
        say(f"failed   {failure.task}{code}{': ' if failure.message else ''}{failure.message}")
        for line in failure.log.splitlines():
            say(f"         | {line}")
    if result.failures:
        first = result.job.tasks.get(result.failures[0].task)
        say(f"logs     {backend.log_command(result.job, first)}")


def _record(backend: Backend, job: Job, result: waiting.Result | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "target": backend.target,
        "job_id": job.job_id,
        "name": job.name,
        "link": job.link,
        "state": job.state,
        "exit_code": result.exit_code if result else None,
        "tasks": {name: task.state for name, task in job.tasks.items()},
    }
    if result:
        record["reason"] = result.reason
        record["failures"] = [
            {"task": one.task, "exit_code": one.exit_code, "message": one.message, "log": one.log}
            for one in result.failures
        ]
    return record


def _started(job: Job) -> None:
    say(f"run      {job.job_id}")
    say(f"link     {job.link}")


def _print(job: Job) -> None:
    for key, value in (("run", job.job_id), ("name", job.name), ("state", job.state.lower()), ("link", job.link)):
        sys.stdout.write(f"{key:<7}  {value}\n")


def _next(connection: Connection, target: str, job_id: str) -> str:
    ending = connection.flags(target)
    return (
        f"Next: python kubeflow_runner.py wait {job_id}{ending}, or python kubeflow_runner.py cancel {job_id}{ending}"
    )
