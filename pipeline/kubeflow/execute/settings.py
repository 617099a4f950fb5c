"""How a spec is executed."""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_WAIT = 10.0
"""Seconds before another attempt, at the most: this is a trial, whatever the spec says."""
GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL, as Kubernetes gives a container."""


@dataclass(frozen=True)
class Settings:
    """How a spec is executed.

    Attributes:
      root: folder that stands for the pipeline root.
      job_id: of the run.
      environment: variables for each task.
      parallel: how many processes there may be at once.
      sleep: waits before another attempt.
      grace: seconds that a process has to end by itself when the run is interrupted.
    """

    root: Path
    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    environment: Mapping[str, str] = field(default_factory=dict)
    parallel: int = min(2, os.cpu_count() or 1)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    grace: float = GRACE
