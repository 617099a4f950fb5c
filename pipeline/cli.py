"""The `millrace` command, and the command line of `local_runner.py`."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from pipeline import (
    cli_cluster,
    cli_deploy,
    cli_diff,
    cli_predict,
    cli_report,
    cli_rollback,
    cli_schema,
    cli_serve,
    cli_tensorboard,
    tasks,
)
from pipeline.beam import settings
from pipeline.cli_beam import BeamNodes, BeamOptions, BeamProfile, BeamRunner
from pipeline.config import RunConfig
from pipeline.errors import ExitCode, MillraceError, UsageError, nearest
from pipeline.lite import MAX_DIFFERENCE
from pipeline.runners import local, records, remote_root, summary
from pipeline.runners.progress import Progress
from pipeline.strategies import NAMES as STRATEGIES
from pipeline.terminal import console, print_json, print_rows

app = typer.Typer(
    name="millrace",
    help="A production machine-learning pipeline on TFX.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def run(
    task: Annotated[str, typer.Option(help="The task to run; `millrace tasks` lists them.")] = "taxi_tips",
    data: Annotated[
        str | None,
        typer.Option(help="File, folder or pattern (*, {SPAN}, {YYYY}-{MM}-{DD}) in place of the task's own."),
    ] = None,
    root: Annotated[str, typer.Option(help="Folder of all runs, models and metadata, also s3:// or gs://.")] = "runs",
    span: Annotated[
        str | None, typer.Option(help="Newest span to read, a number or a date; default the newest there is.")
    ] = None,
    window: Annotated[int, typer.Option(min=1, help="How many spans to read, up to and with the newest.")] = 1,
    serving_log: Annotated[
        str | None, typer.Option(help="File, folder or pattern of logged requests to compare the data with.")
    ] = None,
    from_: Annotated[
        list[str] | None, typer.Option("--from", metavar="NODE", help="Start at this node (repeatable).")
    ] = None,
    to: Annotated[list[str] | None, typer.Option("--to", help="Stop after this node (repeatable).")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the last run, if it failed, with its own settings.")
    ] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every node again.")] = False,
    beam_runner: BeamRunner = None,
    beam: BeamOptions = None,
    beam_node: BeamNodes = None,
    beam_profile: BeamProfile = None,
    strategy: Annotated[
        str | None, typer.Option(help=f"How training is spread over devices and processes: {', '.join(STRATEGIES)}.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that compute (multi_worker, parameter_server), or replicas.")
    ] = None,
    ps: Annotated[
        int | None, typer.Option(min=1, help="Processes that hold the weights (parameter_server); default 1.")
    ] = None,
    warm_start: Annotated[
        str | None,
        typer.Option(help="Begin with the weights of the latest blessed model, or of a run's: latest, RUN_ID, none."),
    ] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Search for better settings first, as the task says.")] = False,
    no_tuned: Annotated[
        bool, typer.Option("--no-tuned", help="Use the task's own settings, not those that an earlier --tune found.")
    ] = False,
    lite: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMAT", help=f"Convert to TF Lite too: {', '.join(MAX_DIFFERENCE)} (repeatable)."),
    ] = None,
    predict: Annotated[
        str | None, typer.Option(metavar="PATH", help="Then answer these rows with the model, if it was pushed.")
    ] = None,
    predict_out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder for a copy of these answers; replaced if it holds some.")
    ] = None,
    force_promote: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Promote the model though a gate on it fails; the reason is recorded."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.FIELD=VALUE", help="section.field=value, e.g. training.steps=500 (repeatable)."
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would run, cached or not, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print run.json on standard output.")] = False,
) -> None:
    """Runs a task's pipeline on this machine.

    Exit codes: 0 pushed (or ended where --to asked), 1 failed, 2 usage, 10 stopped by the data gate, 11 model not blessed, 12 model failed the
    serving check.
    """
    flags = {"strategy": strategy, "workers": workers, "servers": ps}
    overrides = [*(set_ or []), *(f"training.{field}={value}" for field, value in flags.items() if value is not None)]
    if warm_start is not None:
        overrides.append(f"training.warm_start={'null' if warm_start == 'none' else warm_start}")
    if force_promote is not None and not force_promote.strip():
        raise UsageError("--force-promote: expected a reason, for the record. Received: none")
    if predict_out is not None and predict is None:
        raise UsageError("--predict-out: expected --predict PATH, the rows to answer")
    for name in lite or ():
        if name not in MAX_DIFFERENCE:
            raise UsageError(f"--lite: no format {name!r}.{nearest(name, MAX_DIFFERENCE)}")
    overrides += [f"lite.formats={dumps(lite)}"] if lite else []
    place, mirror = remote_root.placed(root)
    config = RunConfig(
        task=task,
        root=place,
        mirror=mirror,
        data=_absolute(data),
        span=_span(span, task, data),
        window=window,
        serving_log=_absolute(serving_log),
        **settings.given(beam_runner, beam, beam_node, beam_profile),
        overrides=tuple(overrides),
        cache=not no_cache,
        from_nodes=tuple(from_ or ()),
        to_nodes=tuple(to or ()),
        tune=tune,
        tuned=not no_tuned,
        predict=_absolute(predict),
        predict_out=_absolute(predict_out),
        force=force_promote,
    )
    resumed_from = None
    if resume:
        bare = RunConfig(task=task, root=config.root, mirror=config.mirror)
        other = [field.name for field in fields(config) if getattr(config, field.name) != getattr(bare, field.name)]
        if other:
            raise UsageError(
                "--resume continues a run with its own settings. Expected no other flag but --task, --root, --plan, "
                f"--json. Received one that sets {', '.join(other)}"
            )
        config, resumed_from = _unfinished(config)
    if plan:
        planned, engines = local.plan(config), local.engines(config)
        print_rows([{"node": node, "plan": what} | _engine(engines, node) for node, what in planned], as_json=json)
        return
    screen = console(stderr=json)
    screen.print(f"Millrace: {tasks.load(config.task, config.overrides).question}")
    with Progress(screen) as progress:
        record = local.run(config, progress, resumed_from)
    screen.print(summary.summary(record))
    if json:
        print_json(record)
    raise typer.Exit(record["exit_code"])


@app.command(name="tasks")
def tasks_(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Lists the tasks, each with its question."""
    found = []
    broken = []
    for name in tasks.names():
        try:
            task = tasks.load(name)
            found.append({"task": name, "question": task.question, "model": type(task.model).__name__})
        except MillraceError as error:
            broken.append(str(error))
    print_rows(found, as_json=json)
    if broken:
        raise MillraceError("\n".join(broken))


