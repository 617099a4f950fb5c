"""Builds and pushes the image in which a pipeline's steps run: `make image` and `make push`.

    python scripts/image.py build registry.example/team/millrace          the tag is <version>-<fingerprint of the code>
    python scripts/image.py build registry.example/team/millrace:nightly
    python scripts/image.py push registry.example/team/millrace

It drives whichever of Docker (with buildx), Podman and Buildah is there and answers. No registry is named here or in the
Dockerfile: the image's name says where it is pushed to, and `docker login` (or the like) who may.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline import image
from pipeline.errors import MillraceError, UsageError, nearest

ROOT = Path(__file__).resolve().parents[1]
# What OCI's distribution specification and the engines take.
_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_REGISTRY = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:))(?::\d+)?"
_NAME = re.compile(rf"(?:{_REGISTRY}/)?(?:{_PART}/)*{_PART}")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_PROBES = {
    "docker": (("docker", "version", "--format", "{{.Server.Version}}"), ("docker", "buildx", "version")),
    "podman": (("podman", "version"),),
    "buildah": (("buildah", "version"),),
}
_BUILD = {
    "docker": ("docker", "buildx", "build", "--load"),
    "podman": ("podman", "build"),
    "buildah": ("buildah", "build", "--layers"),  # as the others do unasked
}
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__)
_Image = Annotated[str, typer.Argument(metavar="NAME[:TAG]", help="Of the image, with its registry to push it.")]
_Engine = Annotated[str | None, typer.Option(help=f"{', '.join(_BUILD)}; default the first that answers.")]


@dataclass(frozen=True)
class Arguments:
    """What the Dockerfile is told.

    Attributes:
      base: the image to build on; None leaves the Dockerfile's own.
      extras: of pyproject.toml, such as "s3 gcs"; None leaves the Dockerfile's own.
    """

    base: str | None = None
    extras: str | None = None

    def options(self) -> list[str]:
        """`--build-arg` and value for each; version, revision and code are those of this checkout."""
        told = {
            "VERSION": image.version(),
            "REVISION": revision(),
            "CODE": image.fingerprint(ROOT),
            "EXTRAS": self.extras,
        }
        told["BASE"] = self.base
        return [
            part for name, value in told.items() if value is not None for part in ("--build-arg", f"{name}={value}")
        ]


def reference(name: str) -> str:
    """The image's full name: a tag is added where there is none, of the version and the code's fingerprint.

    Raises:
      UsageError: no name, or none that a registry takes.
    """
    if not name:
        raise UsageError("image: no name. Expected NAME[:TAG]. Next: make image IMAGE=<registry>/<name>")
    place, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        place, tag = name, f"{image.version()}-{image.fingerprint(ROOT)}".replace("+", "-")
    if not _NAME.fullmatch(place) or not _TAG.fullmatch(tag):
        raise UsageError(
            "image: no name that a registry takes. Expected [registry[:port]/]name[:tag], the name in small letters. "
            f"Received: {name!r}"
        )
    return f"{place}:{tag}"


def revision() -> str:
    """The commit of this checkout, with `-dirty` where files differ from it; nothing without git."""
    try:
        commit, changes = (
            subprocess.run(
                ("git", "-C", str(ROOT), "--no-optional-locks", *command), capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (("rev-parse", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}-dirty" if changes else commit


def find_engine(wanted: str | None = None) -> str:
    """The first engine that is installed and answers.

    Args:
      wanted: its name; None takes any.

    Raises:
      UsageError: none does; the message says of each why.
    """
    if wanted is not None and wanted not in _BUILD:
        raise UsageError(f"--engine: unknown {wanted!r}.{nearest(wanted, _BUILD)}")
    reasons = []
    for name in [wanted] if wanted else _BUILD:
        reason = _unfit(name)
        if reason is None:
            return name
        reasons.append(f"  - {name}: {reason}")
    raise UsageError(
        "image: no container engine answers.\n" + "\n".join(reasons) + "\nNext: start Docker's engine, or install one: "
        "Docker Engine with buildx, Podman or Buildah (Debian, Ubuntu: apt-get install podman)"
    )


def _unfit(engine: str) -> str | None:
    """Why an engine can't be used; None where it can."""
    if shutil.which(engine) is None:
        return "not installed"
    for probe in _PROBES[engine]:
        try:
            done = subprocess.run(probe, capture_output=True, text=True, check=False, timeout=60)
        except subprocess.TimeoutExpired:
            return f"`{' '.join(probe)}` gave no answer in 60 s"
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[0]
            return f"`{' '.join(probe)}` failed: {said}"
    return None


def build_command(engine: str, name: str, arguments: Arguments) -> list[str]:
    """The engine's command that builds the Dockerfile. The libraries are there for x86_64 only, so it is said."""
    platform, file = ("--platform", "linux/amd64"), ("--file", str(ROOT / "deploy" / "Dockerfile"))
    return [*_BUILD[engine], *platform, *file, "--tag", name, *arguments.options(), str(ROOT)]


def _run(command: Sequence[str], what: str, following: str) -> None:
    """Runs an engine's command; what it prints is seen as it comes.

    Raises:
      MillraceError: it failed.
    """
    code = subprocess.run(command, check=False).returncode
    if code:
        raise MillraceError(f"{what} failed: {command[0]} ended with exit code {code}; see above. Next: {following}")


@app.command()
def build(
    name: _Image,
    base: Annotated[str | None, typer.Option(help="Image with Python 3.11 to 3.13 and glibc 2.39 or newer.")] = None,
    extras: Annotated[str | None, typer.Option(help='Extras of pyproject.toml; default "s3 gcs".')] = None,
    engine: _Engine = None,
) -> None:
    """Builds the image of this checkout."""
    full, using = reference(name), find_engine(engine)
    start = time.monotonic()
    _run(build_command(using, full, Arguments(base, extras)), "image: the build", "mend what it says, then: make image")
    asked = (using, "images", "--format", "{{.Size}}", full)
    size = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    print(f"image   {full}\nsize    {size}\ncode    {image.fingerprint(ROOT)}\nbuilt   by {using}, {_seconds(start)} s")
    print(f"next    make push IMAGE={name}")


@app.command()
def push(name: _Image, engine: _Engine = None) -> None:
    """Pushes an image that was built, to the registry in its name."""
    full = reference(name)
    if "/" not in full:
        raise UsageError(f"push: {full} names no registry. Expected <registry>/<name>[:tag]. Received: {name!r}")
    using = find_engine(engine)
    login = f"{using} login {full.partition('/')[0]}"
    _run((using, "push", full), "push", f"`make image IMAGE={name}` if it isn't built, `{login}` if it was refused")
    print(f"pushed  {full}")


def _seconds(start: float) -> int:
    return round(time.monotonic() - start)


def main() -> int:
    """Runs the command line; returns the exit code."""
    try:
        app()
    except SystemExit as ended:
        return int(ended.code or 0)
    except MillraceError as error:
        print(f"error {error}", file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
