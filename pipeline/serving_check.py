"""What a served candidate must do before it is pushed: plain settings, no TensorFlow."""

import math
import shutil
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import TaskError

_ENGINES = ("docker", "podman")
SERVERS = ("embedded", "tensorflow_serving")


@dataclass(frozen=True)
class ServingCheck:
    """The rules of the check that starts a real server on the candidate and asks it, over REST and gRPC.

        ServingCheck(max_p99_ms=50, max_memory_mb=1024)

    Answers are compared with those of the trained model, which the Trainer has noted before the export: for real rows of
    the eval split, for rows with each column missing, and for values that training has not seen.

    Attributes:
      server: "embedded" is this project's own server; "tensorflow_serving" is TF Serving's container, where Docker or
        Podman is there and has the image.
      image: of the container.
      max_difference: of any answer from the trained model's; absolute and, for large answers, relative.
      requests: of one row each that are timed, over REST, one after the other.
      max_p99_ms: the time in milliseconds in which 99 of 100 of them are answered; other nodes may run meanwhile.
      max_memory_mb: of the server's process at its peak, in MiB; the container's is not measured.
      start_seconds: until the server is ready.
      signature_change: whether the candidate may take or give something else than the model that is served; its clients
        have to change with it.
    """

    server: Literal["embedded", "tensorflow_serving"] = "embedded"
    image: str = "tensorflow/serving:2.19.1"
    max_difference: float = 1e-5
    requests: int = 100
    max_p99_ms: float = 1000.0
    max_memory_mb: float = 4096.0
    start_seconds: float = 120.0
    signature_change: bool = False

    def __post_init__(self) -> None:
        if self.server not in SERVERS:
            raise TaskError(f"serving: server: expected one of {SERVERS}. Received: server={self.server!r}")
        for name in ("max_difference", "max_p99_ms", "max_memory_mb", "start_seconds"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise TaskError(f"serving: {name}: expected a number above 0. Received: {name}={value}")
        if self.requests < 1:
            raise TaskError(f"serving: requests: expected at least 1. Received: requests={self.requests}")

    def engine(self) -> str:
        """The program that runs containers.

        Raises:
          TaskError: there is none.
        """
        for name in _ENGINES:
            path = shutil.which(name)
            if path:
                return path
        raise TaskError(
            f"serving: server: expected {' or '.join(_ENGINES)} to run {self.image}. Received: neither. "
            "Next: install one, or --set serving.server=embedded"
        )
