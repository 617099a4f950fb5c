"""What runs in each container of a job.

    python -m pipeline.kubeflow.container --node Trainer --config '{"task": "taxi_tips", …}' --code 6f1c… \\
        --executor-input '{"inputs": …, "outputs": …}'

KFP and Vertex AI hand over the executor input and read back the file that it names. Input artifacts are not taken from
it: the open-source backend hands them over without their types (tensorflow/tfx#7768), and TFX's launcher finds them, typed,
in the metadata of the run. Exit codes are those of `local_runner.py`.
"""

import json
import logging
import math
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import image, tasks
from pipeline.config import RunConfig
from pipeline.errors import ExitCode, MillraceError, UsageError
from pipeline.kubeflow import finish, node, secrets, start

SCRATCH = "/var/millrace"
"""Where a container keeps its local copy of the root."""
PLACE = "place"
"""Property of an output that says where in the root it is."""
_TERMINATION = Path("/dev/termination-log")
_MOUNTS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}


def main(
    name: Annotated[str, typer.Option("--node", help="start, finish, or a node of the pipeline.")] = "",
    config: Annotated[str, typer.Option(help="The run's configuration, JSON.")] = "{}",
    code: Annotated[str, typer.Option(help="Fingerprint of the code that the spec was compiled from.")] = "",
    compiled_by: Annotated[str, typer.Option(help="Version of Millrace that compiled the spec.")] = "",
    executor_input: Annotated[str, typer.Option(help="KFP's ExecutorInput, JSON.")] = "{}",
    lookups: Annotated[str, typer.Option(help="Resolvers that run before the node, by commas.")] = "",
    place: Annotated[int, typer.Option(help="The node's place in the pipeline.")] = 0,
    nodes: Annotated[str, typer.Option(help="finish: all nodes of the pipeline, by commas.")] = "",
    notify: Annotated[str, typer.Option(help="finish: the variable with the address to post the outcome to.")] = "",
    version: Annotated[bool, typer.Option("--version", help="Print version and code, and stop.")] = False,
) -> None:
    """Runs one step of a compiled pipeline."""
    if version:
        image.main()
        return
    # A pod that is to go is told so by SIGTERM: the node is ended, and what it came to is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        image.check(code, compiled_by or None)
        secrets.resolve()
        given = json.loads(executor_input)
        values = _parameters(given)
        found, job = configured(json.loads(config), values), str(values.get("job_id") or "")
        if not job:
            raise UsageError("container: the executor input has no job_id. Next: compile the spec again")
        _run(name, found, job, given, _words(lookups), place, _words(nodes), notify or None)
    except MillraceError as error:
        _say(str(error))
        raise typer.Exit(int(error.exit_code)) from error
    except (OSError, EOFError) as error:
        # Typer would say "Aborted." of the latter: the process that the node is forked from was killed.
        _say(f"{name}: {type(error).__name__}: {error or 'the process of the node was killed'}")
        raise typer.Exit(int(ExitCode.FAILED)) from error
    except KeyboardInterrupt as stop:
        _say(f"{name}: ended by the cluster")
        raise typer.Exit(128 + signal.SIGTERM) from stop


def _run(
    name: str,
    config: RunConfig,
    job: str,
    given: dict[str, Any],
    lookups: tuple[str, ...],
    place: int,
    nodes: tuple[str, ...],
    notify: str | None,
) -> None:
    if name == start.NODE:
        run_id = start.run(config, job, {})
        answer(given, {}, {"run_id": run_id})
    elif name == finish.NODE:
        record = finish.run(config, job, nodes, notify)
        _publish(given, config, record)
        _say(f"{record['outcome']}: {record['reason'] or record['pushed']}", bool(record["exit_code"]))
        if record["exit_code"]:
            raise typer.Exit(record["exit_code"])
    else:
        from pipeline.remote.mirror import Mirror

        run_id = start.run_of(Mirror.of(config), job) or ""
        if not run_id:
            raise MillraceError(
                f"container: job {job} has no run in {config.home_url}. Expected the step start before it"
            )
        made = node.run(node.Step(name, lookups, place), config, run_id)
        answer(given, made, {})
        if name == "Pusher" and made["pushed_model"]["properties"].get("pushed") != 1:
            # A job of which nothing came is red on the cluster's pages; `finish` says which gate it was.
            raise NotPushed("nothing was pushed: a gate on the model or the serving check did not let it through")


class NotPushed(MillraceError):
    """Every step did its work, and no model came out."""

    exit_code = ExitCode.NOT_BLESSED


