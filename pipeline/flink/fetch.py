"""Fetches what a cluster runs on, by the ordinary clients of the registries: pip or uv, and Beam's own for its jars.

Each is kept in `$XDG_CACHE_HOME/millrace/jars`, and is there whole or not at all.
"""

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import MillraceError
from pipeline.flink import jars
from pipeline.flink.jars import Flink, JobServer

FLINK = "1.19.3"
_MINOR = FLINK.rpartition(".")[0]
_PACKAGE = "apache-flink-libraries"
_PACKAGE_SHA256 = "4a58e3a1fb7d83340bc96b6c080624c6d792d69fae5d294b96224775204a9c60"
_FLINK_JARS = {
    f"flink-dist-{FLINK}.jar": "b8cde6be68b010ef9b8f8b10a52b603d116ecf1582eb2503528363e6d806977f",
    "log4j-1.2-api-2.17.1.jar": "ca3e9150f95c31d15b9680a609b8817f8549bd395591c5ca55957d1ef0f464d6",
    "log4j-api-2.17.1.jar": "b0d8a4c8ab4fb8b1888d0095822703b0e6d4793c419550203da9e69196161de4",
    "log4j-core-2.17.1.jar": "c967f223487980b9364e94a7c7f9a8a01fd3ee7c19bdbf0b0f9f8cb8511f3d41",
    "log4j-slf4j-impl-2.17.1.jar": "e9a03720e5d5076009c2530635da9d08485e28a0b0ec20708dadc51afb78e41e",
}
_SECONDS = 1800
_BLOCK = 1 << 20
_SIDECARS = ("sha512", "sha1")
_UV = Path(__file__).resolve().parents[2] / ".runtime" / "tools" / "uv" / "bin" / "uv"
_OFFLINE = "or, with jars from elsewhere: millrace cluster up --jar PATH"


def cache() -> Path:
    """Where jars are kept: `$XDG_CACHE_HOME/millrace/jars`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millrace" / "jars"


def flink() -> Flink:
    """Flink's jars, out of the source package that PyFlink depends on (230 MB, once).

    Raises:
      MillraceError: it can't be fetched, or is not what it should be.
    """
    folder = cache() / f"flink-{FLINK}"
    if not folder.is_dir():
        with _aside(folder) as part:
            package = _download(part)
            extract(package, part, _FLINK_JARS)
            package.unlink()
    return jars.flink_of(folder / f"flink-dist-{FLINK}.jar")


def job_server() -> JobServer:
    """Beam's job server, of the version of Beam that is installed (about 150 MB, once).

    Raises:
      MillraceError: it can't be fetched, or is not what it should be.
    """
    name = f"beam-runners-flink-{_MINOR}-job-server-{beam_version()}.jar"
    folder = cache() / f"beam-{beam_version()}"
    if not (folder / name).is_file():
        with _aside(folder) as part:
            _from_maven(part, name)
    return jars.job_server_of(folder / name)


def beam_version() -> str:
    """Of Beam's Python SDK, as installed."""
    return importlib.metadata.version("apache-beam")


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder that takes its name when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        part = Path(temporary) / folder.name
        part.mkdir()
        yield part
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)


def _download(folder: Path) -> Path:
    """Has pip download the package, checked against its hash."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{_PACKAGE}=={FLINK} --hash=sha256:{_PACKAGE_SHA256}\n", encoding="utf-8")
    options = ["--quiet", "--no-deps", "--no-binary", _PACKAGE, "--require-hashes", "--disable-pip-version-check"]
    command = [*_pip(), "download", *options, "-r", str(wanted), "-d", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS, env=_environment())  # noqa: S603
    except subprocess.CalledProcessError as error:
        told = [line for line in error.stderr.splitlines() if line.strip()]
        said = next((line for line in told if line.startswith("ERROR")), told[-1] if told else "")
        raise MillraceError(
            f"Flink: {_PACKAGE} {FLINK} can't be fetched: {said[:400]}. Next: the network or the package index, {_OFFLINE}"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MillraceError(f"Flink: {_PACKAGE} {FLINK} can't be fetched: {error}. Next: again, {_OFFLINE}") from error
    wanted.unlink()
    return next(folder.glob("*.tar.gz"))


def _pip() -> list[str]:
    """A pip that runs: of this Python, or one that uv brings."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    uv = shutil.which("uv") or (str(_UV) if _UV.is_file() else None)
    if uv is None:
        raise MillraceError(f"Flink can't be fetched: neither pip nor uv was found. Next: install pip, {_OFFLINE}")
    return [uv, "run", "--quiet", "--no-project", "--python", sys.executable, "--with", "pip", "python", "-m", "pip"]


