"""Jobs on a Flink that nobody waits for any more: of a node that is stopped, of a run that was killed.

They would take slots and write what nobody reads. A stopped node asks Beam's job server first, but that only forgets the
job: Flink goes on with it until it is told by its own address.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pipeline.beam import NODES, arguments, place
from pipeline.config import RunConfig
from pipeline.errors import MillraceError
from pipeline.flink import jobs, state, status

_LOG = logging.getLogger(__name__)
_SOON_SECONDS = 2.0
"""A node that is stopped has five seconds."""


def cancel(config: RunConfig) -> list[str]:
    """Cancels them; called while the task's root is locked, so that no live run has any.

    A job is told by its name, which has the task, the node and the root. Where Flink does not answer nothing is done:
    whether it is there was checked before, and a run must not fail for a courtesy.

    Args:
      config: of the run that begins.

    Returns:
      The names of the jobs.
    """
    if config.beam_runner != "flink":
        return []
    found: list[str] = []
    for node in NODES:
        try:
            if rest := _rest(dict(arguments.on_cluster(config, node))):
                found += [job.name for job in jobs.cancel(rest, arguments.job_name(config, node))]
        except MillraceError as error:
            _LOG.info("jobs of a dead run, if there are any, go on: %s", error)
            return found
    if found:
        _LOG.warning("cancelled what a dead run left on Flink: %s", ", ".join(found))
    return found


def cancel_own(options: Mapping[str, Any]) -> None:
    """Cancels a node's own job, as far as its options tell where Flink is.

    Args:
      options: Beam's, of the job.
    """
    rest, name = _rest(options), options.get("job_name")
    if rest and name:
        with suppress(MillraceError):
            jobs.cancel(rest, name, _SOON_SECONDS)


def lost_here(options: Mapping[str, Any]) -> str:
    """What has died of the cluster of this machine, where a job was for it: for a message; else empty."""
    here = state.read()
    if not here or options.get("job_endpoint") != here.job_endpoint:
        return ""
    gone = ", ".join(status.dead(here))
    return f" Of the cluster of this machine {gone} has died. Next: millrace cluster down, then up" if gone else ""


def _rest(options: Mapping[str, Any]) -> str | None:
    """The REST address of the Flink that these options lead to; None where they do not tell."""
    here = state.read()
    if here and options.get("job_endpoint") == here.job_endpoint:
        return here.rest
    return place.rest(str(options.get("flink_master") or ""))