def configured(settings: Mapping[str, Any], values: Mapping[str, Any]) -> RunConfig:
    """The run's configuration: as compiled, with the job's parameters, on this machine.

    Args:
      settings: fields of RunConfig.
      values: of the job's parameters.

    Raises:
      UsageError: they are of another version of Millrace.
    """
    known = {field.name for field in fields(RunConfig)}
    if set(settings) - known:
        raise UsageError(
            f"container: the spec has settings that this image does not know: {sorted(set(settings) - known)}"
        )
    fitting: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
    }
    config = RunConfig(**fitting)
    overrides = list(config.overrides)
    steps = values.get("steps")
    if steps and int(steps) != tasks.load(config.task, overrides).training.steps:
        overrides.append(f"training.steps={int(steps)}")
    overrides += map(str, values.get("overrides") or ())
    span = int(values.get("span", -1))
    config = replace(
        config,
        data=values.get("data") or config.data,
        span=config.span if span < 0 else span,
        window=int(values.get("window") or config.window),
        serving_log=values.get("serving_log") or config.serving_log,
        predict=values.get("predict") or config.predict,
        force=values.get("force") or config.force,
        cache=bool(values.get("cache", config.cache)),
        overrides=tuple(overrides),
    )
    bucket, _, folder = os.environ.get("MILLRACE_ROOT_IS", "").partition("=")
    if bucket and config.root.startswith(bucket.rstrip("/")):
        config = replace(config, root=folder + config.root[len(bucket.rstrip("/")) :])
    return replace(config, mirror=os.environ.get("MILLRACE_SCRATCH") or SCRATCH)


def answer(given: dict[str, Any], artifacts: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Says what a step gave, where the executor input asks for it.

    Args:
      given: the executor input.
      artifacts: output key -> `{"uri", "properties"}`.
      parameters: output key -> value.
    """
    asked = given.get("outputs", {})
    told: dict[str, Any] = {"artifacts": {}}
    for key, listed in asked.get("artifacts", {}).items():
        if key in artifacts:
            named = listed["artifacts"][0].get("name", key)
            found = artifacts[key]
            # KFP's launcher fails a task that names a place outside of the run's own folder of the pipeline root. So the
            # place it gave stays, and where the artifact really is becomes a property.
            metadata = {**_finite(found.get("properties", {})), PLACE: found["uri"]}
            told["artifacts"][key] = {"artifacts": [{"name": named, "metadata": metadata}]}
    told["parameterValues"] = {key: value for key, value in parameters.items() if key in asked.get("parameters", {})}
    for key, value in parameters.items():
        target = asked.get("parameters", {}).get(key, {}).get("outputFile")
        if target:
            write(target, str(value).encode())
    if asked.get("outputFile"):
        write(asked["outputFile"], json.dumps(told, allow_nan=False).encode())


def _finite(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Without what neither JSON nor the metadata store takes: nothing, NaN and the infinite."""
    return {
        name: value
        for name, value in properties.items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }


def _publish(given: dict[str, Any], config: RunConfig, record: dict[str, Any]) -> None:
    """The run's metrics and report, as the cluster's pages show them."""
    asked = given.get("outputs", {}).get("artifacts", {})
    told: dict[str, Any] = {}
    if "metrics" in asked:
        told["metrics"] = {"uri": asked["metrics"]["artifacts"][0]["uri"], "properties": _numbers(record)}
    if "report" in asked and record["report"]:
        place = asked["report"]["artifacts"][0]["uri"]
        local = config.home / "reports" / record["run_id"] / "index.html"
        write(place, local.read_bytes())
        told["report"] = {"uri": place, "properties": {"page": record["report"]}}
    answer(given, told, {"outcome": record["outcome"], "run_id": record["run_id"]})


def _numbers(record: dict[str, Any]) -> dict[str, float]:
    found = {name: value for name, value in record["metrics"].items() if isinstance(value, int | float)}
    rows = record["rows"] or {}
    return found | {f"rows_{name}": value for name, value in rows.items() if isinstance(value, int)}


def write(target: str, data: bytes) -> None:
    """Writes a file whose place the cluster named: where it mounts or collects it, or else in the bucket itself."""
    from pipeline.remote import transfer

    for scheme, mount in _MOUNTS.items():
        if target.startswith(scheme):
            local = Path(mount + target[len(scheme) :])
            if not local.parent.is_dir():
                transfer.write(target, data)
                return
            target = str(local)
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    shutil.move(part, path)


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    return dict(given.get("inputs", {}).get("parameterValues", {}))


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _say(text: str, failed: bool = True) -> None:
    """To the container's log, and where Kubernetes looks for a last word."""
    logging.log(logging.ERROR if failed else logging.INFO, "%s", text)
    if _TERMINATION.exists() and os.access(_TERMINATION, os.W_OK):
        _TERMINATION.write_text(text[:4000])


if __name__ == "__main__":
    typer.run(main)
    sys.exit(int(ExitCode.PUSHED))
