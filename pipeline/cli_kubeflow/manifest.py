"""`kubeflow_runner.py manifest`: a training on several machines, as a file that a cluster takes.

kubeflow_runner.py manifest --task taxi_tips --kind tfjob --image registry/millrace:1.0 --root s3://bucket/runs \
    --strategy multi_worker --workers 3 --output training.yaml
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipeline import cli_output, tasks
from pipeline.errors import UsageError
from pipeline.kubeflow.manifests.render import render
from pipeline.kubeflow.manifests.settings import KINDS, Machines, Settings


def manifest(
    task: Annotated[str, typer.Option(help="The task to train; `millrace tasks` lists them.")],
    kind: Annotated[str, typer.Option(help=f"Of cluster: {', '.join(KINDS)}.")],
    root: Annotated[str, typer.Option(help="s3:// or gs:// folder of all runs.")],
    output: Annotated[str, typer.Option(help="File to write.")],
    image: Annotated[str, typer.Option(help="The container, of the same code as this (make image).")] = "",
    strategy: Annotated[
        str | None, typer.Option(help="multi_worker or parameter_server; default the task's own.")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes that compute; under multi_worker the chief is one of them.")
    ] = 2,
    ps: Annotated[int, typer.Option(help="Processes that hold the weights (parameter_server); default 1.")] = 0,
    cpu: Annotated[str | None, typer.Option(help="Of each process, on Kubernetes.")] = None,
    memory: Annotated[str | None, typer.Option(help="Of each process, on Kubernetes.")] = None,
    machine: Annotated[str | None, typer.Option(help="Type of machine, on Vertex AI; default n1-standard-4.")] = None,
    accelerator: Annotated[
        str | None, typer.Option(metavar="TYPE=N", help="Of chief and workers: nvidia.com/gpu=1, NVIDIA_TESLA_T4=1.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the job; default <task>-training.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Of Kubernetes.")] = None,
    service_account: Annotated[str | None, typer.Option(help="With access to the bucket.")] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SECRET/KEY", help="A variable from a secret; Vertex AI: NAME=projects/… (repeatable)."
        ),
    ] = None,
    env: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable (repeatable).")] = None,
    data: Annotated[str | None, typer.Option(help="s3:// or gs:// rows in place of the task's own.")] = None,
    span: Annotated[str | None, typer.Option(help="Newest span to read; default the newest there is.")] = None,
    window: Annotated[int | None, typer.Option(min=1, help="How many spans to read.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="As of millrace run (repeatable).")
    ] = None,
    attempts: Annotated[int, typer.Option(help="How often a run that failed is begun.")] = Settings.attempts,
    wait: Annotated[int, typer.Option(help="Seconds that processes wait for each other.")] = Settings.wait,
) -> None:
    """Writes a TFJob, a TrainJob with its runtime, or a CustomJob, whose chief runs the task's pipeline."""
    if data is not None and not data.startswith(("s3://", "gs://")):
        raise UsageError(
            f"--data: the machines of a cluster have no {data}. Expected s3:// or gs://…, or the task's own"
        )
    overrides = [*(set_ or []), *([f"training.strategy={strategy}"] if strategy is not None else [])]
    flags = [part for override in set_ or [] for part in ("--set", override)]
    flags += [f"{flag}={value}" for flag, value in (("--data", data), ("--span", span), ("--window", window)) if value]
    settings = Settings(
        kind=kind,
        image=image,
        root=root,
        workers=workers,
        servers=ps,
        name=name,
        namespace=namespace,
        service_account=service_account,
        machines=Machines(cpu, memory, machine, _accelerator(accelerator)),
        environment=_pairs("--env", env),
        secrets=_pairs("--secret", secret),
        flags=flags,
        attempts=attempts,
        wait=wait,
    )
    text = render(tasks.load(task, overrides), settings)
    cli_output.write(Path(output), text)
    if kind == "customjob":
        spec = Path(output).with_suffix(".spec.json")
        cli_output.write(spec, json.dumps(json.loads(text)["jobSpec"], indent=2) + "\n")
        label = json.loads(text)["displayName"]
        cli_output.say(f"next    gcloud ai custom-jobs create --region REGION --display-name {label} --config {spec}")
    else:
        cli_output.say(f"next    kubectl apply -f {output}")


def _pairs(flag: str, given: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for text in given or ():
        key, separator, value = text.partition("=")
        if not separator or key in found:
            raise UsageError(f"{flag}: expected NAME=…, each name once. Received the name {key!r}")
        found[key] = value
    return found


def _accelerator(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    kind, _, count = text.rpartition("=")
    return (kind, int(count)) if count.isdigit() else (text, 0)
