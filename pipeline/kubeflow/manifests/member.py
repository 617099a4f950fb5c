"""What runs in each container of a training on several machines.

    python -m pipeline.kubeflow.manifests.member --task taxi_tips --root s3://bucket/runs --strategy multi_worker \
        --code 6f1c… -- --set training.steps=5000

TF_CONFIG says which process this is; the operator of a TFJob writes it, and so does Vertex AI. With `--cluster`, it is
made here of the names that a JobSet gives its pods. The chief is `millrace run` with the flags after `--`, begun again
where it failed; the others help it until it says that all is over. A gate is not asked twice.
"""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from pipeline import image
from pipeline.errors import ExitCode, MillraceError, UsageError
from pipeline.kubeflow import secrets
from pipeline.kubeflow.manifests.pods import PORT
from pipeline.train import cluster as clusters

_RUN = [sys.executable, "-c", "from pipeline.cli import main; main()", "run"]
_TERMINATED = 128 + signal.SIGTERM
_PLACES = ("MILLRACE_JOB", "MILLRACE_ROLE", "JOB_COMPLETION_INDEX")


def main(arguments: Sequence[str]) -> int:
    """Does this process's part; returns its exit code."""
    parser = argparse.ArgumentParser(prog="member")
    parser.add_argument("--task", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--strategy", required=True)
    parser.add_argument("--code", required=True)
    parser.add_argument("--attempts", type=int, default=1)
    parser.add_argument("--cluster")
    parser.add_argument("flags", nargs="*")
    told = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        image.check(told.code)
        secrets.resolve()
        if told.cluster:
            os.environ["TF_CONFIG"] = config_of_jobset(told.cluster, os.environ)
        found = clusters.given(told.strategy)
        if found is None:
            raise UsageError(
                "there is no TF_CONFIG. Expected: that of the operator of a TFJob, or of Vertex AI with two machines or "
                "more. Next: make the manifest again for this kind of cluster, see kubeflow_runner.py manifest"
            )
        if found[1] == found[0].chief:
            return _lead(told)
        return _follow(f"{told.root}/{told.task}")
    except MillraceError as error:
        _say(f"error {error}")
        return int(error.exit_code)


def config_of_jobset(counts: str, environment: Mapping[str, str]) -> str:
    """TF_CONFIG of a pod of a JobSet, whose pods are `<job set>-<kind>-0-<number>.<job set>` to each other.

    Args:
      counts: how many there are of each kind: "chief=1,worker=2,ps=1".
      environment: with the names of the job set, the kind and the number of this pod.

    Raises:
      UsageError: some of them is not there.
    """
    missing = [name for name in _PLACES if not environment.get(name)]
    if missing:
        raise UsageError(
            f"--cluster: expected {', '.join(_PLACES)} in the environment, as the manifest sets them in a JobSet. "
            f"Received none of {', '.join(missing)}"
        )
    name, kind, index = (environment[place] for place in _PLACES)
    sizes = {part.partition("=")[0]: int(part.partition("=")[2]) for part in counts.split(",")}
    cluster = {
        kind: [f"{name}-{kind}-0-{number}.{name}:{PORT}" for number in range(size)] for kind, size in sizes.items()
    }
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": int(index)}})


def _lead(told: argparse.Namespace) -> int:
    """Runs the pipeline, again where it failed.

    Returns:
      Its exit code; that of a process that was ended by SIGTERM where this one was, so that it is started anew.
    """
    from pipeline.train import published

    known = ["--task", told.task, "--root", told.root, "--strategy", told.strategy]
    code, stopped = int(ExitCode.FAILED), False
    for attempt in range(1, told.attempts + 1):
        code, stopped = _ran([*_RUN, *known, *told.flags])
        if stopped:
            return _TERMINATED
        if code != ExitCode.FAILED:
            break
        _say(f"attempt {attempt} of {told.attempts} failed" + ("; again" if attempt < told.attempts else ""))
    try:
        published.close(f"{told.root}/{told.task}")
    except MillraceError as error:
        _say(f"the others could not be told that all is over: {error}")
    return code


def _ran(command: Sequence[str]) -> tuple[int, bool]:
    """Exit code of a command, 1 where a signal ended it; and whether this process was asked to end meanwhile."""
    stopped = False
    with subprocess.Popen(command) as child:  # noqa: S603

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal stopped
            stopped = True
            child.send_signal(signal.SIGTERM)

        previous: Any = signal.signal(signal.SIGTERM, stop)
        try:
            code = child.wait()
        finally:
            signal.signal(signal.SIGTERM, previous)
    return (code if code >= 0 else int(ExitCode.FAILED)), stopped


def _follow(home: str) -> int:
    from pipeline.train import remote

    # The first process of a container has no default for signals.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(_TERMINATED))
    remote.take_part_by(home, stay=True)
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
