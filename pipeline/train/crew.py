"""The processes of a cluster that run on this machine: started, watched and ended together.

Each is a fresh Python, `python -m pipeline.train.worker JOB.json`, with a pair of sockets to this process: a line of JSON
is a message. What it prints goes to this process's log, with its name before each line. None of them stays: they are
ended when the crew is, whatever ends it, and the kernel ends them where this process is killed.
"""

import contextlib
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pipeline
from pipeline.errors import ERRORS, ExitCode, MillraceError
from pipeline.train import worker
from pipeline.train.cluster import Cluster, Member

_LAST_LINES = 200
_SHOWN_LINES = 5
_NOISE = re.compile(r"[IW]\d{4} |WARNING: All log messages")
"""What TensorFlow's native code says of itself."""
_GRACE = 3.0
"""Seconds for others to say what they know, when one has failed: who was lost is told from who missed it."""
Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


class Process:
    """One of the crew."""

    def __init__(self, member: Member, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts it."""
        self.member = member
        self.lines: deque[str] = deque(maxlen=_LAST_LINES)
        self.said: MillraceError | None = None
        self.raised: str | None = None
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.child = subprocess.Popen(  # noqa: S603
                [*command, "--channel", str(theirs.fileno())],
                env=dict(environment),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not well."""
        return bool(self.child.poll())

    @property
    def lost(self) -> str:
        """How it was lost without a word of its own; nothing where it was not."""
        code = self.child.poll()
        if code is None:
            return "was paused by a signal, and the others waited for it in vain" if self._paused() else ""
        if code < 0:
            hint = "; the machine may have run out of memory" if code == -signal.SIGKILL else ""
            return f"was ended by {signal.Signals(-code).name}{hint}"
        return "" if self.raised or not code else f"ended with code {code}"

    def _paused(self) -> bool:
        try:
            return Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
        except OSError:
            return False

    def end(self) -> None:
        """Ends it at once."""
        self.child.kill()
        self.child.wait()
        self.channel.close()
        if self.child.stdout:
            self.child.stdout.close()


class Crew:
    """The processes, as a context."""

    def __init__(self, strategy: str, cluster: Cluster, members: Sequence[Member], job: Path) -> None:
        """Says what is to be started.

        Args:
          strategy: its name, for messages.
          cluster: all that train together.
          members: those to be started here.
          job: the file that tells them what to do.
        """
        self._strategy = strategy
        self._cluster = cluster
        self._members = members
        self._job = job
        self._processes: list[Process] = []
        self._selector = selectors.DefaultSelector()
        self._partial: dict[int, bytes] = {}
        self._missed: set[Member] = set()

    def __enter__(self) -> "Crew":
        command = [sys.executable, "-m", worker.__name__, str(self._job), "--parent", str(os.getpid())]
        try:
            for number, member in enumerate(self._members):
                surroundings = environment(self._cluster, member, number, len(self._members), gpus=_gpus())
                process = Process(member, command, surroundings)
                self._processes.append(process)
                assert process.child.stdout is not None  # noqa: S101
                for stream, handler in ((process.child.stdout, self._print), (process.channel, self._receive)):
                    os.set_blocking(stream.fileno(), False)
                    self._selector.register(stream, selectors.EVENT_READ, (process, handler))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._processes:
            process.end()
        self._selector.close()

    @property
    def pids(self) -> dict[Member, int]:
        """Their process ids."""
        return {process.member: process.child.pid for process in self._processes}

    def run(self, answer: Answer, over: Callable[[], bool] = lambda: False) -> None:
        """Waits until the work is done.

        Args:
          answer: is given each message, and returns the reply, or None where there is none.
          over: asked a few times a second; True ends it. It is over anyway when the first of them has ended well.

        Raises:
          MillraceError: one of them failed or was lost; says which, how, and its last lines.
        """
        self._answer = answer
        leader = self._processes[0]
        while not over():
            self._pump(0.2)
            failed = [process for process in self._processes if process.failed]
            if failed and not self._go_on_without(failed):
                self._await_others()
                raise self._error()
            if leader.child.poll() is not None:
                self._pump(0)
                return

    def _go_on_without(self, failed: Sequence[Process]) -> bool:
        """Whether the rest does the work: under parameter_server the coordinator gives it to workers that are left."""
        workers = [process for process in self._processes if process.member.kind == "worker"]
        spare = self._strategy == "parameter_server" and any(not worker.failed for worker in workers)
        if not spare or any(process.member.kind != "worker" for process in failed):
            return False
        for process in failed:
            if process.member not in self._missed:
                self._missed.add(process.member)
                how = process.lost or f"failed: {process.raised or process.said}"
                self._print(self._processes[0], f"{process.member} {how}; the other workers go on".encode())
        return True

    def _await_others(self) -> None:
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline and any(process.child.poll() is None for process in self._processes):
            self._pump(0.1)
        self._pump(0)

    def _pump(self, timeout: float) -> None:
        """Reads all that there is to read."""
        while ready := self._selector.select(timeout):
            for key, _ in ready:
                process, handler = key.data
                try:
                    data = os.read(key.fd, 1 << 16)
                except BlockingIOError:
                    continue
                except ConnectionResetError:
                    data = b""
                whole = self._partial.pop(key.fd, b"") + data
                *lines, rest = whole.split(b"\n")
                if data:
                    self._partial[key.fd] = rest
                else:
                    lines += [rest] if rest else []
                    self._selector.unregister(key.fileobj)
                for line in lines:
                    handler(process, line)
            timeout = 0

    def _print(self, process: Process, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        process.lines.append(text)
        leads = process.member == self._cluster.chief
        sys.stderr.write(f"{text}\n" if leads else f"[{process.member}] {text}\n")
        sys.stderr.flush()

    def _receive(self, process: Process, line: bytes) -> None:
        message = json.loads(line)
        if "said" in message:
            process.said = ERRORS.get(ExitCode(message["exit_code"]), MillraceError)(message["said"])
        elif "raised" in message:
            process.raised = message["raised"]
        elif (reply := self._answer(message)) is not None:
            with contextlib.suppress(OSError):  # It may be gone, which its end tells.
                process.channel.sendall(json.dumps(reply).encode() + b"\n")

    def _error(self) -> MillraceError:
        """What to tell: what one has to say to the user; or else who was lost; or else who failed."""
        for process in self._processes:
            if process.said:
                return process.said
        culprit = next((p for p in self._processes if p.lost), None) or next(p for p in self._processes if p.raised)
        how = culprit.lost or f"failed: {culprit.raised}"
        witness = next((p for p in self._processes if p.raised and p is not culprit), None)
        if witness:
            how += f" ({witness.member} noticed: {witness.raised})"
        last = [f"  | {line}" for line in culprit.lines if line.strip() and not _NOISE.match(line)][-_SHOWN_LINES:]
        return MillraceError(
            "\n".join(
                [
                    f"strategy {self._strategy}: {culprit.member} (process {culprit.child.pid}) {how}. "
                    "The other processes here were stopped." + (" Its last lines:" if last else ""),
                    *last,
                    "Next: run again with --resume: the training goes on from its last checkpoint"
                    if culprit.lost
                    else "Its traceback is in the log of the Trainer",
                ]
            )
        )


def environment(
    cluster: Cluster,
    member: Member,
    number: int,
    count: int,
    base: Mapping[str, str] = os.environ,
    gpus: Sequence[str] = (),
) -> dict[str, str]:
    """The environment of a process: its place in the cluster and its share of this machine.

    Args:
      cluster: all that train together.
      member: what this one does.
      number: of this process, from 0.
      count: of the processes on this machine.
      base: this process's.
      gpus: of this machine, as CUDA_VISIBLE_DEVICES names them; each computing process gets its part, or one with
        others where there are too few.
    """
    threads = str(max(1, len(os.sched_getaffinity(0)) // count))
    shared = {name: threads for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")}
    made = {**shared, **base, "TF_CONFIG": cluster.config(member), "PYTHONUNBUFFERED": "1"}
    # `-m` would put the working directory before the libraries.
    made["PYTHONSAFEPATH"] = "1"
    paths = [str(Path(pipeline.__file__).parents[1]), *filter(None, [base.get("PYTHONPATH")])]
    made["PYTHONPATH"] = os.pathsep.join(paths)
    if gpus and count > 1:
        mine = gpus[number::count] or [gpus[number % len(gpus)]]
        made["CUDA_VISIBLE_DEVICES"] = "-1" if member.kind == "ps" else ",".join(mine)
    return made


def _gpus() -> list[str]:
    import tensorflow as tf

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(tf.config.list_physical_devices("GPU"))
    return visible.split(",")[:count] if visible else [str(number) for number in range(count)]
