"""Which run a job of a cluster made, and what became of it: read from the root, by who waits for the job.

<root>/<task>/runs/by_job/<job>.json    {"run_id": …}
<root>/<task>/runs/<run_id>/run.json
"""

import json
from typing import Any

from pipeline.remote import transfer

_BY_JOB = "runs/by_job"


def place(job: str) -> str:
    """Where a task's part of the root says which run a job made; a job's name may be a whole path."""
    return f"{_BY_JOB}/{job.rstrip('/').rpartition('/')[2]}.json"


def of_job(root: str, job: str) -> dict[str, Any] | None:
    """The record, as in run.json, of the run that a job made.

    Args:
      root: of the spec.
      job: UUID of a KFP run, or name of a Vertex AI job.

    Returns:
      None where there is none, or not yet.

    Raises:
      MillraceError: the root can't be read.
    """
    for task in transfer.names(root):
        home = transfer.join(root, task)
        found = transfer.read(transfer.join(home, place(job)))
        if found is not None:
            record = transfer.read(transfer.join(home, "runs", json.loads(found)["run_id"], "run.json"))
            return None if record is None else dict(json.loads(record))
    return None
