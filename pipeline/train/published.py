"""The job of a training, told to machines that share nothing but a bucket.

    <root>/<task>/together/job.json               what the chief calls the others to
    <root>/<task>/together/ready/<job>/worker-1   worker 1 has all that it needs

The chief sends what the others need and are not there yet, writes the job, and waits until each of them is ready. Then
it says so, and all begin. So nobody begins with a job whose chief is gone, and a member that was started anew comes
in with the next job, which the chief calls to when it goes on from its last checkpoint.
"""

import contextlib
import json
import logging
import os
import posixpath
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import mirrored
from pipeline.errors import MillraceError, UsageError
from pipeline.remote import stores, transfer
from pipeline.remote.retries import Retries
from pipeline.train import job as jobs
from pipeline.train.cluster import Member
from pipeline.train.job import Job

WAIT = "MILLRACE_WAIT"
"""Seconds that a process waits for the others; in the environment, since the Trainer's process has no flags."""
GATHERING, RUNNING, TRAINED, FAILED, OVER = "gathering", "running", "trained", "failed", "over"

_LOG = logging.getLogger(__name__)
_WAIT = 3600.0
_LOOK_EVERY = 2.0
_SAY_EVERY = 60.0
_TOGETHER, _READY, _TRAINING = "together", "ready", "training"


@dataclass(frozen=True)
class Call:
    """What `job.json` holds.

    Attributes:
      id: of the job.
      state: of the training.
      job: of `pipeline.train.job.values_of`, with places by the root's names.
      checkpoints: names of those that the chief has.
      folders: root -> the folder that stands for it on the chief's machine.
    """

    id: str
    state: str
    job: Mapping[str, Any]
    checkpoints: Sequence[str]
    folders: Mapping[str, str]

    @property
    def text(self) -> bytes:
        """As it is written."""
        return json.dumps(vars(self), indent=1, default=dict).encode()


def home_of(checkpoints: Path | None) -> str | None:
    """The task's part of the root in a bucket that this folder of checkpoints is of; None where it is of no such root."""
    if checkpoints is None:
        return None
    home = mirrored.named(str(checkpoints.parent))
    return None if home == str(checkpoints.parent) else home


