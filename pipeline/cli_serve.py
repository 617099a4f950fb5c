"""`millrace serve`: the pushed models of a root over TF Serving's REST and gRPC API, on this machine.

    millrace serve                                  # every task that has pushed a model
    millrace serve taxi_tips --rest-port 8601
    millrace serve --model-config models.config     # a ModelServerConfig, for labels and version policies

`docs/serving.md` has the API. A new version is served as soon as it is pushed.
"""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from pipeline import tasks
from pipeline.config import RunConfig
from pipeline.errors import UsageError, nearest
from pipeline.runners import remote_root
from pipeline.terminal import console
from serving import __main__ as server
from serving import flags, versions
from serving.errors import ServingError
from serving.settings import ModelConfig, Settings

_Command = TypeVar("_Command", bound=Callable[..., None])
_FROM_TASK = ("model_name", "model_base_path")


def _with_flags_of_the_server(command: _Command) -> _Command:
    """Gives a command the flags of `python -m serving`, which has them in one place, but for those that the task says."""
    own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
    its = [p for p in inspect.signature(server.main).parameters.values() if p.name not in _FROM_TASK]
    command.__signature__ = inspect.Signature([*own, *its])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*own, *its)}
    return command


@_with_flags_of_the_server
def serve(
    task: Annotated[
        str | None, typer.Argument(metavar="TASK", help="Serve this one; else every task that has pushed a model.")
    ] = None,
    root: Annotated[str, typer.Option(help="Folder of all runs.")] = "runs",
    **given: Any,
) -> None:
    """Serves pushed models over TF Serving's REST and gRPC API, until Ctrl-C."""
    made = settings(task, remote_root.brought(root, task, "serving"), **given)
    if "://" in root:
        console().print(f"as {root} serves them now; start it again for newer ones", markup=False, soft_wrap=True)
    for model in made.models:
        console().print(f"{model.name}: {model.base_path}", markup=False, soft_wrap=True)
    console().print(_where(made), markup=False, soft_wrap=True)
    try:
        server.serve(made)
    except ServingError as error:
        raise UsageError(f"serve: {error}") from error
    except OSError as error:
        raise UsageError(f"serve: {error}. Next: other ports, --rest-port 0 --grpc-port 0 takes free ones") from error


def settings(task: str | None, root: str, **given: Any) -> Settings:
    """What to serve, and how.

    Args:
      task: one of the root's, or None for all that have pushed a model.
      root: folder of all runs.
      **given: the other flags, see serving.flags.

    Raises:
      UsageError: no such task, nothing has been pushed, or flags that do not go together.
    """
    if given.get("model_config") is not None:
        if task is not None:
            raise UsageError(f"serve: expected a task or --model-config. Received: both ({task}). Next: leave one out")
        models: tuple[ModelConfig, ...] = ()
        named: dict[str, Any] = {}
    else:
        models = tuple(ModelConfig(name, str(RunConfig(task=name, root=root).serving)) for name in _served(task, root))
        named = {"model_name": models[0].name, "model_base_path": models[0].base_path}
    try:
        return dataclasses.replace(flags.settings(**named, **given), models=models)
    except ServingError as error:
        raise UsageError(f"serve: {error}") from error


def _served(task: str | None, root: str) -> list[str]:
    """The tasks to serve."""
    pushed = sorted(folder.name for folder in Path(root).glob("*") if _has_version(folder.name, root))
    if task is None:
        if not pushed:
            raise UsageError(f"serve: no task has pushed a model in {root}. Next: millrace run --root {root}")
        return pushed
    if task in pushed:
        return [task]
    if task in tasks.names():
        others = f" (pushed: {', '.join(pushed)})" if pushed else ""
        raise UsageError(
            f"serve: {task} has not pushed a model in {root} yet{others}. Next: millrace run --task {task} --root {root}"
        )
    raise UsageError(f"serve: no task {task!r}.{nearest(task, {*pushed, *tasks.names()})}")


def _has_version(task: str, root: str) -> bool:
    found = versions.scan(str(RunConfig(task=task, root=root).serving))
    return found is not None and bool(found.paths)


def _where(made: Settings) -> str:
    scheme = "https" if made.tls_cert else "http"
    host = f"[{made.host}]" if ":" in made.host else made.host
    grpc = "none" if made.grpc_port is None else f"{host}:{made.grpc_port}"
    name = made.models[0].name if made.models else "NAME"
    return (
        f"REST {scheme}://{host}:{made.rest_port}/v1/models/{name}, gRPC {grpc}; port 0 is a free one, which the line "
        "`ready` names (Ctrl-C ends it)"
    )
