"""The server's command line, for `python -m serving` and `millrace serve`: the flags, and the settings that they make."""

import ipaddress
from pathlib import Path
from typing import Annotated

import typer

from serving.errors import Code, ServingError
from serving.settings import Limits, LogSettings, ModelConfig, Settings

_L = Limits()
ModelName = Annotated[str | None, typer.Option(help="Name of the model in requests.")]
ModelBasePath = Annotated[str | None, typer.Option(help="Absolute folder with a folder a version.")]
ModelConfigFile = Annotated[
    Path | None,
    typer.Option("--model-config", metavar="FILE", help="ModelServerConfig in text form, for several models."),
]
ConfigPoll = Annotated[
    float, typer.Option("--model-config-poll-seconds", min=0, help="How often to read it again; 0: never.")
]
Poll = Annotated[float, typer.Option("--poll-seconds", min=0, help="How often to look for versions; 0: only at start.")]
Host = Annotated[str, typer.Option(help="Address to listen at; others than loopback are open to the network.")]
RestPort = Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")]
GrpcPort = Annotated[int, typer.Option(min=-1, max=65535, help="0: a free one; -1: no gRPC.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the bearer token that requests have to bring.")]
TlsCert = Annotated[Path | None, typer.Option(help="PEM file of the certificate (chain).")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file of its key.")]
MaxBodyMb = Annotated[int, typer.Option(min=1, max=2047, help="Largest request, MiB.")]
MaxRows = Annotated[int, typer.Option(min=1, help="Most rows of a request.")]
Queue = Annotated[int, typer.Option(min=1, help="Most requests that wait for a version of a model.")]
BatchRows = Annotated[int, typer.Option(min=1, help="Most rows that are merged from several requests; 1: none.")]
Timeout = Annotated[float, typer.Option("--timeout-seconds", min=0.001, help="Longest time for a request.")]
RequestLogDir = Annotated[
    Path | None, typer.Option("--request-log", metavar="DIR", help="Log a sample of requests here.")
]
RequestLogRate = Annotated[float, typer.Option(min=0, max=1, help="Share of the requests that is logged.")]
RequestLogRedact = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="Leave this column out of the log (repeatable).")
]
RequestLogMaxMb = Annotated[int, typer.Option(min=1, help="What the log may take, MiB; the oldest files go.")]
ReadyFile = Annotated[Path | None, typer.Option(help="Written (JSON: ports and pid) once requests are answered.")]


def settings(
    model_name: str | None = None,
    model_base_path: str | None = None,
    model_config: Path | None = None,
    model_config_poll_seconds: float = 0.0,
    poll_seconds: float = 1.0,
    host: str = "127.0.0.1",
    rest_port: int = 8501,
    grpc_port: int = 8500,
    token_file: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    max_body_mb: int = _L.body_mb,
    max_rows: int = _L.rows,
    queue: int = _L.queue,
    batch_rows: int = _L.batch_rows,
    timeout_seconds: float = _L.timeout_seconds,
    request_log: Path | None = None,
    request_log_rate: float = 0.01,
    request_log_redact: list[str] | None = None,
    request_log_max_mb: int = 100,
    ready_file: Path | None = None,
) -> Settings:
    """The settings that flags make; see their help.

    Raises:
      ServingError: flags that do not go together, or a token that can't be read.
    """
    named = model_name is not None and model_base_path is not None
    if named == (model_config is not None) or (model_name is None) != (model_base_path is None):
        raise _wrong("Expected --model-name and --model-base-path, or else --model-config")
    if (tls_cert is None) != (tls_key is None):
        raise _wrong("Expected both --tls-cert and --tls-key, or neither of them")
    for file in (tls_cert, tls_key):
        if file is not None and not file.is_file():
            raise _wrong(f"{file}: there is no such file")
    log = None
    if request_log is not None:
        log = LogSettings(request_log, request_log_rate, tuple(request_log_redact or ()), request_log_max_mb)
    return Settings(
        models=(ModelConfig(model_name, model_base_path),) if model_name and model_base_path else (),
        config_file=model_config,
        config_poll_seconds=model_config_poll_seconds,
        poll_seconds=poll_seconds,
        host=host,
        rest_port=rest_port,
        grpc_port=None if grpc_port < 0 else grpc_port,
        token=_token(token_file),
        tls_cert=tls_cert,
        tls_key=tls_key,
        limits=Limits(
            body_mb=max_body_mb,
            rows=max_rows,
            queue=queue,
            batch_rows=batch_rows,
            timeout_seconds=timeout_seconds,
        ),
        request_log=log,
        ready_file=ready_file,
    )


def open_to_all(made: Settings) -> bool:
    """Whether anybody on the network may ask."""
    try:
        loopback = ipaddress.ip_address(made.host).is_loopback
    except ValueError:
        loopback = made.host == "localhost"
    return not loopback and made.token is None


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(f"{file}: the token can't be read") from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise _wrong(f"{file}: expected a token of printable ASCII characters without blanks")
    return token


def _wrong(message: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, message)
