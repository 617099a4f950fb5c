"""The flags that say which server: one set for all commands that ask Kubeflow Pipelines or Vertex AI.

A command has a parameter `connection: Connection` and is decorated with `connected`; on the command line it has the flags.
"""

import functools
import inspect
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer
from rich.text import Text

from pipeline.errors import UsageError, nearest, raise_all
from pipeline.kubeflow.api.backend import Backend
from pipeline.kubeflow.api.package import TARGETS
from pipeline.kubeflow.api.retrying import Clock, SystemClock
from pipeline.terminal import console

# The names are those of the two servers' own clients.
_HOST = "KF_PIPELINES_ENDPOINT"
_UI = "KF_PIPELINES_UI_ENDPOINT"
_PROJECT = "GOOGLE_CLOUD_PROJECT"
_REGION = "CLOUD_ML_REGION"
_OF = {
    "kfp": ("host", "namespace", "token_file", "ca_cert"),
    "vertex": ("project", "region", "api_endpoint"),
}


@dataclass(frozen=True)
class Connection:
    """The flags; None where one is not given."""

    target: Annotated[str | None, typer.Option(help="kfp or vertex; default what the other flags or SPEC say.")] = None
    host: Annotated[str | None, typer.Option(help=f"KFP: its address; default ${_HOST}.")] = None
    namespace: Annotated[str | None, typer.Option(help="KFP: of the user, in multi-user mode only.")] = None
    token_file: Annotated[
        str | None, typer.Option(help="KFP: file with a bearer token; default $KFP_TOKEN. Read again when it expires.")
    ] = None
    token: Annotated[str | None, typer.Option(hidden=True)] = None
    ca_cert: Annotated[str | None, typer.Option(help="KFP: authority that signed the host's certificate (PEM).")] = None
    project: Annotated[str | None, typer.Option(help=f"Vertex: project; default ${_PROJECT}.")] = None
    region: Annotated[str | None, typer.Option(help=f"Vertex: such as europe-west4; default ${_REGION}.")] = None
    api_endpoint: Annotated[str | None, typer.Option(help="Vertex: another address of the API.")] = None

    def resolve(self, of_file: str | None = None, **more: dict[str, Any]) -> str:
        """The target, by `--target`, the compiled file, or the other flags.

        Args:
          of_file: what a compiled file says.
          more: target -> the command's own flags for it.

        Raises:
          UsageError: it can't be told, or a flag of the other target is given.
        """
        if self.token is not None:
            raise UsageError(
                "--token: not taken, since everybody on this machine would see it in the list of processes (ps) and it would "
                "stay in the shell's history. Next: --token-file FILE, or the variable KFP_TOKEN"
            )
        if self.target is not None and self.target not in TARGETS:
            raise UsageError(f"--target: no target {self.target!r}.{nearest(self.target, TARGETS)}")
        given = {
            target: [name for name in names if getattr(self, name) is not None]
            + [name for name, value in more.get(target, {}).items() if value]
            for target, names in _OF.items()
        }
        named = [target for target in TARGETS if given[target]]
        target = self.target or of_file or (named[0] if len(named) == 1 else None)
        if target is None and not named:
            target = "kfp" if os.environ.get(_HOST) else None
        if target is None:
            raise UsageError(
                "--target: which server? Expected: --host … (KFP), or --project … --region … (Vertex AI). "
                f"Received: {'flags of both' if named else 'neither'}. Next: --target kfp or --target vertex"
            )
        other = "vertex" if target == "kfp" else "kfp"
        problems = [f"--{name.replace('_', '-')} is for --target {other}" for name in given[other]]
        why = f"--target {target}" if self.target or not of_file else f"the file was compiled for --target {target}"
        title = f"{why}, but flags of the other server are given. Next: leave them out, or compile --target {other}"
        raise_all(UsageError, title, problems)
        return target

    def open(self, target: str, clock: Clock, **options: Any) -> Backend:
        """The server; `options` are the target's own.

        Raises:
          UsageError: a flag is missing or wrong.
        """
        if target == "kfp":
            from pipeline.kubeflow.api.kfp import Kfp
            from pipeline.kubeflow.api.kfp_http import Server

            host = self.host or os.environ.get(_HOST)
            if not host:
                raise UsageError(
                    f"--host: where is Kubeflow Pipelines? Expected: --host https://… or the variable {_HOST}. "
                    "Next: kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888, then --host http://localhost:8888"
                )
            server = Server(host, self.namespace, self.token_file, self.ca_cert, os.environ.get(_UI))
            if server.clear_text:
                say(f"warning  {server.name} is plain http: a token would cross the network in clear. Next: https://…")
            return Kfp(server, clock, **options)
        from pipeline.kubeflow.api.vertex import Place, Vertex

        project, region = self.project or os.environ.get(_PROJECT), self.region or os.environ.get(_REGION)
        missing = [
            f"{flag} or the variable {name}"
            for flag, name, value in (("--project", _PROJECT, project), ("--region", _REGION, region))
            if not value
        ]
        raise_all(UsageError, "Vertex AI: where?", [f"Expected: {what}" for what in missing])
        return Vertex(Place(str(project), str(region), self.api_endpoint), clock)

    def flags(self, target: str) -> str:
        """What to type again for the same server; never a secret."""
        given = {name: getattr(self, name) for name in _OF[target]}
        text = "".join(f" --{name.replace('_', '-')} {shlex.quote(value)}" for name, value in given.items() if value)
        return text or f" --target {target}"


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the flags of `Connection` in place of its parameter `connection`."""
    flags = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=one.type)
        for one in fields(Connection)
    ]
    own = [one for one in inspect.signature(command).parameters.values() if one.name != "connection"]

    @functools.wraps(command)
    def with_flags(**given: Any) -> None:
        connection = Connection(**{one.name: given.pop(one.name) for one in flags})
        command(connection=connection, **given)

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + flags
    with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_flags.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_flags


def clock() -> Clock:
    """The time; one place, so that a test can stop it."""
    return SystemClock()


def say(text: str) -> None:
    """A line for people, beside what the command prints."""
    console(stderr=True).print(Text(text), soft_wrap=True)
