"""What the server is told: the models, the limits, where it listens, what it logs.

Settings(models=(ModelConfig("taxi_tips", "/models/taxi_tips"),))
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class VersionPolicy:
    """Which of a model's versions are served.

    Attributes:
      kind: `latest` ones by number, `all`, or `specific` ones.
      count: how many of the latest.
      versions: the specific ones.
    """

    kind: Literal["latest", "all", "specific"] = "latest"
    count: int = 1
    versions: tuple[int, ...] = ()


@dataclass(frozen=True)
class ModelConfig:
    """A model to serve.

    Attributes:
      name: in requests.
      base_path: an absolute folder with a folder a version, named by its number.
      policy: which versions are served.
      labels: of versions, in requests: label -> version.
    """

    name: str
    base_path: str
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """What one request, or all that wait, may take.

    Attributes:
      body_mb: of a request, in MiB, over HTTP and gRPC; HTTP answers 413 beyond it.
      rows: of a request.
      queue: requests that wait for one version of a model; RESOURCE_EXHAUSTED beyond it.
      queue_mb: what their inputs may take together, in MiB; likewise.
      batch_rows: at most so many rows are run at once, where requests are merged; 1: none are.
      timeout_seconds: for a request that brings no deadline of its own, and at most for one that does.
      drain_seconds: how long the requests that are under way have when the server is told to end.
    """

    body_mb: int = 64
    rows: int = 65_536
    queue: int = 1_000
    queue_mb: int = 512
    batch_rows: int = 128
    timeout_seconds: float = 60.0
    drain_seconds: float = 30.0

    @property
    def body_bytes(self) -> int:
        """`body_mb` in bytes."""
        return self.body_mb * _MEBIBYTE


@dataclass(frozen=True)
class LogSettings:
    """The log of requests.

    Attributes:
      folder: of the files; made where it is not there.
      rate: the share of requests that is logged, 0 to 1.
      redact: inputs, and features in tf.Examples, that are left out.
      max_mb: what all files may take together, in MiB; the oldest go first.
    """

    folder: Path
    rate: float = 0.01
    redact: tuple[str, ...] = ()
    max_mb: int = 100


@dataclass(frozen=True)
class Settings:
    """Everything; see the flags of `python -m serving`.

    Attributes:
      models: to serve, unless there is a config file.
      config_file: a ModelServerConfig in text form; read at start, and again every `config_poll_seconds`.
      config_poll_seconds: 0: only at start.
      poll_seconds: between two looks at the models' folders; 0: only at start, and when the configuration changes.
      host: the address to listen at.
      rest_port: 0 is a free one.
      grpc_port: likewise; None is no gRPC.
      token: what a request has to bring as `authorization: Bearer …`; None: nothing. Never shown.
      tls_cert: PEM file of the certificates; None: no TLS.
      tls_key: PEM file of the key.
      limits: see Limits.
      request_log: None: no log.
      ready_file: written once requests are answered.
      load_attempts: how often a version that does not load is tried, until its folder changes.
    """

    models: tuple[ModelConfig, ...] = ()
    config_file: Path | None = None
    config_poll_seconds: float = 0.0
    poll_seconds: float = 1.0
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int | None = 8500
    token: str | None = field(default=None, repr=False)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    limits: Limits = Limits()
    request_log: LogSettings | None = None
    ready_file: Path | None = None
    load_attempts: int = 3
