"""`kubeflow_runner.py execute`: tries a compiled spec on this machine.

kubeflow_runner.py execute pipeline.yaml --profile kfp --root trial/
kubeflow_runner.py execute job.json --profile vertex --root trial/ --parameter span=7 --json
"""

import uuid
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from pipeline.errors import UsageError, nearest
from pipeline.kubeflow.execute import processes
from pipeline.kubeflow.execute.profiles import PROFILES
from pipeline.kubeflow.execute.results import Result
from pipeline.kubeflow.execute.settings import Settings
from pipeline.runners.progress import Progress
from pipeline.terminal import console, print_json

_LINES = 15


def execute(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A compiled pipeline: YAML of KFP, or a PipelineJob.")],
    profile: Annotated[str, typer.Option(help=f"The backend to follow: {' or '.join(PROFILES)}.")],
    root: Annotated[str, typer.Option(help="Folder that stands for the pipeline root.")],
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Parameter of the pipeline (repeatable).")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Variable for every task (repeatable).")
    ] = None,
    job_id: Annotated[str | None, typer.Option(help="Name of the run; default a fresh UUID.")] = None,
    parallel: Annotated[int, typer.Option(min=1, help="How many tasks may run at once.")] = Settings.parallel,
    json: Annotated[bool, typer.Option("--json", help="Print what became of each task on standard output.")] = False,
) -> None:
    """Runs a compiled spec on this machine, the way the backend would.

    Exit codes: 0 all succeeded; else what the exit handler or the first failed task ended with, if that is 2, 10, 11 or
    12; else 1. A spec or parameter that can't do is 2.
    """
    from pipeline.kubeflow.execute import documents, engine, environment, parameters

    if profile not in PROFILES:
        raise UsageError(f"--profile: no profile {profile!r}.{nearest(profile, PROFILES)}")
    if job_id is not None and (not job_id or "/" in job_id or job_id.startswith(".")):
        raise UsageError(f"--job-id: expected a name fit for a folder. Received: {job_id!r}")
    if "://" in root:
        raise UsageError(
            f"--root: expected a folder of this machine, which stands for the bucket of the spec. Received: {root}. "
            "Next: --root trial"
        )
    given = parameters.pairs("--parameter", parameter or [])
    variables = parameters.pairs("--env", env or [])
    document = documents.read(Path(spec), PROFILES[profile])
    settings = Settings(
        root=Path(root).absolute(), job_id=job_id or str(uuid.uuid4()), environment=variables, parallel=parallel
    )
    screen = console(stderr=json)
    with Progress(screen) as progress:
        result = engine.execute(document, PROFILES[profile], given, settings, progress)
    hidden = [value for each in document.kubernetes.values() for value in environment.secrets(each, variables)]
    _tell(screen, result, profile, hidden)
    if json:
        print_json(result.record())
    raise typer.Exit(result.exit_code)


def _tell(screen: Console, result: Result, profile: str, hidden: list[str]) -> None:
    """What failed, with the end of its log; then how the run ended."""
    for name in result.failed:
        task = result.tasks[name]
        code = "" if task.exit_code is None else f" with exit code {task.exit_code}"
        screen.print(Text.assemble((f"{name} failed{code}", "bold red"), f": {task.error}"), soft_wrap=True)
        if task.log:
            for line in processes.last_lines(Path(task.log), _LINES, hidden):
                screen.print(Text(f"  {line}"), soft_wrap=True)
            screen.print(Text(f"  log: {task.log}"), soft_wrap=True)
    screen.print(Text(f"{result.state}  job {result.job_id} in {result.folder}"), soft_wrap=True)
    if result.state == "failed" and result.shown_as == "SUCCEEDED":
        screen.print(
            Text(
                f"note  only an exit handler failed: {PROFILES[profile].title} would show this run as succeeded, for a "
                "handler there does not change the state of a run"
            ),
            soft_wrap=True,
        )
