"""`millrace deploy`: files for TensorFlow Serving under Docker Compose and for KServe, made from a task.

millrace deploy compose taxi_tips --output deployment/
millrace deploy kserve taxi_tips --storage s3://models/taxi_tips --output kserve.yaml
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline import cli_output, tasks
from pipeline.config import RunConfig
from pipeline.push import render
from pipeline.push.versions import Places
from pipeline.runners import remote_root

app = typer.Typer(
    name="deploy",
    help="Files for other model servers, made from a task: Docker Compose with TensorFlow Serving, KServe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_Name = Annotated[str, typer.Argument(metavar="TASK", help="The task; `millrace tasks` lists them.")]
_Root = Annotated[str, typer.Option(help="Folder of all runs.")]


@app.command()
def compose(
    task: _Name,
    root: _Root = "runs",
    output: Annotated[str, typer.Option(help="Folder for the three files.")] = "deployment",
    rest_port: Annotated[int, typer.Option(help="For REST.")] = render.Compose.rest_port,
    grpc_port: Annotated[int, typer.Option(help="For gRPC.")] = render.Compose.grpc_port,
    host: Annotated[str, typer.Option(help="Address of this machine to listen at.")] = render.Compose.host,
    image: Annotated[str, typer.Option(help="The container of TensorFlow Serving.")] = render.Compose.image,
) -> None:
    """Writes compose.yaml, models.config and monitoring.config for TensorFlow Serving on the task's served folder."""
    instead = f"millrace deploy kserve {task} --root {root}, or copy the served folder here and name its root"
    remote_root.refuse("deploy compose", root, instead)
    folder = RunConfig(task=task, root=os.path.abspath(root)).serving
    made = render.render_compose(tasks.load(task), render.Compose(folder, image, rest_port, grpc_port, host))
    for name, text in made.items():
        cli_output.write(Path(output) / name, text)
    if not folder.is_dir():
        # Docker would make the folder for root, and a run could not write to it.
        cli_output.say(
            f"nothing was pushed to {folder} yet. Next: millrace run --task {task}, before the server starts"
        )
    cli_output.say(f"next    docker compose -f {Path(output) / 'compose.yaml'} up -d")


@app.command()
def kserve(
    task: _Name,
    root: _Root = "runs",
    output: Annotated[str | None, typer.Option(help="File to write; without it, to standard output.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="s3:// or gs:// folder of the versions; default the task's own target.")
    ] = None,
    namespace: Annotated[str, typer.Option(help="Of Kubernetes.")] = render.KServe.namespace,
    min_replicas: Annotated[int, typer.Option(help="0 lets it sleep.")] = render.KServe.replicas[0],
    max_replicas: Annotated[int, typer.Option(help="The most there may be.")] = render.KServe.replicas[1],
    cpu: Annotated[str, typer.Option(help="Of each replica.")] = render.KServe.cpu,
    memory: Annotated[str, typer.Option(help="Of each replica.")] = render.KServe.memory,
    service_account: Annotated[str | None, typer.Option(help="With access to the bucket.")] = None,
) -> None:
    """Writes an InferenceService for KServe, for the version that is served now."""
    remote_root.brought(root, task, "serving")
    served = Places(remote_root.config_of(task, root).serving).served()
    version = str(served) if served else None
    settings = render.KServe(storage, version, namespace, (min_replicas, max_replicas), cpu, memory, service_account)
    text = render.render_kserve(tasks.load(task), settings)
    if output is None:
        sys.stdout.write(text)
        return
    cli_output.write(Path(output), text)
    cli_output.say(f"next    kubectl apply -f {output}")
