"""What of a cluster runs: `millrace cluster status`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import MillraceError
from pipeline.flink import jobs, running, state
from pipeline.flink.state import Cluster

PROCESSES = ("jobmanager", "taskmanager", "jobserver", "pool")


@dataclass(frozen=True)
class Status:
    """A look at it.

    Attributes:
      running: whether it takes jobs: all of it lives, and Flink answers.
      cluster: what was started; None where nothing was, or it was stopped.
      dead: names of its processes that have ended.
      slots_free: of the TaskManager; None where Flink does not answer.
      jobs: names and states of those that have not ended.
    """

    running: bool
    cluster: Cluster | None = None
    dead: list[str] = field(default_factory=list)
    slots_free: int | None = None
    jobs: list[dict[str, str]] = field(default_factory=list)

    def rows(self) -> Iterator[tuple[str, str]]:
        """What is told of it, line by line."""
        if self.cluster is None:
            yield "cluster", "does not run. Next: millrace cluster up"
            return
        known = self.cluster
        yield "cluster", "runs" if self.running else "does not run. Next: millrace cluster down, then up"
        if self.dead:
            yield "dead", ", ".join(f"{name} ({known.folder}/logs/{name}.log)" for name in self.dead)
        yield "versions", f"Flink {known.flink}, job server of Beam {known.beam}"
        yield "page", known.rest
        yield "job server", known.job_endpoint
        yield "workers", known.worker_pool
        yield "slots", f"{known.slots}, free {'?' if self.slots_free is None else self.slots_free}"
        yield "jobs", ", ".join(f"{job['name']} {job['state']}" for job in self.jobs) or "none"
        yield "logs", f"{known.folder}/logs"


def look(folder: Path | None = None) -> Status:
    """Looks at processes, and asks Flink.

    Args:
      folder: in place of `state.home()`.
    """
    cluster = state.read(folder)
    if cluster is None:
        return Status(running=False)
    ended = dead(cluster)
    if "jobmanager" in ended:
        return Status(False, cluster, ended)
    try:
        free = int(jobs.ask(cluster.rest, "/overview")["slots-available"])
        live = [{"name": job.name, "state": job.state} for job in jobs.overview(cluster.rest) if job.live]
    except MillraceError:
        return Status(False, cluster, ended)
    return Status(not ended, cluster, ended, free, live)


def dead(cluster: Cluster) -> list[str]:
    """Names of its processes that do not live."""
    living = running.found(Path(cluster.folder))
    return [name for name in PROCESSES if name not in living]
