"""`millrace doctor`: what a run needs, what is there, and how to mend what is not."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_GLIBC = (2, 39)
_DISK_GB = 2
_MEMORY_GB = 4
_VERSIONS = {
    "tfx": "1.21",
    "tensorflow": "2.21",
    "tensorflow-data-validation": "1.21",
    "tensorflow-transform": "1.21",
    "tensorflow-model-analysis": "0.52",
    "apache-beam": "2.77",
    "keras": "3.",
    "kfp": "2.",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
      name: what.
      ok: whether a run can do with it.
      found: what is there.
      fix: what to do, where it is not ok.
    """

    name: str
    ok: bool
    found: str
    fix: str


def examine(root: Path) -> list[Check]:
    """All checks, those that need nothing first. Nothing is changed.

    Args:
      root: folder of the runs, which need not exist.
    """
    return [_check(*found) for found in _findings(root)]


def _check(name: str, ok: bool, found: str, fix: str) -> Check:
    return Check(name, ok, found, "" if ok else fix)


def _findings(root: Path) -> Iterator[tuple[str, bool, str, str]]:
    version = sys.version_info
    yield (
        "python",
        (3, 11) <= version[:2] <= (3, 13),
        platform.python_version(),
        "install Python 3.11, 3.12 or 3.13, then: make env",
    )
    yield (
        "system",
        platform.system() == "Linux",
        f"{platform.system()} {platform.machine()}",
        "TFX needs Linux on x86_64",
    )
    library, glibc = platform.libc_ver()
    parts = tuple(int(part) for part in glibc.split(".") if part.isdigit())
    yield "glibc", parts >= _GLIBC, f"{library} {glibc}", "run through .venv/bin/python, which make env prepares"
    for package, wanted in _VERSIONS.items():
        yield package, *_version(package, wanted)
    yield "libraries load", *_loads()
    compiler = shutil.which("g++") or shutil.which("c++")
    yield "compiler", bool(compiler), compiler or "none", "needed to rebuild the environment: install g++"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    yield "python headers", header.exists(), str(header), "needed to rebuild the environment: install python3-dev"
    folder = next(parent for parent in (root.absolute(), *root.absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free / 2**30
    yield "disk", free >= _DISK_GB, f"{free:.1f} GiB free at {folder}", f"free {_DISK_GB} GiB or choose another --root"
    yield "writable root", *_writable(folder)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield "memory", memory >= _MEMORY_GB, f"{memory:.1f} GiB", f"a run needs about {_MEMORY_GB} GiB"


def _version(package: str, wanted: str) -> tuple[bool, str, str]:
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        found = "not installed"
    return found.startswith(wanted), found, f"expected {wanted}*. Next: make env"


def _loads() -> tuple[bool, str, str]:
    """Imports the strictest of the libraries in a child: a wrong C library fails there and not here."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import tensorflow_data_validation"], capture_output=True, text=True, check=False
    )
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return done.returncode == 0, "yes" if done.returncode == 0 else last[:120], "make env builds the environment anew"


def _writable(folder: Path) -> tuple[bool, str, str]:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True, str(folder), ""
    except OSError as error:
        return False, f"{folder}: {error.strerror}", "choose another --root or change its permissions"
