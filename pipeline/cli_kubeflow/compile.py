"""`kubeflow_runner.py compile`: a task as a file for KFP or Vertex AI."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import cli_output, tasks
from pipeline.beam import settings as engines
from pipeline.cli_beam import BeamNodes, BeamOptions, BeamProfile, BeamRunner
from pipeline.config import RunConfig
from pipeline.errors import UsageError, nearest
from pipeline.lite import MAX_DIFFERENCE
from pipeline.strategies import NAMES as STRATEGIES

_OUTPUT = {"kfp": "{task}.yaml", "vertex": "{task}.json"}


def compile_(
    target: Annotated[str, typer.Option(help="kfp (open-source Kubeflow Pipelines) or vertex (Vertex AI).")],
    root: Annotated[str, typer.Option(help="Place of all runs in a bucket: s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.")],
    task: Annotated[str, typer.Option(help="The task; `millrace tasks` lists them.")] = "taxi_tips",
    image: Annotated[str | None, typer.Option(help="Of every step: REGISTRY/NAME:TAG; see `make image`.")] = None,
    output: Annotated[str | None, typer.Option(help="File to write; default TASK.yaml or TASK.json.")] = None,
    settings: Annotated[
        str | None, typer.Option(metavar="FILE", help="YAML: image, resources, secrets, retries, labels, notify …")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Default of the parameter data: rows in a bucket.")] = None,
    span: Annotated[str | None, typer.Option(help="Default of the parameter span; without it the newest.")] = None,
    window: Annotated[int, typer.Option(min=1, help="Default of the parameter window.")] = 1,
    serving_log: Annotated[str | None, typer.Option(help="Default of the parameter serving_log.")] = None,
    predict: Annotated[
        str | None, typer.Option(metavar="PATH", help="Answer these rows with the model, once it is pushed.")
    ] = None,
    predict_out: Annotated[str | None, typer.Option(metavar="DIR", help="Place for a copy of these answers.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="A setting of the task (repeatable)."),
    ] = None,
    strategy: Annotated[str | None, typer.Option(help=f"Of the training: {', '.join(STRATEGIES)}.")] = None,
    warm_start: Annotated[str | None, typer.Option(help="latest, RUN_ID or none.")] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Search for better settings first.")] = False,
    no_tuned: Annotated[bool, typer.Option("--no-tuned", help="Not the values that an earlier search found.")] = False,
    lite: Annotated[
        list[str] | None, typer.Option(metavar="FORMAT", help="Convert to TF Lite too (repeatable).")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Default of the parameter cache: every node again.")
    ] = False,
    beam_runner: BeamRunner = None,
    beam: BeamOptions = None,
    beam_node: BeamNodes = None,
    beam_profile: BeamProfile = None,
    resource: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE.KEY=VALUE", help="cpu, memory or accelerator of a node or of `default` (repeatable)."
        ),
    ] = None,
    retries: Annotated[int | None, typer.Option(min=0, max=10, help="Of a step that failed; gates have none.")] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Variable of every step (repeatable).")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SECRET/KEY", help="Variable from a secret; Vertex AI: NAME=projects/… (repeatable)."
        ),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of pods or job (repeatable).")] = None,
    service_account: Annotated[str | None, typer.Option(help="That the steps run as (Vertex AI).")] = None,
    metadata: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="An ML Metadata service for the records; default: they are on the root."
        ),
    ] = None,
    notify: Annotated[
        str | None, typer.Option(metavar="NAME", help="Variable with the address that the outcome is posted to.")
    ] = None,
) -> None:
    """Compiles a task. Needs no network and no cluster; the same input gives the same bytes."""
    from pipeline.ingest import selection
    from pipeline.kubeflow import compile as compiler
    from pipeline.kubeflow import settings as cluster

    if target not in compiler.TARGETS:
        raise UsageError(f"--target: no target {target!r}.{nearest(target, compiler.TARGETS)}")
    overrides = [*(set_ or []), *([f"training.strategy={strategy}"] if strategy else [])]
    if warm_start is not None:
        overrides.append(f"training.warm_start={'null' if warm_start == 'none' else warm_start}")
    for name in lite or ():
        if name not in MAX_DIFFERENCE:
            raise UsageError(f"--lite: no format {name!r}.{nearest(name, MAX_DIFFERENCE)}")
    overrides += [f"lite.formats=[{', '.join(f'{chr(34)}{name}{chr(34)}' for name in lite)}]"] if lite else []
    found = tasks.load(task, overrides)
    config = RunConfig(
        task=task,
        root=root.rstrip("/"),
        data=data,
        span=None if span is None else selection.span_number(span, found.source.at(data)),
        window=window,
        serving_log=serving_log,
        overrides=tuple(overrides),
        cache=not no_cache,
        tune=tune,
        tuned=not no_tuned,
        predict=predict,
        predict_out=predict_out,
        metadata_service=metadata,
        **engines.given(beam_runner, beam, beam_node, beam_profile),
    )
    given: dict[str, Any] = {"image": image, "service_account": service_account, "notify": notify}
    given = {name: value for name, value in given.items() if value is not None}
    given |= {"resources": cluster.resources_of(resource)} if resource else {}
    given |= {"retries": {"count": retries}} if retries is not None else {}
    given |= {"env": _pairs("--env", env)} if env else {}
    given |= {"labels": _pairs("--label", label)} if label else {}
    given |= {"secrets": [cluster.secret_of(text) for text in secret]} if secret else {}
    text = compiler.compiled(config, cluster.read(settings, given), target)
    path = output or _OUTPUT[target].format(task=task)
    cli_output.write(Path(path), text)
    cli_output.say(f"next    python kubeflow_runner.py execute {path} --profile {target} --root DIR   tries it here")
    cli_output.say(f"        python kubeflow_runner.py submit {path} …")


def _pairs(flag: str, texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{flag} {text}: expected NAME=VALUE")
        pairs[name] = value
    return pairs