@app.command()
def runs(
    task: Annotated[str | None, typer.Option(help="Of this task only.")] = None,
    root: Annotated[str, typer.Option(help="Folder of all runs.")] = "runs",
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Lists the runs, oldest first."""
    rows = [
        {
            "task": record["task"],
            "run": record["run_id"],
            "outcome": record["outcome"],
            "exit": record["exit_code"],
            "seconds": round(record["seconds"], 1),
            "cached": sum(node["cached"] for node in record["nodes"].values()),
            "gates": _gates(record["gates"]),
            "version": (record["pushed"] or {}).get("version", ""),
        }
        for record in records.read_all(remote_root.brought(root, task, "runs"), task)
    ]
    print_rows(rows, as_json=json)


def _gates(gates: list[dict[str, Any]]) -> str:
    """The failed ones by name, or how many there were."""
    failed = [gate["name"] for gate in gates if not gate["passed"]]
    return f"failed: {', '.join(failed)}" if failed else f"{len(gates)} passed" if gates else ""


@app.command()
def doctor(
    root: Annotated[str, typer.Option(help="Folder of all runs.")] = "runs",
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Checks versions, glibc, disk, compiler and folders; says what is missing and how to mend it."""
    from pipeline import doctor as checks

    place, mirror = remote_root.placed(root)
    found = checks.examine(Path(mirror or place))
    print_rows(
        [{"": "✓" if c.ok else "✗", "check": c.name, "found": c.found, "next": c.fix} for c in found], as_json=json
    )
    if not all(check.ok for check in found):
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def worker(
    task: Annotated[str, typer.Option(help="The task that the chief trains.")],
    root: Annotated[str, typer.Option(help="The chief's folder of all runs, on storage that both reach.")] = "runs",
) -> None:
    """Helps with a training that the chief of TF_CONFIG's cluster runs: waits for it to begin, and ends with it."""
    from pipeline.train import remote

    tasks.load(task)
    if "://" in root:
        remote.take_part_by(f"{root.rstrip('/')}/{task}")
    else:
        remote.take_part(RunConfig(task=task, root=root).training)


app.command(name="run")(run)
app.add_typer(cli_schema.app)
app.command()(cli_tensorboard.tensorboard)
app.command()(cli_serve.serve)
app.command()(cli_predict.predict)
app.command()(cli_report.report)
app.command()(cli_diff.diff)
app.command()(cli_rollback.rollback)
app.command()(cli_rollback.history)
app.add_typer(cli_deploy.app)
app.add_typer(cli_cluster.app)


def _engine(engines: Mapping[str, str], node: str) -> dict[str, str]:
    """The column that says where a node's Beam jobs run; none where all run in the node's process."""
    return {"engine": engines.get(node, "")} if engines else {}


def _absolute(path: str | None) -> str | None:
    return path if path is None or "://" in path else os.path.abspath(path)


def _span(text: str | None, task: str, data: str | None) -> int | None:
    """The number of the span that the flag names."""
    if text is None:
        return None
    from pipeline.ingest import selection

    return selection.span_number(text, tasks.load(task).source.at(data))


def _unfinished(asked: RunConfig) -> tuple[RunConfig, str]:
    """The configuration of the last run of a task, where it failed, with the cache on."""
    remote_root.known(asked)
    found = records.read_all(str(asked.home.parent), asked.task)
    previous = [record for record in found if record["task"] == asked.task]
    if not previous:
        raise UsageError(f"--resume: no run of {asked.task!r} in {asked.root}. Next: run without --resume")
    last = previous[-1]
    if last["outcome"] != "failed":
        raise UsageError(
            f"--resume: the last run, {last['run_id']}, ended: {last['outcome']}. Next: run without --resume"
        )
    saved: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in last["config"].items()
    }
    return RunConfig(**{**saved, "root": asked.root, "mirror": asked.mirror, "cache": True}), last["run_id"]


def guarded(command: Callable[[], Any]) -> int:
    """Runs a command line.

    Returns:
      Its exit code; an error for the user is printed without a traceback.
    """
    try:
        command()
    except SystemExit as ended:
        return int(ended.code or 0)
    except MillraceError as error:
        console(stderr=True).print(
            Text.assemble(("error ", "bold red"), remote_root.as_named(str(error))), soft_wrap=True
        )
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.FAILED)
    return 0


def main() -> None:
    """Entry of the `millrace` command."""
    sys.exit(guarded(app))


def run_main() -> int:
    """Entry of `local_runner.py`: `millrace run` without the word."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command()(run)
    return guarded(single)
