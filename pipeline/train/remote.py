"""`millrace worker`: a process that helps the chief of a user's cluster, which TF_CONFIG describes, to train."""

import sys
import time
from pathlib import Path

from pipeline.train import cluster as clusters
from pipeline.train import job as jobs
from pipeline.train.crew import Crew

_LOOK_EVERY = 1.0


def take_part(folder: Path) -> None:
    """Waits for the chief to begin, does what this member of the cluster is to do, and ends when the training does.

    Args:
      folder: where the chief puts the job.

    Raises:
      UsageError: TF_CONFIG is not there, or is for the chief, or is wrong.
      MillraceError: what the process had to say, or that it was lost.
    """
    cluster, member = clusters.helping()
    strategy = "parameter_server" if cluster.addresses.get("ps") else "multi_worker"
    file = folder / jobs.FILE
    clusters.check_ports(cluster, [member])
    _say(f"{member} waits for {cluster.chief} to begin: {file}")
    while not (begun := _state(file)):
        time.sleep(_LOOK_EVERY)
    with Crew(strategy, cluster, [member], file) as crew:
        serves = strategy == "parameter_server"
        crew.run(lambda message: None, over=lambda: serves and _state(file) != begun)
    _say(f"{member}: the training is over")


def _state(file: Path) -> tuple[int, float] | None:
    """Tells a job from the next one; None where there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
