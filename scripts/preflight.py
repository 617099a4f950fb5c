"""What a machine must have before anything heavy starts, and one line for each thing that is missing.

    for line in problems(Host.look(root, environment), needed_gb=8): ...

Looking (`Host.look`) and judging (`problems`) are apart, so that any machine can be judged from a test.
"""

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from private_glibc import host_glibc

# Parts of Python that are left out silently where it is compiled without their libraries (pyenv).
_MODULES = {
    "ssl": "libssl-dev",
    "sqlite3": "libsqlite3-dev",
    "ctypes": "libffi-dev",
    "lzma": "liblzma-dev",
    "bz2": "libbz2-dev",
}


@dataclass(frozen=True)
class Host:
    """A machine and its Python, as far as the environment depends on them.

    Attributes:
        system: "Linux", "Darwin", "Windows".
        machine: "x86_64", "aarch64", …
        glibc: major and minor; None where the C library is another.
        compiler: path of the C++ compiler, or None.
        header: path of Python.h, or None.
        lacking: modules that this Python was compiled without.
        installs_uv: whether uv is there or this Python can install it (it has pip, or ensurepip).
        free_gb: free space on the project's disk.
        writable: whether the project's folder may be written.
        root: the project's folder.
    """

    system: str
    machine: str
    glibc: tuple[int, int] | None
    compiler: str | None
    header: str | None
    lacking: tuple[str, ...]
    installs_uv: bool
    free_gb: float
    writable: bool
    root: Path

    @classmethod
    def look(cls, root: Path, env: Mapping[str, str]) -> "Host":
        """This machine.

        Args:
            root: the project's folder.
            env: where PATH and CXX are read.
        """
        path = env.get("PATH")
        header = Path(sysconfig.get_path("include")) / "Python.h"
        found = [part for part in ("pip", "ensurepip") if importlib.util.find_spec(part)]
        return cls(
            system=platform.system(),
            machine=platform.machine(),
            glibc=host_glibc(),
            compiler=shutil.which(env.get("CXX", "g++").split()[0], path=path),
            header=str(header) if header.exists() else None,
            lacking=tuple(name for name in _MODULES if not _imports(name)),
            installs_uv=bool(found) or shutil.which("uv", path=path) is not None,
            free_gb=shutil.disk_usage(root).free / 1e9,
            writable=os.access(root, os.W_OK | os.X_OK),
            root=root,
        )


def _imports(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def problems(host: Host, needed_gb: float) -> list[str]:
    """One line for each thing that is missing: what, why it is needed, and what to install. Empty if all is there.

    Args:
        host: what is there.
        needed_gb: how much free disk the work takes.
    """
    if host.system != "Linux" or host.machine not in ("x86_64", "AMD64"):
        return [
            f"{host.system} on {host.machine} can't run this: TFX's wheels exist for Linux on x86_64 only."
            " Use such a machine, a container, or WSL 2 on Windows."
        ]
    if host.glibc is None:
        return ["This Linux has no glibc (Alpine?), which TFX's wheels need: use Debian 12 or Ubuntu 22.04, or newer."]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = []
    if not host.writable:
        lines.append(f"{host.root} can't be written: change its owner, or copy the project to a folder of yours.")
    if host.free_gb < needed_gb:
        lines.append(f"{host.root} has {host.free_gb:.1f} GB of free disk: free some, {needed_gb} GB are needed.")
    if host.compiler is None:
        lines.append(
            "No C++ compiler, which pyfarmhash is built with: install g++ (Debian, Ubuntu: apt-get install g++)."
        )
    if host.header is None:
        lines.append(
            f"No Python.h for {sys.executable}, which pyfarmhash is built with: install Python's headers"
            f" (Debian, Ubuntu: apt-get install python{version}-dev), or set MILLRACE_PYTHON to a Python that has them."
        )
    if host.lacking:
        lines.append(
            f"{sys.executable} was compiled without {', '.join(host.lacking)}: set MILLRACE_PYTHON to a complete one,"
            f" or build it again after apt-get install {' '.join(_MODULES[name] for name in host.lacking)}."
        )
    if not host.installs_uv:
        lines.append("Neither uv nor pip is here: install one (Debian, Ubuntu: apt-get install python3-pip).")
    return lines
