"""The nodes of a run, in plain values that pass between processes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Node:
    """A node of the compiled graph.

    Attributes:
      id: its name.
      upstream: ids of the nodes that it waits for.
      skipped: left out by `--from` or `--to`.
      engine: the cluster's that its Beam jobs go to; None where they stay in its process, or there are none.
    """

    id: str
    upstream: tuple[str, ...]
    skipped: bool
    engine: str | None = None


@dataclass(frozen=True)
class Graph:
    """A compiled pipeline.

    Attributes:
      ir: TFX's intermediate representation, serialised.
      nodes: in topological order.
    """

    ir: bytes
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class NodeState:
    """A node of a run, as a watcher sees it.

    Attributes:
      id: its name.
      state: waiting, running, done, cached, skipped (by --from or --to), blocked (by the data gate), failed, stopped
        (because of another node), not_run (behind one that failed).
      seconds: of work so far.
      peak_mb: peak resident memory of its process, in MiB.
      cpu_seconds: core-seconds that it has cost; 0 before it has ended.
      error: the message where it failed.
      progress: how far it is, where it says so.
      engine: see Node.
    """

    id: str
    state: str = "waiting"
    seconds: float = 0.0
    peak_mb: int = 0
    cpu_seconds: float = 0.0
    error: str | None = None
    progress: str | None = None
    engine: str | None = None

    def record(self) -> dict[str, Any]:
        """As in run.json."""
        return {
            "state": self.state,
            "seconds": round(self.seconds, 3),
            "cached": self.state == "cached",
            "peak_mb": self.peak_mb,
            "cpu_seconds": round(self.cpu_seconds, 3),
        } | ({"engine": self.engine} if self.engine else {})
