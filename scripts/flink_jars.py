"""Fetches the jars that tests of a real Flink start one from.

    .venv/bin/python scripts/flink_jars.py [OUT]      # default .runtime/flink-jars; prints the folder

It is OUT that `millrace cluster up --jar OUT` takes: flink-dist with its loggers, and Beam's job server. The finished
job server of the installed Beam is taken where it can be had, else one is put together (job_server.py). What is there
is not fetched again.
"""

import fcntl
import os
import shutil
import sys
from pathlib import Path

import job_server

from pipeline.errors import MillraceError
from pipeline.flink import fetch, jars

DEFAULT = Path(__file__).resolve().parents[1] / ".runtime" / "flink-jars"


def provide(folder: Path = DEFAULT) -> Path:
    """Fills the folder, unless it is full.

    Raises:
      MillraceError: Flink can't be had.
      job_server.JobServerError: nor can the parts of the job server.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not any(folder.glob("flink-dist-*.jar")):
            # flink-dist last: it says that the rest is there.
            for jar in reversed(fetch.flink().jars):
                _copy(jar, folder)
        if not any(folder.glob("beam-runners-flink-*-job-server-*.jar")):
            try:
                _copy(fetch.job_server().jar, folder)
            except MillraceError as error:
                print(error, file=sys.stderr)
                job_server.make(folder)
    jars.given([str(folder)])
    return folder


def _copy(jar: Path, folder: Path) -> None:
    part = folder / f".{jar.name}"
    part.unlink(missing_ok=True)
    try:
        os.link(jar, part)
    except OSError:  # another file system
        shutil.copyfile(jar, part)
    part.rename(folder / jar.name)


if __name__ == "__main__":
    try:
        print(provide(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT))
    except (MillraceError, job_server.JobServerError) as error:
        sys.exit(str(error))
