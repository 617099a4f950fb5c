"""Jobs of a Flink, by its REST API."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from pipeline.errors import MillraceError

_SECONDS = 10
_LIVE = {"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING", "SUSPENDED", "RECONCILING"}


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
      id: Flink's.
      name: that it was submitted with.
      state: Flink's word, such as RUNNING.
    """

    id: str
    name: str
    state: str

    @property
    def live(self) -> bool:
        """Whether it has not ended and is not being cancelled."""
        return self.state in _LIVE


def ask(rest: str, path: str, method: str = "GET", seconds: float = _SECONDS) -> Any:
    """What Flink answers.

    Args:
      rest: its address, `http://host:port`.
      path: such as "/overview".
      method: of HTTP.
      seconds: to wait for it.

    Raises:
      MillraceError: it does not answer, or with an error.
    """
    request = urllib.request.Request(f"{rest.rstrip('/')}{path}", method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        told = error.read()[:300].decode("utf-8", "replace")
        raise MillraceError(f"Flink at {rest}: {method} {path}: {error.code} {told}") from error
    except (OSError, ValueError) as error:
        raise MillraceError(f"Flink at {rest} does not answer: {error}. Next: millrace cluster status") from error


def overview(rest: str, seconds: float = _SECONDS) -> list[Job]:
    """All jobs that it knows, ended ones too."""
    return [Job(job["jid"], job["name"], job["state"]) for job in ask(rest, "/jobs/overview", seconds=seconds)["jobs"]]


def cancel(rest: str, prefix: str, seconds: float = _SECONDS) -> list[Job]:
    """Cancels what a dead run has left: jobs that have not ended.

    Args:
      rest: Flink's address.
      prefix: of their names.
      seconds: to wait for each answer.

    Returns:
      Those that were told to stop; they do so in some moments.
    """
    found = [job for job in overview(rest, seconds) if job.live and job.name.startswith(prefix)]
    for job in found:
        ask(rest, f"/jobs/{job.id}?mode=cancel", "PATCH", seconds)
    return found
