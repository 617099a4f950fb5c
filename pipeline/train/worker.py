"""A process of a cluster: `python -m pipeline.train.worker JOB.json --parent PID --channel FD`, as `crew` starts it.

TF_CONFIG says which one it is. The chief and, under multi_worker, the workers run the training loop; the workers and
servers of parameter_server wait for what the chief sends them. TFX is not imported: this starts in the time that
TensorFlow takes.
"""

import argparse
import ctypes
import json
import logging
import os
import re
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from pipeline import mirrored, strategies
from pipeline.errors import MillraceError
from pipeline.train import cluster as clusters
from pipeline.train import job as jobs
from pipeline.train.cluster import Cluster, Member
from pipeline.train.job import Job

_PR_SET_PDEATHSIG = 1
_NODE = re.compile(r"\{\{.*?\}\}")


class Channel:
    """Messages to and from the process that started this one."""

    def __init__(self, descriptor: int) -> None:
        """Takes over the socket."""
        self._stream = socket.socket(fileno=descriptor).makefile("rw", encoding="utf-8", newline="\n")

    def tell(self, message: dict[str, Any]) -> None:
        """Sends."""
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Sends, and waits for the reply."""
        self.tell(message)
        reply: dict[str, Any] = json.loads(self._stream.readline())
        return reply


def die_with(parent: int) -> None:
    """Has the kernel end this process when the one that started it has ended, however it did."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main() -> None:
    """Does the process's part of the job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", type=Path)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--channel", type=int, required=True)
    arguments = parser.parse_args()
    die_with(arguments.parent)
    # A Ctrl-C reaches the whole group: the process that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    channel = Channel(arguments.channel)
    try:
        _work(jobs.read(arguments.job), channel)
    except MillraceError as error:
        channel.tell({"said": str(error), "exit_code": int(error.exit_code)})
        code = 1
    except BaseException as error:
        traceback.print_exc()
        channel.tell({"raised": _line(error)})
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    # TensorFlow's services would wait for processes that are gone.
    os._exit(code)


def _work(job: Job, channel: Channel) -> None:
    for root, folder in job.stand_ins.items():
        mirrored.stand_in(root, folder)
    training = job.task.training
    of_processes = training.strategy in strategies.OF_PROCESSES
    given = clusters.given(training.strategy) if of_processes else None
    if training.strategy == "parameter_server" and given and given[1] != given[0].chief:
        _serve(*given)
    _train(job, given, channel)


def _train(job: Job, given: tuple[Cluster, Member] | None, channel: Channel) -> None:
    """Runs the training loop; the chief reports, and has the result."""
    import keras
    import tensorflow_transform as tft

    from pipeline.train import together
    from pipeline.train.fit import Data, Validation, fit_here
    from pipeline.train.team import team_of

    team = team_of(job.task.training, given)
    team.check_same("job", int(job.id, 16))

    def start(model: keras.Model) -> None:
        together.load(model, Path(str(job.start)))

    def watch(validation: Validation) -> bool:
        return bool(channel.ask({"step": validation.step, "values": validation.values})["stop"])

    fitted = fit_here(
        job.task,
        Data(job.train_files, job.eval_files, tft.TFTransformOutput(job.transform)),
        team,
        log_dir=job.log_dir,
        checkpoints=Path(job.checkpoints) if job.checkpoints else None,
        start=start if job.start else None,
        watch=watch,
    )
    if team.chief:
        together.save(fitted.model, Path(job.result))
        history = [[validation.step, validation.values] for validation in fitted.history]
        channel.tell({"done": {"scale": list(fitted.scale), "best_step": fitted.best_step, "history": history}})


def _serve(cluster: Cluster, member: Member) -> None:
    """Does what the chief sends, until it is ended."""
    import tensorflow as tf

    address = tf.train.ClusterSpec({kind: list(addresses) for kind, addresses in cluster.addresses.items()})
    server = tf.distribute.Server(address, job_name=member.kind, task_index=member.index, protocol="grpc", start=True)
    server.join()


def _line(error: BaseException) -> str:
    """An exception as one line; TensorFlow's messages begin with names of graph nodes, and with headings."""
    lines = [_NODE.sub("", line).strip() for line in str(error).splitlines()]
    text = next((line for line in lines if line and not line.endswith(":")), "")
    return f"{type(error).__name__}: {text[:300]}"


if __name__ == "__main__":
    main()
