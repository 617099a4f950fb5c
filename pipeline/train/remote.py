"""`millrace worker`: a process that helps the chief of a user's cluster, which TF_CONFIG describes, to train."""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.errors import MillraceError
from pipeline.train import cluster as clusters
from pipeline.train import job as jobs
from pipeline.train import published
from pipeline.train.cluster import Cluster, Member
from pipeline.train.crew import Crew
from pipeline.train.published import Call

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
    strategy = _strategy(cluster)
    file = folder / jobs.FILE
    clusters.check_ports(cluster, [member])
    _say(f"{member} waits for {cluster.chief} to begin: {file}")
    while not (begun := _state(file)):
        time.sleep(_LOOK_EVERY)
    with Crew(strategy, cluster, [member], file) as crew:
        serves = strategy == "parameter_server"
        crew.run(lambda message: None, over=lambda: serves and _state(file) != begun)
    _say(f"{member}: the training is over")


def take_part_by(home: str, stay: bool = False) -> None:
    """The same where the machines share nothing but a bucket.

    Args:
      home: the task's part of the root: `<root>/<task>`.
      stay: whether to help again, with what the chief begins after a loss, until the chief says that all is over; else
        the first training is all, and its failure that of this process.

    Raises:
      UsageError: see `take_part`.
      MillraceError: likewise; the root can't be read; the chief did not begin in time.
    """
    cluster, member = clusters.helping()
    clusters.check_ports(cluster, [member])
    _say(f"{member} waits for {cluster.chief} to begin: {home}")
    helped: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="millrace-worker-") as scratch:
        while call := _next(home, member, helped):
            helped[call.id] = published.FAILED
            try:
                _help(call, home, cluster, member, Path(scratch))
                helped[call.id] = published.TRAINED
            except _Lost as error:
                if not stay:
                    raise MillraceError(str(error)) from error
                _say(f"{member}: {error}\n{member} waits for {cluster.chief} to begin again")
            if not stay:
                break
    _say(f"{member}: the training is over")


class _Lost(MillraceError):
    """The training ended badly, here or elsewhere: the chief may begin it again."""


def _next(home: str, member: Member, helped: Mapping[str, str]) -> Call | None:
    """The next job that the chief calls to; None when all is over.

    Args:
      home: the task's part of the root.
      member: this process.
      helped: job that this process was in -> how it ended.
    """
    found: list[Call | None] = []

    def called() -> bool:
        call = published.read(home)
        if call is None:  # What is no longer needed is removed.
            found[:] = [None] if published.TRAINED in helped.values() else []
        elif call.id in helped:
            found[:] = [None] if call.state == published.OVER else []
        else:
            found[:] = [call] if call.state == published.GATHERING else []
        return bool(found)

    published.wait_for(str(member), called, lambda: f"the chief to begin: {home}")
    return found[0]


def _help(call: Call, home: str, cluster: Cluster, member: Member, scratch: Path) -> None:
    """Comes to a call and does this member's part.

    Raises:
      _Lost: the training failed, here or elsewhere.
      MillraceError: this machine can't take part.
    """
    strategy = _strategy(cluster)
    job = published.be_ready(call, home, member, scratch)
    file = scratch / jobs.FILE
    jobs.write(job, file)

    def state() -> str:
        now = published.read(home)
        if now is None:
            return published.TRAINED
        return now.state if now.id == call.id else published.FAILED

    published.wait_for(str(member), lambda: state() != published.GATHERING, lambda: f"the others to be ready: {home}")
    over = _seldom(lambda: state() != published.RUNNING) if strategy == "parameter_server" else _never
    if not over():
        with Crew(strategy, cluster, [member], file) as crew:
            try:
                crew.run(lambda message: None, over=over)
            except MillraceError as error:
                raise _Lost(str(error)) from error
    if state() == published.FAILED:
        raise _Lost("the training failed on the chief")


def _never() -> bool:
    return False


def _seldom(found: Callable[[], bool]) -> Callable[[], bool]:
    """Asks every second, where it would be asked several times in one."""
    asked = 0.0

    def seldom() -> bool:
        nonlocal asked
        if time.monotonic() - asked < _LOOK_EVERY:
            return False
        asked = time.monotonic()
        return found()

    return seldom


def _strategy(cluster: Cluster) -> str:
    return "parameter_server" if cluster.addresses.get("ps") else "multi_worker"


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