def read(home: str) -> Call | None:
    """What the chief calls to at present; None where there is nothing.

    Args:
      home: the task's part of the root: `<root>/<task>`.

    Raises:
      MillraceError: the root can't be read, or what is there is of another version.
    """
    place = _place(home, jobs.FILE)
    text = transfer.read(place)
    if text is None:
        return None
    try:
        return Call(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise MillraceError(
            f"{place} is not a job that this version of Millrace can read: {error}. "
            "Next: give all machines of the cluster the same image"
        ) from error


@contextlib.contextmanager
def call(job: Job, home: str, others: Sequence[Member]) -> Iterator[None]:
    """Calls the others, waits until they are ready, and tells them how the training went; the chief's.

    Args:
      job: with the paths of this machine.
      home: the task's part of the root.
      others: whom to wait for.

    Raises:
      MillraceError: the root can't be written, or somebody did not come in time.
    """
    transfer.remove(_place(home, _READY))
    call = _sent(job, home)
    _write(call, home)
    try:
        _gather(home, job.id, others)
        _write(replace(call, state=RUNNING), home)
        yield
    except BaseException:
        with contextlib.suppress(MillraceError):
            _write(replace(call, state=FAILED), home)
        raise
    _write(replace(call, state=TRAINED), home)


def close(home: str) -> None:
    """Tells members that stay for the next training that there is none; without a job there is nobody to tell.

    Raises:
      MillraceError: the root can't be reached.
    """
    last = read(home)
    if last:
        _write(replace(last, state=OVER), home)


def be_ready(call: Call, home: str, member: Member, scratch: Path) -> Job:
    """Brings what a member needs, and says that it has it.

    Args:
      call: to which it comes.
      home: the task's part of the root.
      member: this process.
      scratch: folder of this machine for what is brought.

    Returns:
      The job with the paths of this machine.

    Raises:
      MillraceError: the root can't be read, or there is no room for it.
    """
    job = jobs.job_of(call.job, _place(home, jobs.FILE))
    served = job.task.training.strategy == "parameter_server"
    # The chief's graph names the files as the chief has them: servers' workers have them there too.
    folders = dict(call.folders) if served else {root: str(scratch) for root in call.folders}
    for root, folder in folders.items():
        mirrored.stand_in(root, folder)
    if member.kind != "ps":
        for name in sorted({posixpath.dirname(file) for file in (*job.train_files, *job.eval_files)} | {job.transform}):
            transfer.download(name, mirrored.local(name))
    checkpoints = transfer.join(home, _TRAINING)
    if not served:
        shutil.rmtree(mirrored.local(checkpoints), ignore_errors=True)
        for name in call.checkpoints:
            transfer.download(transfer.join(checkpoints, name), mirrored.local(checkpoints) / name)
        if job.start:
            transfer.download(job.start, mirrored.local(job.start))
    transfer.write(_place(home, _READY, call.id, _name(member)), b"")

    def here(name: str) -> str:
        return str(mirrored.local(name))

    return replace(
        job,
        train_files=[here(name) for name in job.train_files],
        eval_files=[here(name) for name in job.eval_files],
        transform=here(job.transform),
        checkpoints=here(checkpoints),
        start=here(job.start) if job.start else None,
        stand_ins=folders,
    )


def patience(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds that a process waits for the others.

    Raises:
      UsageError: the variable is no number above 0.
    """
    text = environment.get(WAIT, "").strip() or str(_WAIT)
    with contextlib.suppress(ValueError):
        if float(text) > 0:
            return float(text)
    raise UsageError(f"{WAIT}: expected seconds, above 0. Received: {WAIT}={text}")


def wait_for(what: str, found: Callable[[], bool], waiting: Callable[[], str]) -> None:
    """Waits until something is found, and says now and then what it waits for.

    Args:
      what: for the error.
      found: asked every two seconds.
      waiting: says for whom or what.

    Raises:
      MillraceError: it was not found in time.
    """
    began = said = time.monotonic()
    limit = patience()
    while not found():
        now = time.monotonic()
        if now - began > limit:
            raise MillraceError(
                f"{what}: waited {limit:,.0f} s in vain for {waiting()}. Next: see in the cluster whether it runs and "
                f"what its log says, or set {WAIT} to more seconds"
            )
        if now - said > _SAY_EVERY:
            said = now
            _LOG.info("%s: waits for %s", what, waiting())
        time.sleep(_LOOK_EVERY)


def _gather(home: str, job: str, others: Sequence[Member]) -> None:
    missing: list[Member] = list(others)

    def all_here() -> bool:
        here = transfer.names(_place(home, _READY, job)) if missing else []
        missing[:] = [member for member in missing if _name(member) not in here]
        return not missing

    wait_for("the chief", all_here, lambda: ", ".join(map(str, missing)))


def _sent(job: Job, home: str) -> Call:
    """Sends what the others need, and makes the call, by the root's names."""
    for path in sorted({Path(file).parent for file in (*job.train_files, *job.eval_files)} | {Path(job.transform)}):
        _send(path, mirrored.named(str(path)))
    # Of one that a chief was sending when it was killed, what says that the rest is complete did not arrive.
    kept = sorted(path.parent for path in Path(str(job.checkpoints)).glob("step-*/state.json"))
    for path in kept:
        transfer.upload(path, transfer.join(home, _TRAINING, path.name))
    start = _place(home, Path(job.start).name) if job.start else None
    if job.start and start:
        transfer.upload(Path(job.start), start)
    named = replace(
        job,
        train_files=[mirrored.named(file) for file in job.train_files],
        eval_files=[mirrored.named(file) for file in job.eval_files],
        transform=mirrored.named(job.transform),
        checkpoints=None,
        start=start,
        stand_ins={},
    )
    return Call(job.id, GATHERING, jobs.values_of(named), [path.name for path in kept], dict(job.stand_ins))


def _send(folder: Path, url: str) -> None:
    """Sends an artifact's files that are not there in their size: they are never written twice."""
    present = Retries().call(lambda _: stores.of(url).tree())
    for name, path in stores.local_tree(folder).items():
        if name not in present or present[name].size != path.stat().st_size:
            transfer.upload(path, transfer.join(url, name))


def _write(call: Call, home: str) -> None:
    transfer.write(_place(home, jobs.FILE), call.text)


def _place(home: str, *parts: str) -> str:
    return transfer.join(home, _TOGETHER, *parts)


def _name(member: Member) -> str:
    return f"{member.kind}-{member.index}"
