"""Runs the tools of the bootstrap: quietly, in a clean environment, with failures told in one line.

    commands = Commands(root, environment(os.environ, root))
    commands.run("the packages", "uv", "sync", "--frozen")

Everything a tool prints goes to `.runtime/bootstrap.log`; the screen gets one line, and only when something failed.
Standard library only: this runs before anything is installed.
"""

import configparser
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


class BootstrapError(Exception):
    """Something the user has to know, in one line: what failed, why, and the next step."""


# Of uv's own settings only those about getting packages are kept: the project's lock and this code decide the rest.
_KEPT_UV = re.compile(
    r"UV_(\w*INDEX\w*|FIND_LINKS|CACHE_DIR|CONFIG_FILE|NO_CACHE|OFFLINE|\w*TIMEOUT|HTTP_\w+|CONCURRENT_\w+|LINK_MODE"
    r"|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|KEYRING_PROVIDER|CREDENTIALS_DIR)"
)
_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_DROPPED = re.compile(r"PYTHON\w*|VIRTUAL_ENV\w*|CONDA_PREFIX|PIP_(USER|TARGET|PREFIX)")


def pip_index(files: Iterable[Path]) -> str | None:
    """The package index that pip's configuration files name, if any; the last file wins, as with pip."""
    configuration = configparser.RawConfigParser(strict=False)
    with suppress(configparser.Error):
        configuration.read(files, encoding="utf-8")
    return configuration.get("global", "index-url", fallback=None)


def environment(outer: Mapping[str, str], root: Path) -> dict[str, str]:
    """The environment that pip, uv and apt run in: the caller's, less what would change the result.

    Proxies, certificates and package indexes are kept; pip's are handed on to uv, which doesn't read them.
    Gone are PYTHON* (PYTHONDONTWRITEBYTECODE would leave every import slow), an active virtual environment, and uv's
    settings about projects and interpreters.

    Args:
        outer: usually `os.environ`.
        root: the project's folder.
    """
    inner = {
        name: value
        for name, value in outer.items()
        if not _DROPPED.fullmatch(name) and (not name.startswith("UV_") or _KEPT_UV.fullmatch(name))
    }
    own_bin = str(root / ".venv" / "bin")
    inner["PATH"] = os.pathsep.join(part for part in inner.get("PATH", os.defpath).split(os.pathsep) if part != own_bin)
    inner["UV_PYTHON_DOWNLOADS"] = "never"
    inner.setdefault("UV_HTTP_TIMEOUT", inner.get("PIP_DEFAULT_TIMEOUT", "120"))
    inner.setdefault("PIP_RETRIES", "2")
    inner.setdefault("UV_COMPILE_BYTECODE_TIMEOUT", "600")
    home = Path(inner.get("HOME", "/nonexistent"))
    pip_files = ("/etc/pip.conf", f"{home}/.pip/pip.conf", f"{home}/.config/pip/pip.conf", inner.get("PIP_CONFIG_FILE"))
    index = next((inner[name] for name in _INDEXES if inner.get(name)), None)
    index = index or pip_index(Path(name) for name in pip_files if name)
    if index:
        inner["UV_DEFAULT_INDEX"] = inner["PIP_INDEX_URL"] = index
    if "PIP_CERT" in inner:
        inner.setdefault("SSL_CERT_FILE", inner["PIP_CERT"])
    if "UV_CACHE_DIR" not in inner and not os.access(home, os.W_OK):
        inner["UV_CACHE_DIR"] = str(root / ".runtime" / "uv-cache")
    inner["LC_ALL"] = "C.UTF-8"  # messages are matched below
    return inner


# What the tools say -> what it means and what to do. The first that matches wins, so the most telling come first.
_MEANINGS = (
    (r"No space left on device|Disk quota exceeded|os error 28\b", "the disk is full: free some space"),
    (
        r"peer certificate|certificate.verif|UnknownIssuer",
        "a certificate was refused: set SSL_CERT_FILE to the certificates of your network",
    ),
    (
        r"\b(401|403|407)\b.{0,3}(Unauthorized|Forbidden|Proxy|Access)|Proxy Authentication",
        "the server refused access: check the credentials of the package index or proxy",
    ),
    (
        r"NO_PUBKEY|GPG error|is not signed",
        "the archive's signature can't be checked: update the package debian-archive-keyring (ubuntu-keyring)",
    ),
    (
        r"dns error|could not resolve|failure resolving|name resolution|failed to lookup|Connection (refused|reset)"
        r"|Network is unreachable|No route to host|timed out|tcp connect|error sending request|Could not connect"
        r"|NewConnectionError",
        "the network can't be reached: connect, or set HTTPS_PROXY, or UV_DEFAULT_INDEX to a mirror",
    ),
    (r"Python\.h", "Python's headers are missing: install them (Debian, Ubuntu: apt-get install python3-dev)"),
    (r"Permission denied|os error 13\b", "a file may not be written: check who owns the project, .venv and .runtime"),
)


def meaning(output: str) -> str:
    """Why a tool failed, from what it printed: a known cause with its remedy, or the tool's own error.

    >>> meaning("error: No space left on device (os error 28)")
    'the disk is full: free some space'
    """
    for pattern, cause in _MEANINGS:
        if re.search(pattern, output, re.IGNORECASE):
            return cause
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"E:|error|\w*Error", line, re.IGNORECASE)]
    return (errors or lines or ["it printed nothing"])[-1][:200].rstrip(".")


@dataclass(frozen=True)
class Commands:
    """Runs commands for one project.

    Attributes:
        root: the project's folder; commands run there.
        env: their environment.
        lock: a file descriptor that children inherit, so that the lock on it outlives a killed parent as long as its
            children still write.
    """

    root: Path
    env: Mapping[str, str]
    lock: int | None = None

    @property
    def log(self) -> Path:
        """Where everything that the tools print is kept."""
        return self.root / ".runtime" / "bootstrap.log"

    def run(self, what: str, *command: str | Path, cwd: Path | None = None) -> str:
        """Runs a command to its end and returns what it printed (both streams).

        Args:
            what: what it brings, for the error: "the packages".
            *command: program and arguments.
            cwd: where it runs, by default in the project.

        Raises:
            BootstrapError: it can't be started, or exited with another code than 0.
        """
        with self.log.open("a+b") as log:
            log.write(f"\n$ {' '.join(map(str, command))}\n".encode())
            log.flush()
            start = log.tell()
            try:
                code = subprocess.run(
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=cwd or self.root,
                    env=dict(self.env),
                    pass_fds=() if self.lock is None else (self.lock,),
                    check=False,
                ).returncode
            except OSError as error:
                raise BootstrapError(f"Could not get {what}: {command[0]} can't be run ({error.strerror}).") from error
            log.seek(start)
            output = log.read().decode(errors="replace")
        if code:
            raise BootstrapError(f"Could not get {what}: {meaning(output)}. Log: {self.log}")
        return output