def _environment() -> Mapping[str, str]:
    """This process's, with pip's index for uv, too; and nothing of this project on Python's path."""
    inner = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    if "PIP_INDEX_URL" in inner:
        inner.setdefault("UV_DEFAULT_INDEX", inner["PIP_INDEX_URL"])
    return inner


def extract(package: Path, folder: Path, wanted: Mapping[str, str]) -> None:
    """Takes jars out of the source package.

    Args:
      package: a tar.
      folder: to put them in.
      wanted: name -> SHA-256.

    Raises:
      MillraceError: one is missing, or another.
    """
    left = dict(wanted)
    with tarfile.open(package) as tar:
        for member in tar:
            name = Path(member.name).name
            if name in left and Path(member.name).parent.name == "lib" and (stream := tar.extractfile(member)):
                with (folder / name).open("wb") as target:
                    shutil.copyfileobj(stream, target, _BLOCK)
                _verify(folder / name, left.pop(name), "sha256")
    if left:
        raise MillraceError(f"{package.name} lacks {', '.join(sorted(left))}. Next: {_OFFLINE.removeprefix('or, ')}")


def _verify(path: Path, expected: str, algorithm: str) -> None:
    with path.open("rb") as stream:
        received = hashlib.file_digest(stream, algorithm).hexdigest()
    if received != expected:
        path.unlink()
        raise MillraceError(
            f"{path.name} is not what was published. Expected: {algorithm} {expected}. Received: {received}. "
            f"Next: again; a proxy may have changed it; {_OFFLINE}"
        )


def _from_maven(folder: Path, name: str) -> None:
    """Has Beam's own client fetch the jar from Maven Central or its mirror."""
    from apache_beam.utils import subprocess_server
    from apache_beam.utils.subprocess_server import JavaJarServer

    # It would warn that it downloads, which is what was asked for.
    logging.getLogger(subprocess_server.__name__).setLevel(logging.ERROR)
    url = JavaJarServer.path_to_beam_jar(f":runners:flink:{_MINOR}:job-server:shadowJar")
    try:
        found = Path(JavaJarServer.local_jar(url, cache_dir=str(folder)))
    except Exception as error:
        raise MillraceError(
            f"Beam's job server can't be fetched: {name}: {_first_sentence(error)}. Next: where only this jar is missing, "
            "put one together from its parts: .venv/bin/python scripts/job_server.py jars && .venv/bin/millrace cluster "
            f"up --jar jars; else the network, {_OFFLINE}"
        ) from error
    checksum = _published(url)
    if checksum:
        _verify(found, checksum[1], checksum[0])
    if found != folder / name:  # a build of Beam's own sources
        shutil.copyfile(found, folder / name)


def _first_sentence(error: Exception) -> str:
    """Of Beam's message, which goes on about its mirror."""
    return str(error).partition(". ")[0][:400]


def _published(url: str) -> tuple[str, str] | None:
    """Algorithm and checksum that lie beside a jar; None where there are none."""
    for algorithm in _SIDECARS:
        try:
            with urllib.request.urlopen(f"{url}.{algorithm}", timeout=30) as answer:  # noqa: S310 - Beam's own address
                text = answer.read(1000).decode("ascii", "replace").split()
        except (OSError, ValueError):
            continue
        if text and len(text[0]) == hashlib.new(algorithm, usedforsecurity=False).digest_size * 2:
            return algorithm, text[0].lower()
    return None
