"""The jars of a cluster: Flink's, and Beam's job server. Told apart by what is in them."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError

_JOB_SERVER_CLASS = "org/apache/beam/runners/flink/FlinkJobServerDriver.class"
_FLINK_CLASS = "org/apache/flink/runtime/taskexecutor/TaskManagerRunner.class"
_BEAM_PROPERTIES = "org/apache/beam/sdk/sdk.properties"
_JOB_SERVER_NAME = re.compile(r"beam-runners-flink-(\d+\.\d+)-job-server-(.+)\.jar")
_FLINK_NAME = re.compile(r"flink-dist-(.+)\.jar")


@dataclass(frozen=True)
class Flink:
    """Flink itself.

    Attributes:
      version: such as "1.19.3".
      jars: flink-dist, and the loggers that lie beside it.
    """

    version: str
    jars: tuple[Path, ...]


@dataclass(frozen=True)
class JobServer:
    """Beam's long-living job server.

    Attributes:
      beam: its version of Beam.
      flink: the Flink that it is for, as "1.19".
      jar: with all that it needs.
    """

    beam: str
    flink: str
    jar: Path


@dataclass(frozen=True)
class Jars:
    """What was found; None is not there."""

    flink: Flink | None = None
    job_server: JobServer | None = None


def given(paths: Sequence[str]) -> Jars:
    """What these `--jar` are.

    Args:
      paths: jars, or folders of jars.

    Raises:
      UsageError: one is none of the two, or there are two of a kind.
    """
    flink: Flink | None = None
    job_server: JobServer | None = None
    for path in _jars(paths):
        kind = _kind(path)
        if kind == "flink":
            if flink:
                raise UsageError(f"--jar: Flink is given twice: {flink.jars[0]}, {path}. Expected: one")
            flink = flink_of(path)
        elif kind == "job server":
            if job_server:
                raise UsageError(f"--jar: Beam's job server is given twice: {job_server.jar}, {path}. Expected: one")
            job_server = job_server_of(path)
        elif str(path) in paths and not path.name.startswith("log4j-"):
            raise UsageError(
                f"--jar {path}: neither Flink nor Beam's job server is in it. Expected: flink-dist-<version>.jar or "
                "beam-runners-flink-<minor>-job-server-<version>.jar"
            )
    return Jars(flink, job_server)


def flink_of(path: Path) -> Flink:
    """Flink, by its flink-dist."""
    return Flink(_flink_version(path), (path, *sorted(path.parent.glob("log4j-*.jar"))))


def job_server_of(path: Path) -> JobServer:
    """The job server that this jar is."""
    return JobServer(_beam_version(path), _flink_of(path), path)


def _jars(paths: Sequence[str]) -> Iterator[Path]:
    for text in paths:
        path = Path(text).absolute()
        if path.is_dir():
            there = sorted(path.glob("*.jar"))
            if not there:
                raise UsageError(f"--jar {text}: no *.jar in this folder")
            yield from there
        elif path.is_file():
            yield path
        else:
            raise UsageError(f"--jar {text}: no such file")


def _kind(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as jar:
            names = jar.NameToInfo
            return "job server" if _JOB_SERVER_CLASS in names else "flink" if _FLINK_CLASS in names else None
    except zipfile.BadZipFile as error:
        raise UsageError(f"--jar {path}: {error}. Expected: a whole jar. Next: fetch it again") from error


def _text(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as jar:
        try:
            return jar.read(name).decode("utf-8", "replace")
        except KeyError:
            return ""


def _flink_version(path: Path) -> str:
    found = re.search(r"^Implementation-Version: *(\S+)", _text(path, "META-INF/MANIFEST.MF"), re.MULTILINE)
    found = found or _FLINK_NAME.fullmatch(path.name)
    if found is None:
        raise UsageError(f"--jar {path}: of which version it is, neither its name nor its manifest says")
    return found[1]


def _beam_version(path: Path) -> str:
    named = _JOB_SERVER_NAME.fullmatch(path.name)
    found = re.search(r"^version=(\S+)", _text(path, _BEAM_PROPERTIES), re.MULTILINE)
    return found[1] if found else named[2] if named else "unknown"


def _flink_of(path: Path) -> str:
    named = _JOB_SERVER_NAME.fullmatch(path.name)
    if named is None:
        raise UsageError(
            f"--jar {path}: for which Flink it is, its name must say. "
            "Expected: beam-runners-flink-<minor>-job-server-<version>.jar"
        )
    return named[1]


def check(flink: Flink, job_server: JobServer) -> None:
    """Refuses a job server that is for another Flink.

    Raises:
      UsageError: the minor versions differ.
    """
    minor = ".".join(flink.version.split(".")[:2])
    if minor != job_server.flink:
        raise UsageError(
            f"Flink and Beam's job server do not fit. Expected: both for one minor version. Received: Flink "
            f"{flink.version} ({flink.jars[0].name}), job server for {job_server.flink} ({job_server.jar.name}). "
            f"Next: --jar with beam-runners-flink-{minor}-job-server-<version>.jar"
        )
