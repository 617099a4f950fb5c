"""Builds the image where there is neither a container engine nor a registry, and runs it: the proof of the Dockerfile.

    sudo .venv/bin/python scripts/image_root.py --work /var/tmp/millrace-image

It needs root, debootstrap and Buildah (Debian, Ubuntu: apt-get install debootstrap buildah), 20 GB of disk, and Debian's
packages and Python's package index within reach. It does three things:

1. `base`: a stand-in for `python:3.11-slim-trixie`, which only a registry has. It is made as that image's own recipe says
   (Debian trixie, minimal, with certificates, netbase and tzdata; CPython in /usr/local), but of a CPython that is on this
   machine already, and with the certificates that this machine trusts.
2. `build`: the Dockerfile itself, whole, by Buildah with chroot isolation, as `scripts/image.py` would.
3. `check`: commands in a container of that image, as a user that it has never heard of, of group 0, as OpenShift has it;
   then what they wrote outside of the places meant for it.

What it can't show: the official base, the isolation of a real container, a registry.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import image
import typer

from pipeline.errors import MillraceError, UsageError

BASE = "localhost/millrace-base:trixie"
BUILT = "localhost/millrace:proof"
USER = "1000730000:0"
"""A user such as OpenShift gives a pod, and its group."""

_SUITE = "trixie"
# Those of the official image, and what its CPython is linked with.
_PACKAGES = (
    *("ca-certificates", "netbase", "tzdata"),
    *("libbz2-1.0", "libffi8", "libgdbm6t64", "liblzma5", "libncursesw6", "libreadline8t64", "libsqlite3-0"),
    *("libssl3t64", "libuuid1", "zlib1g"),
)
_STANDARD_LIBRARY = "import bz2, ctypes, lzma, readline, sqlite3, ssl, uuid, zlib; print('the standard library loads')"
_PREFIX = Path(os.__file__).resolve().parents[2]  # sys.base_prefix can be a folder of links
_LEFT_OUT = ("site-packages", "__pycache__", "test", "tests", "idle_test", "*.a")
CHECKS: Mapping[str, tuple[str, ...]] = {
    "who": ("python", "-m", "pipeline.image"),
    "libraries": (
        "python",
        "-c",
        "import tfx, tensorflow_data_validation, tensorflow_model_analysis, kfp, s3fs, gcsfs",
    ),
    "no compiler": ("sh", "-c", "! command -v gcc g++ cc uv"),
    "doctor": ("millrace", "doctor"),
    "tasks": ("millrace", "tasks"),
    "schema": ("millrace", "schema", "show", "--task", "taxi_tips"),
    "a run": ("python", "-m", "local_runner", "--task", "taxi_tips", "--set", "training.steps=50"),
}
"""What is run in the image: name -> command. A run of 50 steps need not pass its gates."""

_ACCEPTED = {"a run": (0, 11), "doctor": (0, 1)}
_SCRATCH = ("tmp", "var/millrace", "gcs", "s3", "minio")
_WRITABLE = (*_SCRATCH, "run", "dev", "proc", "sys")


def make_root(folder: Path, prefix: Path, mirror: str | None) -> None:
    """Makes the base's file system.

    Args:
      folder: that doesn't exist yet.
      prefix: of a CPython, whose standard library and headers are in it.
      mirror: of Debian's packages; None takes debootstrap's own.
    """
    _run(
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(_PACKAGES)}",
        _SUITE,
        str(folder),
        *filter(None, [mirror]),
    )
    library = next(prefix.glob("lib/python3.*"))
    local, name = folder / "usr" / "local", library.name
    leave = shutil.ignore_patterns(*_LEFT_OUT)
    for part in (f"lib/{name}", f"include/{name}"):
        shutil.copytree(prefix / part, local / part, symlinks=True, ignore=leave, dirs_exist_ok=True)
    for file in (*prefix.glob(f"lib/lib{name}*.so*"), prefix / "bin" / name):
        shutil.copy2(file, local / file.relative_to(prefix), follow_symlinks=False)
    for link in ("python", "python3"):
        (local / "bin" / link).symlink_to(name)
    trusted = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    shutil.copyfile(trusted, folder / "etc/ssl/certs/ca-certificates.crt")
    for command in (["ldconfig"], ["python", "-m", "ensurepip"], ["python", "-c", _STANDARD_LIBRARY]):
        _run("chroot", str(folder), "/usr/bin/env", "-i", "PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin", *command)


def make_base(folder: Path) -> None:
    """Makes an image of a file system."""
    container = _output("buildah", "from", "scratch")
    _run("buildah", "add", "--quiet", container, str(folder), "/")
    path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    _run("buildah", "config", "--env", path, "--cmd", "python3", container)
    _run("buildah", "commit", "--quiet", "--rm", container, BASE)


def run_checks(only: Sequence[str]) -> bool:
    """Runs the checks in one container, then says what they wrote.

    Args:
      only: names; all where there are none.

    Returns:
      Whether all passed.
    """
    container = _output("buildah", "from", BUILT)
    try:
        root = Path(_output("buildah", "mount", container))
        left = [path.name for place in _SCRATCH for path in (root / place).iterdir()]
        passed = _verdict("left by the build where others write", left)
        before = _listing(root)
        for name in only or CHECKS:
            start = time.monotonic()
            command = ("buildah", "run", "--user", USER, container, "--", *CHECKS[name])
            code = subprocess.run(command, check=False).returncode
            fits = code in _ACCEPTED.get(name, (0,))
            passed &= fits
            say(f"{'ok' if fits else 'FAILED':8}{name}: exit code {code}, {time.monotonic() - start:.0f} s")
        written = sorted(_listing(root) - before)
        return _verdict("written outside of the places meant for it", written) and passed
    finally:
        _run("buildah", "rm", container)


def _verdict(what: str, found: Sequence[str]) -> bool:
    say(f"{'FAILED' if found else 'ok':8}{what}: {', '.join(found) or 'nothing'}")
    return not found


def _listing(root: Path) -> set[str]:
    """Every file outside of what may be written, with its size and time."""
    found = set()
    for folder, folders, names in os.walk(root):
        place = os.path.relpath(folder, root)
        folders[:] = [name for name in folders if os.path.normpath(f"{place}/{name}") not in _WRITABLE]
        for name in names:
            state = os.lstat(os.path.join(folder, name))
            found.add(f"{place}/{name} ({state.st_size} bytes, {state.st_mtime_ns})")
    return found


def _run(*command: str) -> None:
    code = subprocess.run(command, check=False).returncode
    if code:
        raise MillraceError(f"image_root: `{' '.join(command)[:120]}` ended with exit code {code}; see above")


def _output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise MillraceError(
            f"image_root: `{' '.join(command)[:120]}` ended with exit code {done.returncode}; see above"
        )
    return done.stdout.strip()


def say(line: str) -> None:
    """Progress, at once, in order with what the commands print."""
    print(line, flush=True)


def main(
    work: Annotated[Path, typer.Option(help="Folder for the base and Buildah's storage; 20 GB.")],
    prefix: Annotated[Path, typer.Option(help="Of the CPython for the base.")] = _PREFIX,
    mirror: Annotated[str | None, typer.Option(help="Of Debian's packages; default debootstrap's own.")] = None,
    extras: Annotated[str | None, typer.Option(help="Extras of pyproject.toml.")] = None,
    check: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(CHECKS)} (repeatable); default all.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder, and build on it the next time.")] = False,
) -> None:
    """Makes the base, builds the Dockerfile on it and runs the image."""
    missing = [name for name in ("debootstrap", "buildah") if not shutil.which(name)]
    if os.getuid() or missing:
        raise UsageError(
            f"image_root: {'missing: ' + ', '.join(missing) if missing else 'not root'}. Expected root, debootstrap and "
            "buildah. Next: apt-get install debootstrap buildah"
        )
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    (work / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{work}/store"\nrunroot = "{work}/run"\n', encoding="utf-8"
    )
    os.environ |= {
        "CONTAINERS_STORAGE_CONF": str(work / "storage.conf"),
        "BUILDAH_ISOLATION": "chroot",
        "TMPDIR": str(work),
    }
    start = time.monotonic()
    if not _output("buildah", "images", "--quiet", "--filter", f"reference={BASE}"):
        make_root(work / "root", prefix, mirror)
        make_base(work / "root")
        say(f"base    {BASE}, {time.monotonic() - start:.0f} s")
    image.build(BUILT, base=BASE, extras=extras, engine="buildah")
    passed = run_checks(check or [])
    if not keep:
        _run("buildah", "rmi", "--all", "--force")
        shutil.rmtree(work)
    raise typer.Exit(0 if passed else 1)


if __name__ == "__main__":
    try:
        typer.run(main)
    except MillraceError as error:
        print(f"error {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
