"""What `millrace cluster up` started, in a file that later commands read."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

_NAME = "cluster.json"


@dataclass(frozen=True)
class Cluster:
    """A Flink of this machine, with a job server of Beam's and a pool of workers; all of them on loopback.

    Attributes:
      rest: Flink's address and page, `http://127.0.0.1:PORT`.
      job_endpoint: `host:port` of Beam's job server.
      worker_pool: `host:port` of what starts Beam's workers.
      slots: of the one TaskManager: how many workers compute at a time.
      flink: its version, such as "1.19.3".
      beam: the version of the job server.
      folder: logs and files of its own.
      pids: process's name -> its id.
      code: fingerprint of the project's code that its workers have, see pipeline/image.py.
    """

    rest: str
    job_endpoint: str
    worker_pool: str
    slots: int
    flink: str
    beam: str
    folder: str
    pids: dict[str, int]
    code: str = ""


def home() -> Path:
    """The folder of what is running: `$XDG_STATE_HOME/millrace/cluster`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "millrace" / "cluster"


def read(folder: Path | None = None) -> Cluster | None:
    """What was started last and not stopped; None where there is nothing. Whether it still runs is not asked.

    Args:
      folder: in place of `home()`.
    """
    try:
        return Cluster(**json.loads(((folder or home()) / _NAME).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(cluster: Cluster, folder: Path | None = None) -> None:
    """Keeps it, whole or not at all."""
    path = (folder or home()) / _NAME
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(dataclasses.asdict(cluster), indent=1) + "\n", encoding="utf-8")
    part.rename(path)


def forget(folder: Path | None = None) -> None:
    """Removes what `write` kept."""
    ((folder or home()) / _NAME).unlink(missing_ok=True)
