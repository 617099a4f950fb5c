"""The Java that Flink and Beam's job server run on."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import MillraceError

_OLDEST = 11
_OPENED = (
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
    "java.base/sun.nio.ch",
    "java.base/sun.net.util",
)
"""Packages of the JDK that Flink and Beam reach into, which Java 17 closes to them."""
_NEXT = (
    f"Next: install Java {_OLDEST} or newer (Debian, Ubuntu: apt-get install openjdk-17-jre-headless), or set JAVA_HOME"
)


def find() -> str:
    """The path of a Java that is new enough: of JAVA_HOME, or else of PATH.

    Raises:
      MillraceError: there is none, it does not run, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None:
        raise MillraceError(f"Java was not found: no java on PATH, and JAVA_HOME is not set. {_NEXT}")
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        of = f"JAVA_HOME={home}: " if home else ""
        raise MillraceError(f"Java does not run: {of}{java}: {error}. {_NEXT}") from error
    version = _major(told.stderr + told.stdout)
    if told.returncode or version is None:
        said = (told.stderr + told.stdout).strip().partition("\n")[0]
        raise MillraceError(f"Java does not run: {java} -version ended with {told.returncode}: {said[:300]}. {_NEXT}")
    if version < _OLDEST:
        raise MillraceError(f"Java is too old. Expected: {_OLDEST} or newer. Received: {version} ({java}). {_NEXT}")
    return java


def _major(text: str) -> int | None:
    """Of what `java -version` prints: 8 of "1.8.0_412", 17 of "17.0.15"."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    first = int(found[1])
    return int(found[2] or 0) if first == 1 else first


def command(java: str, options: Sequence[str], jars: Sequence[Path], main: str, *args: str) -> list[str]:
    """A command line.

    Args:
      java: its path.
      options: for the virtual machine.
      jars: the class path.
      main: the class.
      *args: given to it.
    """
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in _OPENED]
    fixed = ["-XX:+UseSerialGC", "-Djava.net.preferIPv4Stack=true"]
    return [java, *fixed, *options, *opened, "-cp", os.pathsep.join(map(str, jars)), main, *args]
