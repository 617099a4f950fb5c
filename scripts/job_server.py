"""Puts Beam's job server for Flink together from its parts, where a mirror of Maven Central lacks the finished jar.

    python scripts/job_server.py OUT       # makes OUT/beam-runners-flink-1.19-job-server-2.62.0.jar, prints its path

Needs mvn and Java. The parts (Beam's runner for Flink and what it depends on, 150 MB) are fetched by mvn into its own
local repository, and merged into one jar, as Beam's build does it. It takes a minute or two; when the jar is there, it
is left as it is. The default version is the newest whose parts every mirror has; newer Python SDKs work with it.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

FLINK = "1.19"
BEAM = "2.62.0"
_MAIN = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_MANIFEST = f"Manifest-Version: 1.0\r\nMain-Class: {_MAIN}\r\nMulti-Release: true\r\n\r\n"
_SERVICES = "META-INF/services/"
_SIGNATURES = (".SF", ".DSA", ".RSA", ".EC")
_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId>
  <artifactId>job-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.beam</groupId>
      <artifactId>beam-runners-flink-{flink}</artifactId>
      <version>{beam}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_TRIES = 2
_SECONDS = 900
_LAST_LINES = 15


class JobServerError(Exception):
    """What the user has to know: what failed, and the next step."""


def make(folder: Path, beam: str = BEAM, flink: str = FLINK) -> Path:
    """Makes the jar, unless it is there.

    Args:
      folder: to put it in.
      beam: version of its parts.
      flink: minor version that it is for.

    Returns:
      The jar.

    Raises:
      JobServerError: the parts can't be had.
    """
    target = folder.absolute() / f"beam-runners-flink-{flink}-job-server-{beam}.jar"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".job-server.") as temporary:
        parts = fetch(Path(temporary), beam, flink)
        part = Path(temporary) / target.name
        merge(parts, part)
        part.rename(target)
    return target


def fetch(folder: Path, beam: str, flink: str) -> list[Path]:
    """Has mvn copy the runner and all that it depends on into a folder; once more where that fails.

    Returns:
      The jars, by name.
    """
    mvn = shutil.which("mvn")
    if mvn is None:
        raise JobServerError("mvn was not found. Next: install Maven (Debian, Ubuntu: apt-get install maven)")
    (folder / "pom.xml").write_text(_POM.format(beam=beam, flink=flink), encoding="utf-8")
    jars = folder / "parts"
    options = ["--batch-mode", "--quiet", f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
    said = ""
    for _ in range(_TRIES):
        try:
            ended = subprocess.run([mvn, *options, _GOAL], cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            said = f"not done after {_SECONDS} s"
            continue
        found = sorted(jars.glob("*.jar"))
        if ended.returncode == 0 and found:
            return found
        said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-_LAST_LINES:])
    raise JobServerError(f"mvn could not fetch the parts of Beam {beam} for Flink {flink}:\n{said}\nNext: the network")


def merge(jars: Sequence[Path], target: Path) -> None:
    """Merges jars into one; of a file that several have, the first counts.

    Lists of services are joined. Signatures, which no longer hold, and module descriptions are left out.

    Args:
      jars: in this order.
      target: the jar to write.
    """
    services: dict[str, list[str]] = {}
    seen = {"META-INF/MANIFEST.MF"}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as merged:
        merged.writestr("META-INF/MANIFEST.MF", _MANIFEST)
        for path in jars:
            with zipfile.ZipFile(path) as jar:
                for entry in jar.infolist():
                    name = entry.filename
                    if entry.is_dir() or _left_out(name):
                        continue
                    if name.startswith(_SERVICES):
                        services.setdefault(name, []).extend(jar.read(entry).decode("utf-8").splitlines())
                    elif name not in seen:
                        seen.add(name)
                        merged.writestr(name, jar.read(entry))
        for name, lines in services.items():
            told = dict.fromkeys(line.strip() for line in lines if line.strip())
            merged.writestr(name, "".join(f"{line}\n" for line in told))


def _left_out(name: str) -> bool:
    return name.endswith("module-info.class") or (name.startswith("META-INF/") and name.endswith(_SIGNATURES))


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="Puts Beam's job server for Flink together from its parts.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the jar")
    parser.add_argument("--beam", default=BEAM, help=f"version of Beam; default {BEAM}")
    given = parser.parse_args()
    try:
        print(make(given.out, given.beam))
    except JobServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
